package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
)

var (
	errOver  = errors.New("jobs: the attempt is over")
	errTaken = errors.New("jobs: the process was silent for too long, the job is another one's")
)

// attempt is one run of a job; it implements [jobs.Run].
type attempt struct {
	engine     *Engine
	job        jobs.Job
	checkpoint []byte
	owner      int64 // the engine's name when it claimed the job
	run        int32 // with the job's id the fencing token
	ctx        context.Context
	cancel     context.CancelCauseFunc
	over       atomic.Bool
}

// begin runs a claimed job, or gives it back where the engine is closing. e.mu is held.
func (e *Engine) begin(a *attempt) {
	if e.state != running {
		e.outcomes = append(e.outcomes, outcome{id: a.job.ID, run: a.run, result: interrupted})
		return
	}
	a.engine = e
	a.ctx, a.cancel = context.WithCancelCause(e.ctx)
	e.running[a] = struct{}{}
	e.attempts.Go(a.make)
}

// make calls the handler and hands over how that ended.
func (a *attempt) make() {
	e := a.engine
	defer a.cancel(nil)
	start := time.Now()
	err := a.call()
	if e.opts.Observer != nil {
		e.opts.Observer.Ran(a.job.Kind, max(start.Sub(a.job.RunAt), 0), time.Since(start), err)
	}
	o := outcome{id: a.job.ID, run: a.run, failures: a.job.Attempt + 1}
	switch {
	case err == nil:
		o.result = done
	case jobs.IsFinal(err):
		o.result = dead
	case a.ctx.Err() != nil: // Close, or the job is another one's
		o.result = interrupted
	case o.failures >= e.opts.MaxAttempts:
		o.result = dead
	default:
		o.result = failed
		o.delay = e.opts.Delay(o.failures)
	}
	if err != nil {
		o.err = clean(err.Error(), 4096)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, a)
	switch o.result {
	case done:
		e.stats.Done++
	case failed, dead:
		e.stats.Failed++
	}
	e.outcomes = append(e.outcomes, o)
	e.poke()
}

// call calls the handler. A panic is an error with the start of its stack.
func (a *attempt) call() (err error) {
	ctx, cancel := context.WithTimeout(a.ctx, a.engine.opts.Timeout)
	defer cancel()
	defer a.over.Store(true)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v\n%.2048s", p, debug.Stack())
		}
	}()
	return a.engine.handlers[a.job.Kind](ctx, a)
}

// clean makes any text one that the database can hold, of n bytes at most.
func clean(s string, n int) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

func (a *attempt) Job() jobs.Job      { return a.job }
func (a *attempt) Checkpoint() []byte { return a.checkpoint }

// Save keeps a checkpoint. It fails as well once the job was taken over.
func (a *attempt) Save(ctx context.Context, checkpoint []byte) error {
	if a.over.Load() {
		return errOver
	}
	kept := false
	_, err := a.engine.db.Write(ctx, pgdb.Call{
		SQL:   "UPDATE jobs SET checkpoint = $3 WHERE id = $1 AND runs = $2 AND state = 1 RETURNING true",
		Args:  []any{int64(a.job.ID), a.run, checkpoint},
		Begin: func() { kept = false },
		Scan:  func(r pgx.Rows) error { return r.Scan(&kept) },
	})
	if err == nil && !kept {
		err = errTaken
	}
	if err != nil {
		return fmt.Errorf("save checkpoint of job %s: %w", a.job.ID, err)
	}
	return nil
}
