// Package jobstest is the conformance suite of job engines: every promise of
// package jobs as a test.
//
//	func TestEngine(t *testing.T) {
//		jobstest.Run(t, func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
//			db := openMyDatabase(t)
//			return jobstest.System{Engine: New(db, o, h), Restart: …}
//		})
//	}
//
// Invariants: the suite waits for what must happen and never sleeps in the hope
// that something has; where it measures a delay it asserts the lower bound
// alone, so that a slow machine fails nothing. With -short it moves fewer jobs.
//
// It is not a test of crashes: what survives kill -9 is each engine's own test.
package jobstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

// System is an engine on a store of its own.
type System struct {
	// Engine has not been started; the suite starts it. The opener's cleanup
	// closes it.
	Engine jobs.Engine
	// Restart closes the system and opens it on the same data, again unstarted.
	Restart func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) System
}

// Open makes a system on an empty store.
type Open func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) System

// Run checks every promise of package jobs.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"EachJobRuns", eachJobRuns},
		{"JobArrivesAsItWasMade", jobArrives},
		{"OrderWithinKey", orderWithinKey},
		{"OrderThroughRetries", orderThroughRetries},
		{"KeysRunBesideEachOther", keysRunBesideEachOther},
		{"NoKeyNoOrder", noKeyNoOrder},
		{"BigKeyStarvesNobody", bigKeyStarvesNobody},
		{"RunAt", runAt},
		{"DelaysGrow", delaysGrow},
		{"DelaysAreJittered", delaysAreJittered},
		{"FinalIsDeadAtOnce", finalIsDeadAtOnce},
		{"DeadIsListedAndRetried", deadIsListedAndRetried},
		{"PanicIsAFailure", panicIsAFailure},
		{"TimeoutEndsAnAttempt", timeoutEndsAnAttempt},
		{"CancelWaiting", cancelWaiting},
		{"CancelRunning", cancelRunning},
		{"ListPages", listPages},
		{"PurgeDead", purgeDead},
		{"UniqueWaiting", uniqueWaiting},
		{"UniqueRunning", uniqueRunning},
		{"UniqueDead", uniqueDead},
		{"RestartTakesUpWhatWaits", restartTakesUp},
		{"RestartKeepsOrder", restartKeepsOrder},
		{"RestartKeepsDelays", restartKeepsDelays},
		{"InterruptedAttemptResumes", interruptedResumes},
		{"KindWithoutHandlerWaits", kindWithoutHandler},
		{"SaveAfterTheEndFails", saveAfterTheEnd},
		{"CloseTwice", closeTwice},
		{"Idle", idle},
		{"StatsCount", statsCount},
		{"ObserverHears", observerHears},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

type handlers = map[string]jobs.Handler

func handle(h jobs.Handler) handlers { return handlers{"k": h} }

// quick are options whose retries a test can wait for.
var quick = jobs.Options{BackoffBase: time.Millisecond, BackoffMax: 5 * time.Millisecond}

func start(t *testing.T, s System) jobs.Engine {
	t.Helper()
	if err := s.Engine.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	return s.Engine
}

func enqueue(t *testing.T, e jobs.Engine, effects ...freshet.Effect) {
	t.Helper()
	if err := e.Enqueue(t.Context(), effects...); err != nil {
		t.Fatalf("Enqueue: %v", err)
	}
}

func settle(t *testing.T, e jobs.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := e.Idle(ctx); err != nil {
		t.Fatalf("Idle: %v; stats %+v", err, e.Stats())
	}
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// receive waits for a handler's signal.
func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for: %s", what)
	}
	return v
}

func list(t *testing.T, e jobs.Engine, dead bool) []jobs.Job {
	t.Helper()
	out, err := e.List(t.Context(), dead, 0, 1000)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return out
}

// journal notes what handlers do.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
	j.mu.Unlock()
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) want(t *testing.T, want ...string) {
	t.Helper()
	if got := j.all(); !slices.Equal(got, want) {
		t.Errorf("handlers did %q, want %q", got, want)
	}
}

func size(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}
