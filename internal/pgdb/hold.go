package pgdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrHeld says that another process holds what was asked for.
var ErrHeld = errors.New("another process holds it")

// holdEvery is how often a hold is proven to be there still.
const holdEvery = 2 * time.Second

// Hold is a lock of a name in the database, shared or not, that lasts as long as its process and its connection. Where the
// connection ends it is taken again, as soon as that is possible: by then another process may have had it.
type Hold struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// Hold takes a lock, or fails with [ErrHeld].
func (d *DB) Hold(ctx context.Context, name string, shared bool) (*Hold, error) {
	conn, err := d.take(ctx, name, shared)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	h := &Hold{stop: stop}
	h.done.Go(func() { d.keep(watching, conn, name, shared) })
	return h, nil
}

// Release ends it.
func (h *Hold) Release() {
	h.stop()
	h.done.Wait()
}

func (d *DB) take(ctx context.Context, name string, shared bool) (*pgx.Conn, error) {
	config := d.pool.Config().ConnConfig.Copy()
	config.Tracer = nil
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, explainConnect(err)
	}
	query := "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
	if shared {
		query = "SELECT pg_try_advisory_lock_shared(hashtextextended($1, 0))"
	}
	var taken bool
	if err = conn.QueryRow(ctx, query, "freshet "+name).Scan(&taken); err == nil && !taken {
		err = fmt.Errorf("hold %s: %w", name, ErrHeld)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

func (d *DB) keep(ctx context.Context, conn *pgx.Conn, name string, shared bool) {
	log := d.opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if conn != nil {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = conn.Close(ending) // with it goes the lock, in any case
		}
	}()
	tick := time.NewTicker(holdEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, holdEvery)
		if conn != nil && conn.Ping(asking) != nil {
			_ = conn.Close(asking)
			conn = nil
		}
		if conn == nil {
			var err error
			if conn, err = d.take(asking, name, shared); err != nil && ctx.Err() == nil {
				log.Error("a lock in the database was lost and can't be had again yet", "name", name, "error", err)
			}
		}
		cancel()
	}
}
