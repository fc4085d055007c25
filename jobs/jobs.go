// Package jobs runs what must follow a write. An effect commits with the data
// it belongs to and becomes a job; an engine runs it until it has succeeded or
// is dead, also across kill -9. Package jobstest checks that on every engine.
//
//	engine := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{
//		"fanout": func(ctx context.Context, r jobs.Run) error { … },
//	})
//	err := engine.Start(ctx)
//	defer engine.Close()
//
// # The contract
//
// A job runs at least once; its handler must be harmless to repeat. Jobs of one
// Key run one at a time in the order of their making, also while the first of
// them waits for its next attempt; different keys share the workers in turn. A
// job with a RunAt takes its place among those of its key when that time has
// come, and holds nobody up before. Jobs without a key are in no order, run
// beside each other and share one turn.
//
// A failed attempt (an error, a panic, a passed Timeout) is repeated after a
// jittered, growing delay, up to MaxAttempts; then the job is dead: kept,
// listed, and run again on demand. A handler that wraps its error with [Final]
// is not repeated. An attempt that Close or a crash interrupted does not count.
// A job of a kind without a handler waits until a process has one.
//
// An effect whose Unique name belongs to a job that waits makes none. Where
// that job is running already it may have read what the effect's write changed
// since, so it runs once more after it ends.
//
// It is not a scheduler of the far future: a job's RunAt is kept, but the
// embedded engine holds some 48 bytes in memory for every job that waits for one.
package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/freshet/freshet"
)

// Job is one effect on its way.
type Job struct {
	ID        freshet.ID
	Kind      string
	Key       string
	Subject   freshet.ID
	Args      []byte
	Attempt   int // how many attempts have failed
	RunAt     time.Time
	CreatedAt time.Time
	Dead      bool
	Error     string // of the last attempt
}

// Run is one attempt at a job, as its handler sees it; for one goroutine.
type Run interface {
	Job() Job
	// Checkpoint gives what an earlier attempt saved last, nil if nothing.
	Checkpoint() []byte
	// Save keeps where the attempt stands, durably. It fails once the attempt is over.
	Save(ctx context.Context, checkpoint []byte) error
}

// Handler does the work of one kind of job. Its ctx ends when the engine closes
// and after Options.Timeout.
type Handler func(ctx context.Context, r Run) error

// Engine runs jobs. Methods are safe for concurrent use.
type Engine interface {
	// Start takes up what waits in the store and begins to run jobs.
	Start(ctx context.Context) error
	// Close ends the running attempts' contexts and waits for them. What did not
	// finish runs again after the next Start.
	Close() error
	// Enqueue makes jobs without a write of their own.
	Enqueue(ctx context.Context, effects ...freshet.Effect) error
	// List gives waiting and running jobs, or the dead ones, by id after an id.
	List(ctx context.Context, dead bool, after freshet.ID, limit int) ([]Job, error)
	// Retry runs a dead job again from its checkpoint, with all its attempts before
	// it; freshet.ErrConflict where a job of its Unique name waits. Cancel removes a
	// job that is not running. Both give freshet.ErrNotFound for others.
	Retry(ctx context.Context, id freshet.ID) error
	Cancel(ctx context.Context, id freshet.ID) error
	// PurgeDead removes dead jobs made before a time and tells how many.
	PurgeDead(ctx context.Context, before time.Time) (int, error)
	// Idle waits until no job can run now or is running. A job that waits for its
	// time, its next attempt or a handler, or behind such a one of its key, can't.
	Idle(ctx context.Context) error
	Stats() Stats
}

// Stats are gauges and counters of an [Engine] since it started.
type Stats struct {
	Waiting, Running, Dead int
	Done, Failed           int64     // jobs that succeeded, attempts that failed
	Oldest                 time.Time // when the oldest job that is due was made or became due; zero: none is
}

// Final marks an error as one that repeating can't mend: the job is dead at once.
func Final(err error) error { return &final{err} }

// IsFinal reports whether err was marked by [Final].
func IsFinal(err error) bool {
	_, ok := errors.AsType[*final](err)
	return ok
}

type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }
func (f *final) Unwrap() error { return f.err }
