package jobstest_test

import (
	"testing"

	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/jobstest"
)

// newEngine stands for the constructor of the engine under test.
var newEngine func(path string, o jobs.Options, h map[string]jobs.Handler) jobs.Engine

// An engine's test opens it on an empty store and says how to open it again on
// the same one.
func ExampleRun() {
	var system func(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) jobstest.System
	system = func(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		e := newEngine(path, o, h)
		t.Cleanup(func() { e.Close() })
		return jobstest.System{Engine: e, Restart: func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
			e.Close()
			return system(t, path, h, o)
		}}
	}
	_ = func(t *testing.T) { // TestConformance
		jobstest.Run(t, func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
			return system(t, t.TempDir(), h, o)
		})
	}
	// Output:
}
