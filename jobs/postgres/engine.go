// Package postgres is the job engine on PostgreSQL: it runs the effects that
// commit in one database, in as many processes as have it open. Jobs stay in the
// table until they are done; a process holds those that it runs and no others.
//
//	db, err := pgdb.Open(ctx, url, pgdb.Options{Migrations: []pgdb.Migrations{postgres.Migrations()}})
//	engine := postgres.New(db, jobs.Options{}, map[string]jobs.Handler{
//		"fanout": func(ctx context.Context, r jobs.Run) error { … },
//	})
//	err = engine.Start(ctx)
//	defer engine.Close()
//
// How a job travels:
//
//	write ──COMMIT──▶ jobs (ready) ◀──────────── promoted when due ◀──┐
//	  │                 │                                             │
//	  └─Emitted─┐       │ a turn: one flight, one transaction         │
//	  poll, 1 s ┼──▶ dispatcher: finish ▸ promote ▸ claim             │
//	  due ──────┘       │          ▲                                  │
//	                    ▼          │ outcomes: done, dead, failed ────┘
//	                 handlers ─────┘
//
//	heart: beats once a second; who is silent for 5 s loses its jobs to the rest
//
// Invariants: one job of a key runs at a time in all processes together, which a
// unique index holds. Each attempt has a number, and what it saves or ends is
// refused once the job is in another run or in none, so a process that was thought
// dead can't end what another one runs. A job of an earlier turn that nobody knows
// of, because the answer of its claim was lost, is found by the next. Turns go
// round the keys in their alphabetical order.
//
// Order and turns are kept among the kinds that a process has handlers for; a
// claim steps over waiting jobs of other kinds one by one, so processes that share
// a database should know the same kinds. What another process emits is heard of by
// polling: NOTIFY would have all commits wait for each other.
//
// It is not a broker: nothing leaves the database.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the functions of this package; whoever opens the database runs them.
func Migrations() pgdb.Migrations {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return pgdb.Migrations{Owner: "jobs", Files: files}
}

// pace is how often an engine looks up.
type pace struct {
	poll    time.Duration // for what other processes made
	beat    time.Duration // the sign of life
	silence time.Duration // after which a process is dead
}

var usual = pace{poll: time.Second, beat: time.Second, silence: 5 * time.Second}

const (
	flightMax = 10 * time.Second // of a write of the engine's own
	closeMax  = 5 * time.Second  // of the last outcomes, once no attempt runs any more
)

var _ jobs.Engine = (*Engine)(nil)

// Engine implements [jobs.Engine] on a PostgreSQL database. A [pgdb.DB] has one, a
// database as many as there are processes.
type Engine struct {
	db       *pgdb.DB
	opts     jobs.Options
	handlers map[string]jobs.Handler
	kinds    []string
	pace     pace

	ctx      context.Context // of the attempts
	cancel   context.CancelFunc
	attempts sync.WaitGroup
	heart    sync.WaitGroup
	wake     chan struct{} // there may be work
	quiet    chan struct{} // closed when no attempt runs any more: the dispatcher ends
	ended    chan struct{} // closed when it has

	round round // the dispatcher's

	mu       sync.Mutex // guards all below; not held during a flight
	state    state
	owner    int64 // the process's present name; another one after it was thought dead
	lost     bool  // it was: a new name is needed
	running  map[*attempt]struct{}
	outcomes []outcome     // to be written
	turned   chan struct{} // closed after the next turn
	stats    jobs.Stats
	err      error // of the last outcomes, if they could not be written
}

// state is where an engine stands in its life.
type state int

const (
	fresh state = iota
	starting
	running
	stopping // no new attempts
	stopped
)

// New makes the engine of a database. Nothing happens before Start.
func New(db *pgdb.DB, opts jobs.Options, handlers map[string]jobs.Handler) *Engine {
	e := &Engine{
		db: db, opts: opts.WithDefaults(), handlers: handlers, pace: usual,
		wake: make(chan struct{}, 1), quiet: make(chan struct{}), ended: make(chan struct{}),
		running: make(map[*attempt]struct{}), turned: make(chan struct{}),
	}
	for kind := range handlers {
		e.kinds = append(e.kinds, kind)
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// errStarted is returned by a second Start and by one after Close.
var errStarted = errors.New("jobs: the engine was started before")

// Start enters the process among those that run jobs. Where it fails the engine
// is closed.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	if e.state != fresh {
		e.mu.Unlock()
		return errStarted
	}
	e.state = starting
	e.mu.Unlock()
	err := e.enter(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != starting {
		err = errors.Join(err, errors.New("jobs: the engine was closed"))
	}
	if err != nil {
		e.state = stopped
		close(e.ended)
		return err
	}
	e.state = running
	e.db.OnEffects(e.poke)
	beating, stop := context.WithCancel(context.Background())
	e.heart.Go(func() { e.runHeart(beating) })
	go func() {
		defer close(e.ended)
		e.runDispatcher()
		stop() // who ends attempts that take their time is alive until then
		e.heart.Wait()
		e.leave()
	}()
	return nil
}

// Close ends the running attempts' contexts, waits for them and writes their
// outcomes, which takes 15 s more at most where the database can't be reached.
// The database must still be open. Later calls wait too.
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
	if was == running {
		e.db.OnEffects(nil)
		e.attempts.Wait()
		close(e.quiet)
	}
	<-e.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = stopped
	return e.err
}

// enter gives the process a new name. What ran under the old one is not its any more.
func (e *Engine) enter(ctx context.Context) error {
	owner := rand.Int64()
	_, err := e.db.Write(ctx, pgdb.Call{SQL: "INSERT INTO job_processes (id, beat_at) VALUES ($1, clock_timestamp())", Args: []any{owner}})
	if err != nil {
		return fmt.Errorf("enter among the processes: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owner, e.lost = owner, false
	for a := range e.running {
		a.cancel(errTaken)
	}
	return nil
}

// poke has the dispatcher take a turn.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Enqueue makes jobs in a write of their own.
func (e *Engine) Enqueue(ctx context.Context, effects ...freshet.Effect) error {
	n := len(effects)
	kinds, keys, uniques := make([]string, n), make([]string, n), make([]string, n)
	subjects, args, times := make([]int64, n), make([][]byte, n), make([]*time.Time, n)
	for i, f := range effects {
		if f.Kind == "" {
			return errors.New("jobs: an effect without a kind")
		}
		kinds[i], keys[i], uniques[i], subjects[i], args[i] = f.Kind, f.Key, f.Unique, int64(f.Subject), f.Args
		if !f.RunAt.IsZero() {
			times[i] = &f.RunAt
		}
	}
	_, err := e.db.Write(ctx, pgdb.Call{SQL: "SELECT mark_changed()"}, pgdb.Call{
		SQL: `SELECT emit_effect(kind, key, subject, args, run_at, dedupe, $7)
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::timestamptz[], $6::text[]) AS e (kind, key, subject, args, run_at, dedupe)`,
		Args: []any{kinds, keys, subjects, args, times, uniques, e.db.Now()},
	})
	if err != nil {
		return fmt.Errorf("enqueue jobs: %w", err)
	}
	e.db.Emitted()
	return nil
}

// Idle waits until nothing can run here and nothing runs, here or in another
// process. An engine that was closed is idle.
func (e *Engine) Idle(ctx context.Context) error {
	const others = 100 * time.Millisecond // between two looks at what they run
	for {
		e.mu.Lock()
		turned, quiet := e.turned, e.state == fresh || e.state == stopped
		e.mu.Unlock()
		if quiet {
			return nil
		}
		busy := false
		err := e.db.Read(ctx, "SELECT jobs_busy($1, $2)", []any{e.kinds, e.db.Now()}, func(r pgx.Rows) error { return r.Scan(&busy) })
		if err != nil || !busy {
			return err
		}
		e.poke()
		select {
		case <-turned:
		case <-time.After(others):
		case <-e.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stats counts waiting and dead jobs of the whole database, and the rest of this
// engine. It asks the database, for 2 s at most; where that can't be reached the
// former are of the last time. A job behind another one's retry is due as well.
func (e *Engine) Stats() jobs.Stats {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var s jobs.Stats
	var oldest *time.Time
	err := e.db.Read(ctx, `SELECT (SELECT count(*) FROM jobs WHERE state IN (0, 4)) + (SELECT count(*) FROM jobs WHERE state = 3),
		(SELECT count(*) FROM jobs WHERE state = 2),
		(SELECT greatest(created_at, run_at) FROM jobs WHERE state = 0 AND kind = ANY ($1) ORDER BY seq LIMIT 1)`,
		[]any{e.kinds}, func(r pgx.Rows) error { return r.Scan(&s.Waiting, &s.Dead, &oldest) })
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.stats.Waiting, e.stats.Dead, e.stats.Oldest = s.Waiting, s.Dead, time.Time{}
		if oldest != nil {
			e.stats.Oldest = oldest.UTC()
		}
	}
	e.stats.Running = len(e.running)
	return e.stats
}
