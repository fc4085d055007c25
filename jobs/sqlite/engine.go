// Package sqlite is the embedded job engine: it runs the effects that commit in
// one litedb file. Jobs are dispatched from memory right after their commit and
// never searched for; the file is read when the engine starts.
//
//	engine := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{
//		"fanout": func(ctx context.Context, r jobs.Run) error { … },
//	})
//	err := engine.Start(ctx)
//	defer engine.Close()
//
// How a job travels:
//
//	litedb's writer            workers                     finisher
//	───────────────            ───────                     ────────
//	COMMIT
//	  └─OnCommit──▶ lanes ──turn──▶ handler ──outcome──▶ outcomes
//	                  ▲                 │                    │ all that wait, in
//	                  │                 └─failed─▶ calendar  │ one Write: delete,
//	                  └──── clock, when due ◀─────────┘      │ retry, dead
//	                  ▲                                      ▼
//	                  └──── again (Unique) ◀───────────── COMMIT
//
// Invariants: an outcome is written in the order in which attempts ended, so no
// job is deleted before an earlier one of its key; a job whose deletion did not
// commit runs again after the next start. In memory wait 16 bytes for a due job
// and 48 for one with a time, beside the lane of each key with work (about 200);
// the jobs themselves are held up to [Memory] bytes, beyond that they are read
// from the file at their turn.
//
// It is not for several processes: the file has one owner (see litedb.LockFolder).
package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
)

// Memory is how many bytes of waiting jobs an engine holds in memory, about
// 100,000 with small arguments. The rest stays on disk until its turn.
const Memory = 32 << 20

var _ jobs.Engine = (*Engine)(nil)

// Engine implements [jobs.Engine] on a litedb file. A file has one.
type Engine struct {
	db       *litedb.DB
	opts     jobs.Options
	handlers map[string]jobs.Handler
	memory   int

	ctx    context.Context // of the attempts
	cancel context.CancelFunc
	group  sync.WaitGroup // workers and clock
	ended  chan struct{}  // closed when the finisher is through
	wake   chan struct{}  // the calendar has a new first date

	admin sync.Mutex // Start and the methods of admin.go, one at a time; taken before mu

	// mu guards all below. It is taken on litedb's writer: hold it for moments,
	// and never while waiting for a Write.
	mu       sync.Mutex
	state    state
	lanes    lanes
	calendar calendar
	claims   map[freshet.ID]*claim   // jobs that run, have ended unwritten, or are being cancelled
	gone     map[freshet.ID]struct{} // cancelled while they waited
	held     int                     // bytes of the tasks that wait in memory
	early    []litedb.Outboxed       // committed while Start reads the file
	outcomes []outcome               // ended, not written yet
	writing  int                     // outcomes being written
	stats    jobs.Stats
	sleeping int             // workers that wait for work
	work     sync.Cond       // a lane came into the ring, outcomes have room, or Close
	finish   sync.Cond       // outcomes has one, or Close
	idle     []chan struct{} // of the callers of Idle
	err      error           // of the last outcomes, if they could not be written
}

// state is where an engine stands in its life.
type state int

const (
	fresh    state = iota
	loading        // Start reads the file
	running        //
	stopping       // no new attempts
	stopped        // no attempts at all: the finisher writes what is left
)

// claim marks a job that must not be taken by others.
type claim struct {
	lane *lane // set when the job's turn came while it was being cancelled
	ref  ref
}

// taken is the claim of a worker.
var taken = &claim{}

// New makes the engine of a file. Nothing happens before Start.
func New(db *litedb.DB, opts jobs.Options, handlers map[string]jobs.Handler) *Engine {
	e := &Engine{
		db: db, opts: opts.WithDefaults(), handlers: handlers, memory: Memory,
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
		lanes:  lanes{byKey: make(map[string]*lane)},
		claims: make(map[freshet.ID]*claim), gone: make(map[freshet.ID]struct{}),
	}
	e.work.L, e.finish.L = &e.mu, &e.mu
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// errStarted is returned by a second Start and by one after Close.
var errStarted = errors.New("jobs: the engine was started before")

// Start reads what waits and begins to run jobs. It takes about 2 µs for each
// waiting job. Where it fails the engine is closed.
func (e *Engine) Start(ctx context.Context) error {
	e.admin.Lock()
	defer e.admin.Unlock()
	e.mu.Lock()
	if e.state != fresh {
		e.mu.Unlock()
		return errStarted
	}
	e.state = loading
	e.mu.Unlock()
	e.db.OnCommit(e.onCommit)
	newest, err := e.load(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != loading {
		err = errors.Join(err, errors.New("jobs: the engine was closed"))
	}
	if err != nil {
		e.db.OnCommit(nil)
		e.state = stopped
		close(e.ended)
		return err
	}
	e.state = running
	for i := range e.early {
		if made(e.early[i].ID) > newest {
			e.admit(&e.early[i])
		}
	}
	e.early = nil
	for range e.opts.Workers {
		e.group.Go(e.runWorker)
	}
	e.group.Go(e.runClock)
	go e.runFinisher()
	return nil
}

// Close ends the running attempts' contexts, waits for them and writes their
// outcomes. The file must still be open. Later calls wait too.
func (e *Engine) Close() error {
	e.mu.Lock()
	was := e.state
	e.state = max(was, stopping)
	if was == fresh {
		e.state = stopped
		close(e.ended)
	}
	e.mu.Unlock()
	e.cancel()
	e.work.Broadcast()
	e.group.Wait()
	e.mu.Lock()
	if e.state < stopped {
		e.state = stopped
		e.db.OnCommit(nil)
	}
	e.mu.Unlock()
	e.finish.Broadcast()
	<-e.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settleIdle()
	return e.err
}

// Enqueue makes jobs in a write of their own.
func (e *Engine) Enqueue(ctx context.Context, effects ...freshet.Effect) error {
	_, err := e.db.Write(ctx, func(tx *litedb.Tx) error {
		for _, f := range effects {
			if err := tx.Emit(f, 0); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// onCommit hears of new jobs, on litedb's writer.
func (e *Engine) onCommit(made []litedb.Outboxed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.state {
	case loading:
		e.early = append(e.early, made...)
	case running:
		for i := range made {
			e.admit(&made[i])
		}
	}
}

// admit takes a job that committed into memory.
func (e *Engine) admit(o *litedb.Outboxed) {
	e.stats.Waiting++
	if e.handlers[o.Kind] == nil {
		return
	}
	r := ref{id: o.ID}
	if e.held < e.memory {
		r.task = newTask(o)
		e.held += r.task.size()
	}
	if !o.RunAt.IsZero() && o.RunAt.After(time.Now()) {
		e.schedule(date{at: o.RunAt.UnixNano(), key: o.Key, job: r})
		return
	}
	e.ready(o.Key, r)
}

// ready puts a job into the lane of its key.
func (e *Engine) ready(key string, r ref) {
	l := e.lanes.of(key)
	l.insert(r)
	e.settle(l)
}

// settle is [lanes.settle] that wakes a worker.
func (e *Engine) settle(l *lane) {
	if e.lanes.settle(l) && e.sleeping > 0 {
		e.work.Signal()
	}
}

// Idle waits until nothing can run now, nothing runs, and every outcome is written.
func (e *Engine) Idle(ctx context.Context) error {
	e.mu.Lock()
	e.releaseDue()
	done := make(chan struct{})
	e.idle = append(e.idle, done)
	e.settleIdle()
	e.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) settleIdle() {
	quiet := e.lanes.front == nil && e.stats.Running == 0 && len(e.outcomes)+e.writing == 0
	if !quiet && e.state != stopped {
		return
	}
	for _, done := range e.idle {
		close(done)
	}
	e.idle = nil
}

// Stats counts what is in memory; Oldest looks at each key with work.
func (e *Engine) Stats() jobs.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	for l := e.lanes.front; l != nil; l = l.next {
		if t := l.queue[l.head].since(); s.Oldest.IsZero() || t.Before(s.Oldest) {
			s.Oldest = t
		}
	}
	return s
}
