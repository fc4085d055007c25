package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// A move's state lies in one row, which each of its steps locks; what other writes may do is decided by triggers that are there
// while a move is on (note_move), under an advisory lock:
//
//	a write    row locks … change ── lock, shared; refused where it is not to be had ── state, read anew ── note ── commit
//	a flip     ── lock, alone: waits for the writes that have it ── fenced, or elsewhere ── commit
//
// So none waits for a flip with rows in its hands, and what a flip has decided holds for every write that it has not waited for.

// guardWaits are how long a table's guard waits, in milliseconds, for who is writing the table; others wait behind it. The longer ones
// are for an autovacuum, which yields after deadlock_timeout (1 s). In between the others go on for as long.
var guardWaits = []int{50, 100, 200, 400, 800, 1600, 1600, 1600}

// guardRetry is when to begin again where that was not enough.
const guardRetry = 5 * time.Second

// BeginMove guards buckets. A transaction that has written one of the tables and goes on for seconds holds that up, and at last
// makes it fail with unavailable; then it is begun again, or ended.
func (d *DB) BeginMove(ctx context.Context, term uint64, b store.Buckets) (now time.Time, err error) {
	if b == (store.Buckets{}) {
		return now, freshet.Invalid("buckets", "are none")
	}
	call := pgdb.Call{
		SQL: "SELECT begin_move($1, $2, $3)", Args: []any{int64(term), list32(b.List()), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan(&now) },
	}
	if _, err = d.step(ctx, "begin a move", call); err != nil {
		return now, err
	}
	var tables []string
	for _, m := range movables {
		if m.place != atHome || b.Has(0) {
			tables = append(tables, m.guarded...)
		}
	}
	return now.UTC(), d.guard(ctx, "begin a move", term, true, tables)
}

// guard makes or drops the guards of tables, in their order.
func (d *DB) guard(ctx context.Context, what string, term uint64, make bool, tables []string) error {
	for try := 0; len(tables) > 0; {
		began, done := time.Now(), 0
		if _, err := d.step(ctx, what, pgdb.Call{
			SQL: "CALL guard_tables($1, $2, $3, $4, NULL)", Args: []any{int64(term), make, tables, guardWaits[try]},
			Scan: func(r pgx.Rows) error { return r.Scan(&done) },
		}); err != nil {
			return err
		}
		if tables = tables[done:]; done > 0 {
			try = 0
			continue
		}
		if try++; try == len(guardWaits) {
			return fmt.Errorf("%s: %w", what, &freshet.Error{
				Code: freshet.CodeUnavailable, RetryAfter: guardRetry,
				Message: "a transaction that has written " + tables[0] + " goes on for too long: see pg_stat_activity",
			})
		}
		select {
		case <-time.After(time.Since(began)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// EndMove forgets the move first, and then its guards, which know of none from then on.
func (d *DB) EndMove(ctx context.Context, term uint64) error {
	var guarded []string
	if _, err := d.step(ctx, "end a move", pgdb.Call{SQL: "SELECT end_move($1)", Args: []any{int64(term)}}, gather(&guarded, func(r pgx.Rows) (name string, err error) {
		return name, r.Scan(&name)
	}, pgdb.Call{SQL: `SELECT relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE tgname = 'freshet_move' AND tgparentid = 0 AND relnamespace = current_schema::regnamespace`})); err != nil {
		return err
	}
	var tables []string
	for _, m := range movables { // mirrors and ends behind the users' own, which who writes them has locked
		for _, table := range m.guarded {
			if slices.Contains(guarded, table) {
				tables = append(tables, table)
			}
		}
	}
	if err := d.guard(ctx, "end a move", term, false, tables); err != nil {
		return err
	}
	_, err := d.step(ctx, "end a move", pgdb.Call{SQL: "DELETE FROM move_notes WHERE NOT EXISTS (SELECT FROM move WHERE buckets <> '{}')"})
	return err
}

// step is one transaction of a mover.
func (d *DB) step(ctx context.Context, what string, calls ...pgdb.Call) (position.Token, error) {
	at, err := d.db.Write(ctx, calls...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, portError(err))
	}
	return position.Token{at}, nil
}

// Fence refuses writes until the lease is over, by the server's clock.
func (d *DB) Fence(ctx context.Context, term uint64, lease time.Duration) (now time.Time, err error) {
	_, err = d.step(ctx, "fence buckets", pgdb.Call{
		SQL: "SELECT fence_buckets($1, $2, $3)", Args: []any{int64(term), max(lease, 0), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan(&now) },
	})
	return now.UTC(), err
}

// Leave gives the buckets away.
func (d *DB) Leave(ctx context.Context, term uint64) (position.Token, error) {
	return d.step(ctx, "leave buckets", pgdb.Call{SQL: "SELECT leave_buckets($1)", Args: []any{int64(term)}})
}

// Join takes the buckets.
func (d *DB) Join(ctx context.Context, term uint64) (position.Token, error) {
	return d.step(ctx, "join buckets", pgdb.Call{SQL: "SELECT join_buckets($1, $2)", Args: []any{int64(term), d.db.Now()}})
}

// MovePlan gives what SetMovePlan kept last.
func (d *DB) MovePlan(ctx context.Context) (plan []byte, version uint64, err error) {
	err = d.db.Read(ctx, "SELECT plan, version FROM move_plan", nil, func(r pgx.Rows) error {
		var n int64
		err := r.Scan(&plan, &n)
		version = uint64(n)
		return err
	})
	return plan, version, err
}

// SetMovePlan keeps a plan.
func (d *DB) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	_, err := d.step(ctx, "keep the plan of a move", pgdb.Call{SQL: "SELECT set_move_plan($1, $2)", Args: []any{int64(version), append([]byte{}, plan...)}})
	return err
}
