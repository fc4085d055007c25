package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
)

// List gives waiting and running jobs, or the dead ones, by id after an id.
func (e *Engine) List(ctx context.Context, dead bool, after freshet.ID, limit int) (out []jobs.Job, err error) {
	which := "state <> 2"
	if dead {
		which = "state = 2"
	}
	err = e.db.Read(ctx, "SELECT "+columns+" FROM jobs WHERE id > $1 AND "+which+" ORDER BY id LIMIT $2", []any{int64(after), limit},
		func(r pgx.Rows) error {
			j, err := scanJob(r)
			out = append(out, j)
			return err
		})
	return out, err
}

// Retry runs a dead job again from its checkpoint.
func (e *Engine) Retry(ctx context.Context, id freshet.ID) error {
	n, err := e.change(ctx, "UPDATE jobs SET state = 0, attempt = 0, run_at = now_or($2) WHERE id = $1 AND state = 2 RETURNING id", int64(id), e.db.Now())
	switch {
	case errors.Is(err, freshet.ErrConflict):
		return freshet.Conflict("id", "names a job of which another now waits")
	case err == nil && n == 0:
		return freshet.NotFound("dead job")
	}
	return err
}

// Cancel removes a job that is not running.
func (e *Engine) Cancel(ctx context.Context, id freshet.ID) error {
	n, err := e.change(ctx, "DELETE FROM jobs WHERE id = $1 AND state <> 1 RETURNING id", int64(id))
	if err == nil && n == 0 {
		return freshet.NotFound("waiting job")
	}
	return err
}

// PurgeDead removes dead jobs made before a time and tells how many.
func (e *Engine) PurgeDead(ctx context.Context, before time.Time) (int, error) {
	return e.change(ctx, "DELETE FROM jobs WHERE state = 2 AND created_at < $1 RETURNING id", before)
}

// change runs one statement and counts its rows. Others may be able to run then.
func (e *Engine) change(ctx context.Context, sql string, args ...any) (n int, err error) {
	_, err = e.db.Write(ctx, pgdb.Call{
		SQL: sql, Args: args,
		Begin: func() { n = 0 },
		Scan:  func(pgx.Rows) error { n++; return nil },
	})
	if err != nil {
		return 0, err
	}
	e.poke()
	return n, nil
}
