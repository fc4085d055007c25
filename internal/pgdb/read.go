package pgdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/position"
)

// whereQuery tells how far a server is: the primary up to what it has flushed, a replica up to what it has replayed. The
// primary's timeline comes from the name of a WAL file, a replica's from its receiver, as the control file says it as of the
// last checkpoint. (Without the role pg_monitor a replica's is that of the control file: it may seem to be behind, never
// ahead.)
const whereQuery = `SELECT (lsn - '0/0')::bigint, CASE WHEN standby
		THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))::bigint
		ELSE ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::bigint END, NOT standby
	FROM (SELECT pg_is_in_recovery() AS standby, CASE WHEN pg_is_in_recovery()
		THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END AS lsn) AS at`

// Where is how far a database is, and whether it takes writes.
type Where struct {
	At       position.Position
	Writable bool
}

// Where asks how far the database is.
func (d *DB) Where(ctx context.Context) (w Where, err error) {
	if d.system.Load() == 0 {
		if err := d.identify(ctx); err != nil {
			return w, explain(ctx, err)
		}
	}
	if err = d.read(ctx, whereQuery, nil, func(r pgx.Rows) error { return d.scanWhere(r, &w) }); err == nil {
		d.known.Store(&w.At) // also where it is less than before: a replica can be made anew, from an older copy
	}
	return w, explain(ctx, err)
}

// Position is up to where the database has committed, durably.
func (d *DB) Position(ctx context.Context) (position.Position, error) {
	w, err := d.Where(ctx)
	return w.At, err
}

// Known is how far the database is at least, as it was last heard by Where, a write or a read under a position.Reading.
// The zero position: never.
func (d *DB) Known() position.Position {
	if at := d.known.Load(); at != nil {
		return *at
	}
	return position.Position{}
}

// identify asks what system the database is.
func (d *DB) identify(ctx context.Context) error {
	var system int64
	if err := d.pool.QueryRow(ctx, "SELECT system FROM meta").Scan(&system); err != nil {
		return fmt.Errorf("ask the database for its identity (a replica has it once it has replayed what the primary made): %w", err)
	}
	d.system.Store(uint64(system))
	return nil
}

func (d *DB) scanWhere(r pgx.Rows, w *Where, more ...any) error {
	var lsn, timeline int64
	if err := r.Scan(append([]any{&lsn, &timeline, &w.Writable}, more...)...); err != nil {
		return err
	}
	d.writable.Store(w.Writable)
	w.At = position.Position{System: d.system.Load(), Timeline: uint32(timeline), Offset: uint64(lsn)}
	for {
		old := d.known.Load()
		if old != nil {
			if order, ok := w.At.Compare(*old); ok && order <= 0 {
				return nil
			}
		}
		if d.known.CompareAndSwap(old, &w.At) {
			return nil
		}
	}
}

// Read runs a query and calls scan for each row. A query that failed because of a schema change since it was prepared, or of
// a connection that ended before it was sent, runs once more; scan has seen nothing by then. Where the context bears a
// position.Reading, the question for the position goes in the same flight.
func (d *DB) Read(ctx context.Context, query string, args []any, scan func(pgx.Rows) error) error {
	reading := position.ReadingOf(ctx)
	if reading != nil {
		d.settle(ctx, reading.Need().At(d.system.Load()))
	}
	for try := 0; ; try++ {
		seen := false
		once := func(r pgx.Rows) error {
			seen = true
			return scan(r)
		}
		var err error
		if reading == nil {
			err = d.read(ctx, query, args, once)
		} else {
			low := d.Known()
			var high Where
			if high, err = d.flight(ctx, []Call{{SQL: query, Args: args, Scan: once}}); err == nil {
				// What the primary has flushed may wait for a standby yet, and then nobody sees it: no low is known there. It has
				// what was acknowledged, and so all that a read may need.
				if high.Writable {
					reading.Report(nil, position.Token{high.At})
				} else {
					reading.Report(position.Token{low}, position.Token{high.At})
				}
			}
		}
		if err == nil || seen || try > 0 || !again(err) {
			return explain(ctx, err)
		}
	}
}

func (d *DB) read(ctx context.Context, query string, args []any, scan func(pgx.Rows) error) error {
	rows, err := d.pool.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
