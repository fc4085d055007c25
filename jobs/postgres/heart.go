package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/internal/pgdb"
)

// runHeart keeps the process on the list of those that live, and takes back the
// jobs of those that don't. A process that was cut off from the database for a
// while takes nothing back until its second beat: the others were perhaps cut
// off like it, and have had time to beat by then.
func (e *Engine) runHeart(ctx context.Context) {
	ticker := time.NewTicker(e.pace.beat)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if e.beat(ctx, time.Since(last) < 3*e.pace.beat) == nil {
			last = time.Now()
		}
	}
}

// beat is one sign of life, with a look at the others' where that is wanted.
func (e *Engine) beat(ctx context.Context, others bool) error {
	ctx, cancel := context.WithTimeout(ctx, flightMax)
	defer cancel()
	e.mu.Lock()
	owner := e.owner
	e.mu.Unlock()
	var silence *time.Duration // null: nobody is too silent
	if others {
		silence = &e.pace.silence
	}
	alive, taken := false, 0
	_, err := e.db.Write(ctx, pgdb.Call{
		SQL:  "SELECT alive, taken FROM beat_jobs($1, $2)",
		Args: []any{owner, silence},
		Scan: func(r pgx.Rows) error { return r.Scan(&alive, &taken) },
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.lost = e.lost || !alive && owner == e.owner
	e.mu.Unlock()
	if !alive || taken > 0 {
		e.poke()
	}
	return nil
}
