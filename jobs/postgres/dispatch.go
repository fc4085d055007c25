package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
)

const (
	visits   = 1000 // keys that a claim looks at; the next one goes on there
	promotes = 1000 // jobs that a turn makes ready
)

// round is the way of claims round the keys that have work.
type round struct {
	from    string // where it began
	stands  string // the key where the last claim ended
	wrapped bool   // it has come round the end of the alphabet
}

// runDispatcher takes a turn whenever there may be something to claim or to
// write, until no attempt runs any more.
func (e *Engine) runDispatcher() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures, goesOn := 0, false
	for {
		select {
		case <-e.wake:
			goesOn = false // perhaps at a key that was passed already
		case <-timer.C:
		case <-e.quiet:
			return
		}
		if !goesOn {
			e.round = round{from: e.round.stands, stands: e.round.stands}
		}
		wait, whole, err := e.turn()
		goesOn = err == nil && !whole
		if err == nil {
			failures = 0
			timer.Reset(wait)
			continue
		}
		failures++
		select {
		case <-time.After(min(10*time.Millisecond<<min(failures, 10), e.pace.poll)):
		case <-e.quiet:
			return
		}
		timer.Reset(0)
	}
}

// turn writes the outcomes that have gathered and claims as many jobs as there
// are free workers, in one flight. It gives how long nothing more is to be done,
// as far as this process knows, and whether the round of the keys is whole.
func (e *Engine) turn() (wait time.Duration, whole bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), flightMax)
	defer cancel()
	e.mu.Lock()
	lost := e.lost
	e.mu.Unlock()
	if lost {
		if err := e.enter(ctx); err != nil {
			return 0, true, err
		}
	}
	e.mu.Lock()
	batch, owner := e.outcomes, e.owner
	e.outcomes = nil
	slots := e.opts.Workers - len(e.running)
	var known []int64
	for a := range e.running {
		if a.owner == owner {
			known = append(known, int64(a.job.ID))
		}
	}
	e.mu.Unlock()

	c := claim{slots: slots}
	var calls []pgdb.Call
	if len(batch) > 0 {
		calls = append(calls, finish(batch, e.db.Now()))
	}
	if slots > 0 && len(e.kinds) > 0 {
		calls = append(calls, e.promote(&c), e.claim(&c, owner), claimed(&c, owner, known))
	}
	if len(calls) == 0 {
		return e.pace.poll, true, nil
	}
	_, err = e.db.Write(ctx, calls...)
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.turned)
	e.turned = make(chan struct{})
	if err != nil {
		e.outcomes = append(batch, e.outcomes...)
		return 0, true, err
	}
	for _, a := range c.attempts {
		e.begin(a)
	}
	if len(calls) < 3 {
		return e.pace.poll, true, nil
	}
	e.round.stands, e.round.wrapped = c.stands, c.wrapped
	e.lost = e.lost || !c.alive
	return c.wait(e.pace.poll), c.whole || c.promoted > 0 || len(c.attempts) > 0, nil
}

// claim is what a turn got.
type claim struct {
	slots    int
	promoted int
	nextIn   *int64 // microseconds until the next job is due
	alive    bool
	stands   string
	wrapped  bool
	whole    bool
	attempts []*attempt
}

func (c *claim) wait(poll time.Duration) time.Duration {
	switch {
	case !c.alive, c.promoted == promotes, !c.whole && len(c.attempts) < c.slots:
		return 0
	case c.nextIn != nil && *c.nextIn <= 0: // it is due, and somebody has his hands on it
		return 10 * time.Millisecond
	case c.nextIn != nil:
		return min(max(time.Duration(*c.nextIn)*time.Microsecond, time.Millisecond), poll)
	}
	return poll
}

func (e *Engine) promote(c *claim) pgdb.Call {
	return pgdb.Call{
		SQL:  "SELECT promoted, next_in FROM promote_jobs($1, $2)",
		Args: []any{e.db.Now(), promotes},
		Scan: func(r pgx.Rows) error { return r.Scan(&c.promoted, &c.nextIn) },
	}
}

func (e *Engine) claim(c *claim, owner int64) pgdb.Call {
	return pgdb.Call{
		SQL:  "SELECT alive, stands, wrapped, whole FROM claim_jobs($1, $2, $3, $4, $5, $6, $7)",
		Args: []any{owner, e.kinds, e.round.from, c.slots, visits, e.round.stands, e.round.wrapped},
		Scan: func(r pgx.Rows) error { return r.Scan(&c.alive, &c.stands, &c.wrapped, &c.whole) },
	}
}

// claimed reads what the process is said to run and does not: what was claimed
// just now, and by an earlier turn whose answer was lost.
func claimed(c *claim, owner int64, known []int64) pgdb.Call {
	return pgdb.Call{
		SQL:   "SELECT " + columns + ", runs, checkpoint FROM jobs WHERE owner = $1 AND state = 1 AND id <> ALL (coalesce($2, '{}'::bigint[])) ORDER BY seq",
		Args:  []any{owner, known},
		Begin: func() { c.attempts = nil },
		Scan: func(r pgx.Rows) error {
			a := &attempt{owner: owner}
			var err error
			a.job, err = scanJob(r, &a.run, &a.checkpoint)
			c.attempts = append(c.attempts, a)
			return err
		},
	}
}

const columns = "id, kind, key, subject, args, attempt, coalesce(run_at, created_at), created_at, state = 2, error"

// scanJob reads the columns of a job, and more behind them.
func scanJob(r pgx.Rows, more ...any) (j jobs.Job, err error) {
	err = r.Scan(append([]any{
		(*int64)(&j.ID), &j.Kind, &j.Key, (*int64)(&j.Subject), &j.Args, &j.Attempt, &j.RunAt, &j.CreatedAt, &j.Dead, &j.Error,
	}, more...)...)
	j.RunAt, j.CreatedAt = j.RunAt.UTC(), j.CreatedAt.UTC()
	return j, err
}

// result is how an attempt ended, as finish_jobs knows it.
type result int32

const (
	done result = iota
	failed
	dead
	interrupted // by Close: it does not count
)

// outcome is an attempt that ended and is to be written.
type outcome struct {
	id       freshet.ID
	run      int32
	result   result
	failures int
	delay    time.Duration // until the next attempt
	err      string
}

// finish writes outcomes.
func finish(batch []outcome, now *time.Time) pgdb.Call {
	n := len(batch)
	ids, delays, errs := make([]int64, n), make([]int64, n), make([]string, n)
	runs, results, failures := make([]int32, n), make([]int32, n), make([]int32, n)
	for i, o := range batch {
		ids[i], runs[i], results[i] = int64(o.id), o.run, int32(o.result)
		failures[i], delays[i], errs[i] = int32(o.failures), o.delay.Microseconds(), o.err
	}
	return pgdb.Call{
		SQL:  "SELECT finish_jobs($1, $2, $3, $4, $5, $6, $7)",
		Args: []any{ids, runs, results, failures, delays, errs, now},
	}
}

// leave writes the last outcomes and takes the process off the list.
func (e *Engine) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), closeMax)
	defer cancel()
	e.mu.Lock()
	batch, owner := e.outcomes, e.owner
	e.mu.Unlock()
	var calls []pgdb.Call
	if len(batch) > 0 {
		calls = append(calls, finish(batch, e.db.Now()))
	}
	calls = append(calls,
		pgdb.Call{SQL: "SELECT release_jobs($1)", Args: []any{owner}},
		pgdb.Call{SQL: "DELETE FROM job_processes WHERE id = $1", Args: []any{owner}})
	for {
		_, err := e.db.Write(ctx, calls...)
		if err == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			e.mu.Lock()
			e.err = fmt.Errorf("write outcomes of %d jobs, which will run again: %w", len(batch), err)
			e.mu.Unlock()
			return
		}
	}
}
