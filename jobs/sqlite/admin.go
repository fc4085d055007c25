package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
)

// List gives waiting and running jobs, or the dead ones, by id after an id.
func (e *Engine) List(ctx context.Context, dead bool, after freshet.ID, limit int) (out []jobs.Job, err error) {
	state := 0
	if dead {
		state = 1
	}
	err = e.db.View(ctx, func(c *litedb.Conn) error {
		return c.Each(fmt.Sprintf("SELECT %s FROM jobs WHERE id > ? AND state = %d ORDER BY id LIMIT ?", columns, state),
			[]any{after, limit}, func(r *litedb.Rows) { out = append(out, scanTask(r).job) })
	})
	return out, err
}

// Retry runs a dead job again from its checkpoint.
func (e *Engine) Retry(ctx context.Context, id freshet.ID) error {
	e.admin.Lock()
	defer e.admin.Unlock()
	var kind, key string
	_, err := e.db.Write(ctx, func(tx *litedb.Tx) error {
		var taken int64
		found, err := tx.One(`SELECT kind, key, EXISTS (SELECT 1 FROM jobs o WHERE o.state = 0 AND o.dedupe = j.dedupe)
			FROM jobs j WHERE id = ? AND state = 1`, []any{id}, func(r *litedb.Rows) {
			kind, key, taken = r.Text(0), r.Text(1), r.Int(2)
		})
		switch {
		case err != nil:
			return err
		case !found:
			return freshet.NotFound("dead job")
		case taken != 0:
			return freshet.Conflict("id", "names a job of which another now waits")
		}
		_, err = tx.Exec("UPDATE jobs SET state = 0, attempt = 0, run_at = ? WHERE id = ?", tx.Now(), id)
		return err
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != running {
		return nil
	}
	e.stats.Dead--
	e.stats.Waiting++
	if e.handlers[kind] != nil {
		e.ready(key, ref{id: id})
	}
	return nil
}

// Cancel removes a job that is not running.
func (e *Engine) Cancel(ctx context.Context, id freshet.ID) error {
	e.admin.Lock()
	defer e.admin.Unlock()
	c := &claim{}
	e.mu.Lock()
	if e.claims[id] != nil {
		e.mu.Unlock()
		return freshet.NotFound("waiting job")
	}
	e.claims[id] = c // a worker whose turn it is leaves the job to us
	e.mu.Unlock()

	var kind string
	var wasDead bool
	_, err := e.db.Write(ctx, func(tx *litedb.Tx) error {
		found, err := tx.One("SELECT kind, state FROM jobs WHERE id = ?", []any{id}, func(r *litedb.Rows) {
			kind, wasDead = r.Text(0), r.Int(1) != 0
		})
		if err != nil {
			return err
		}
		if !found {
			return freshet.NotFound("waiting job")
		}
		_, err = tx.Exec("DELETE FROM jobs WHERE id = ?", id)
		return err
	})

	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.claims, id)
	met := c.lane != nil
	switch {
	case err != nil && met && !errors.Is(err, freshet.ErrNotFound):
		c.lane.insert(c.ref)
	case err != nil || e.state != running:
	case wasDead:
		e.stats.Dead--
	default:
		e.stats.Waiting--
		if e.handlers[kind] != nil && !met {
			e.gone[id] = struct{}{} // its turn will come
		}
	}
	if met {
		e.release(c.lane)
	}
	e.settleIdle()
	return err
}

// PurgeDead removes dead jobs made before a time and tells how many.
func (e *Engine) PurgeDead(ctx context.Context, before time.Time) (int, error) {
	e.admin.Lock()
	defer e.admin.Unlock()
	var n int64
	_, err := e.db.Write(ctx, func(tx *litedb.Tx) (err error) {
		n, err = tx.Exec("DELETE FROM jobs WHERE state = 1 AND created_at < ?", before)
		return err
	})
	if err != nil {
		return 0, err
	}
	e.mu.Lock()
	e.stats.Dead = max(e.stats.Dead-int(n), 0)
	e.mu.Unlock()
	return int(n), nil
}
