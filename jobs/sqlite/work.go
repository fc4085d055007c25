package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
)

// unwritten is how many outcomes may wait for their commit before workers pause.
const unwritten = 8192

// runWorker runs jobs until the engine stops.
func (e *Engine) runWorker() {
	for {
		l, r, ok := e.next()
		if !ok {
			return
		}
		e.run(l, r)
	}
}

// next waits for a job whose turn it is and claims it.
func (e *Engine) next() (l *lane, r ref, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.state == running {
		if len(e.outcomes)+e.writing < unwritten {
			if l, r, ok = e.lanes.turn(); ok {
				if e.lanes.front != nil && e.sleeping > 0 {
					e.work.Signal()
				}
				if e.claim(l, r) {
					return l, r, true
				}
				continue
			}
		}
		e.settleIdle()
		e.sleeping++
		e.work.Wait()
		e.sleeping--
	}
	return nil, r, false
}

// claim takes a job for a worker, unless it was cancelled or just is being so.
func (e *Engine) claim(l *lane, r ref) bool {
	if r.task != nil {
		e.held -= r.task.size()
	}
	if _, gone := e.gone[r.id]; gone {
		delete(e.gone, r.id)
		e.release(l)
		return false
	}
	if c := e.claims[r.id]; c != nil {
		c.lane, c.ref = l, ref{id: r.id}
		return false
	}
	e.claims[r.id] = taken
	e.stats.Waiting--
	e.stats.Running++
	return true
}

// release ends a turn of a lane.
func (e *Engine) release(l *lane) {
	if e.lanes.done(l) && e.sleeping > 0 {
		e.work.Signal()
	}
}

// run makes one attempt at a job and hands over its outcome.
func (e *Engine) run(l *lane, r ref) {
	t := r.task
	if t == nil {
		var err error
		if t, err = e.read(r.id); err != nil {
			e.putBack(l, r, time.Now().Add(time.Second))
			return
		}
		if t == nil {
			e.drop(l, r)
			return
		}
	}
	start := time.Now()
	o := outcome{id: t.job.ID, key: t.job.Key, unique: t.unique}
	if t.unique {
		o.start = e.db.Position().Offset
	}
	err := e.attempt(t)
	if e.opts.Observer != nil {
		e.opts.Observer.Ran(t.job.Kind, max(start.Sub(t.job.RunAt), 0), time.Since(start), err)
	}
	switch {
	case err == nil:
		o.result = done
	case jobs.IsFinal(err):
		o.result = dead
	case e.ctx.Err() != nil:
		o.result = interrupted
	case t.job.Attempt+1 >= e.opts.MaxAttempts:
		o.result = dead
	default:
		o.result = failed
	}
	if err != nil && o.result != interrupted {
		t.job.Attempt++
		t.job.Error = clip(err.Error(), 4096)
		t.job.RunAt = time.Now().Add(e.opts.Delay(t.job.Attempt))
	}
	o.attempt, o.runAt, o.err = t.job.Attempt, t.job.RunAt, t.job.Error
	e.conclude(l, t, o)
}

// attempt calls the handler. A panic is an error with the start of its stack.
func (e *Engine) attempt(t *task) (err error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.opts.Timeout)
	defer cancel()
	r := &attempt{engine: e, task: t}
	defer r.over.Store(true)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", p, clip(string(debug.Stack()), 2048))
		}
	}()
	return e.handlers[t.job.Kind](ctx, r)
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// attempt implements [jobs.Run].
type attempt struct {
	engine *Engine
	task   *task
	over   atomic.Bool
}

func (a *attempt) Job() jobs.Job      { return a.task.job }
func (a *attempt) Checkpoint() []byte { return a.task.checkpoint }

var errOver = errors.New("jobs: the attempt is over")

func (a *attempt) Save(ctx context.Context, checkpoint []byte) error {
	if a.over.Load() {
		return errOver
	}
	checkpoint = slices.Clone(checkpoint)
	_, err := a.engine.db.Write(ctx, func(tx *litedb.Tx) error {
		_, err := tx.Exec("UPDATE jobs SET checkpoint = ? WHERE id = ?", checkpoint, a.task.job.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("save checkpoint of job %s: %w", a.task.job.ID, err)
	}
	a.task.checkpoint = checkpoint
	return nil
}

// conclude takes in how an attempt ended.
func (e *Engine) conclude(l *lane, t *task, o outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Running--
	switch o.result {
	case interrupted: // the row still says that it waits
		e.stats.Waiting++
		delete(e.claims, o.id)
		return
	case done:
		e.stats.Done++
		e.release(l)
	case dead:
		e.stats.Failed++
		e.release(l)
	case failed:
		e.stats.Failed++
		e.stats.Waiting++
		delete(e.claims, o.id)
		e.again(l, ref{o.id, t}, o.runAt)
	}
	e.outcomes = append(e.outcomes, o)
	if len(e.outcomes) == 1 {
		e.finish.Signal()
	}
}

// again makes a job wait for its next attempt; its key waits with it.
func (e *Engine) again(l *lane, r ref, at time.Time) {
	if r.task != nil {
		e.held += r.task.size()
	}
	if l.key == "" {
		e.schedule(date{at: at.UnixNano(), job: r})
		return
	}
	l.busy = false
	e.hold(l, r, at.UnixNano())
}

// putBack undoes a turn whose job could not be read.
func (e *Engine) putBack(l *lane, r ref, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Running--
	e.stats.Waiting++
	delete(e.claims, r.id)
	e.again(l, r, at)
}

// drop ends the turn of a job that is gone.
func (e *Engine) drop(l *lane, r ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Running--
	delete(e.claims, r.id)
	e.release(l)
}
