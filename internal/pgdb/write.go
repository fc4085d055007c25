package pgdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Call is one statement of a write. Scan takes its rows; nil: nobody wants them. Where the write is repeated, Scan is called
// anew from the first row on, and Begin before that, for whoever gathers rows.
type Call struct {
	SQL   string
	Args  []any
	Scan  func(pgx.Rows) error
	Begin func()
}

// attempts bounds how often a write is repeated that the server rolled back for another's sake.
const attempts = 8

// Write runs calls as one transaction in one flight, and returns the position at which it stands. What a deadlock or a
// serialization failure rolled back is repeated. After a connection was lost the outcome is unknown.
func (d *DB) Write(ctx context.Context, calls ...Call) (at position.Position, err error) {
	for try := range attempts {
		var w Where
		if w, err = d.flight(ctx, calls); err == nil {
			position.ReadingOf(ctx).Report(nil, position.Token{w.At})
			return w.At, nil
		}
		if !again(err) {
			break
		}
		if try > 0 && !pause(ctx, try) {
			break
		}
	}
	if readOnly(err) {
		d.pool.Reset() // its connections lead to who was the primary
	}
	d.noteFull(err)
	return at, explain(ctx, err)
}

// pause waits a little longer each time, and tells whether ctx still holds.
func pause(ctx context.Context, try int) bool {
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(time.Millisecond) << try))):
		return true
	case <-ctx.Done():
		return false
	}
}

// flight sends calls as one transaction, and the question for the position behind it.
func (d *DB) flight(ctx context.Context, calls []Call) (at Where, err error) {
	held, err := d.pool.Acquire(ctx)
	if err != nil {
		return at, err
	}
	defer held.Release()
	conn := held.Conn()
	began := time.Now()
	defer func() { d.slow.observe(ctx, calls[0].SQL, time.Since(began), err) }()
	all := append(calls[:len(calls):len(calls)], Call{SQL: whereQuery, Scan: func(r pgx.Rows) error { return d.scanWhere(r, &at) }})
	prepared := make([]*pgconn.StatementDescription, len(all))
	for i, c := range all {
		if prepared[i], err = conn.Prepare(ctx, c.SQL, c.SQL); err != nil { // once per connection
			return at, err
		}
	}
	p := conn.PgConn().StartPipeline(ctx)
	for i, c := range all {
		var build pgx.ExtendedQueryBuilder // one each: the pipeline reads ResultFormats when the answer comes
		if i == len(calls) {
			p.SendPipelineSync()
		}
		if err := build.Build(conn.TypeMap(), prepared[i], c.Args); err != nil {
			return at, errors.Join(fmt.Errorf("arguments of %q: %w", c.SQL, err), abandon(conn, p))
		}
		p.SendQueryStatement(prepared[i], build.ParamValues, build.ParamFormats, build.ResultFormats)
	}
	p.SendPipelineSync()
	if err = p.Flush(); err == nil {
		err = d.answers(conn, p, all)
	}
	if closed := p.Close(); err == nil {
		err = closed
	}
	if stale(err) {
		_ = conn.DeallocateAll(ctx) // prepared before the schema changed
	}
	return at, err
}

// abandon ends a pipeline of which nothing was sent: whatever the server would make of a part of it.
func abandon(conn *pgx.Conn, p *pgconn.Pipeline) error {
	err := conn.PgConn().Close(context.Background())
	_ = p.Close()
	return err
}

// answers reads what the calls returned, in their order, up to the last Sync. The first error is that of the transaction:
// the server passes over what follows it.
func (d *DB) answers(conn *pgx.Conn, p *pgconn.Pipeline, calls []Call) (first error) {
	for _, c := range calls {
		if c.Begin != nil {
			c.Begin()
		}
	}
	next := 0
	for syncs := 0; syncs < 2; {
		result, err := p.GetResults()
		switch r := result.(type) {
		case *pgconn.ResultReader:
			if e := take(conn, r, calls[next].Scan); e != nil && first == nil {
				first = e
			}
			next++
		case *pgconn.PipelineSync:
			if syncs++; syncs == 1 && first != nil {
				next = len(calls) - 1
			}
		case nil:
			if err == nil { // nothing is left
				return first
			}
		}
		if err != nil {
			if first == nil {
				first = err
			}
			if _, server := errors.AsType[*pgconn.PgError](err); !server {
				return first
			}
		}
	}
	return first
}

func take(conn *pgx.Conn, r *pgconn.ResultReader, scan func(pgx.Rows) error) error {
	if scan == nil {
		_, err := r.Close()
		return err
	}
	rows := pgx.RowsFromResultReader(conn.TypeMap(), r)
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

func stale(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "0A000"
}

// Do runs op in a transaction of several round trips, for writes that must decide between their statements. op may run more
// than once, and must not keep the transaction.
func (d *DB) Do(ctx context.Context, op func(pgx.Tx) error) (at position.Position, err error) {
	for try := range attempts {
		if err = pgx.BeginFunc(ctx, d.pool, op); err == nil || !again(err) {
			break
		}
		if !pause(ctx, try+1) {
			break
		}
	}
	if err != nil {
		if readOnly(err) {
			d.pool.Reset()
		}
		d.noteFull(err)
		return at, explain(ctx, err)
	}
	w, err := d.Where(ctx)
	if e, told := errors.AsType[*freshet.Error](err); told && e.NotMade {
		made := *e // only the question failed
		made.NotMade = false
		err = &made
	}
	position.ReadingOf(ctx).Report(nil, position.Token{w.At})
	return w.At, err
}
