package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/jobstest"
	"github.com/freshet/freshet/jobs/sqlite"
)

func TestConformance(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		return system(t, filepath.Join(t.TempDir(), "jobs.db"), h, o)
	})
}

func system(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
	t.Helper()
	s, _, end := openSystem(t, path, h, o)
	s.Restart = func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		t.Helper()
		end()
		return system(t, path, h, o)
	}
	return s
}

func openSystem(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) (s jobstest.System, e *sqlite.Engine, end func()) {
	t.Helper()
	db, err := litedb.Open(context.Background(), path, litedb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e = sqlite.New(db, o, h)
	end = func() {
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close file: %v", err)
		}
	}
	t.Cleanup(end)
	return jobstest.System{Engine: e}, e, end
}
