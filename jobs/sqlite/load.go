package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
)

// task is a job in memory.
type task struct {
	job        jobs.Job
	checkpoint []byte
	unique     bool
}

func newTask(o *litedb.Outboxed) *task {
	t := &task{unique: o.Unique != "", job: jobs.Job{
		ID: o.ID, Kind: o.Kind, Key: o.Key, Subject: o.Subject,
		Args:  slices.Clone(o.Args), // whoever made the effect may use the bytes again
		RunAt: o.RunAt, CreatedAt: o.CreatedAt,
	}}
	if t.job.RunAt.IsZero() {
		t.job.RunAt = o.CreatedAt
	}
	return t
}

// size is about how many bytes a task holds.
func (t *task) size() int {
	return 320 + len(t.job.Args) + len(t.job.Key) + len(t.checkpoint) + len(t.job.Error)
}

// load takes up what waits in the file, without the jobs themselves, and gives
// the order number of the newest.
func (e *Engine) load(ctx context.Context) (newest int64, err error) {
	err = e.db.View(ctx, func(c *litedb.Conn) error {
		var dead int64
		if _, err := c.One("SELECT count(*) FROM jobs WHERE state = 1", nil, func(r *litedb.Rows) { dead = r.Int(0) }); err != nil {
			return err
		}
		e.mu.Lock()
		e.stats.Dead = int(dead)
		e.mu.Unlock()
		return c.Each(`SELECT id, kind, key, attempt, CASE WHEN run_at > created_at THEN run_at ELSE 0 END
			FROM jobs WHERE state = 0 ORDER BY id`, nil, func(r *litedb.Rows) {
			newest = max(newest, made(r.ID(0)))
			e.mu.Lock()
			defer e.mu.Unlock()
			e.resume(r.ID(0), r.Text(1), r.Text(2), r.Int(3) > 0, r.Int(4))
		})
	})
	if err != nil {
		return 0, fmt.Errorf("read jobs: %w", err)
	}
	return newest, nil
}

// resume takes a job of an earlier process into memory.
func (e *Engine) resume(id freshet.ID, kind, key string, failed bool, runAt int64) {
	e.stats.Waiting++
	switch {
	case e.handlers[kind] == nil:
	case runAt <= time.Now().UnixNano():
		e.ready(key, ref{id: id})
	case failed && key != "":
		e.hold(e.lanes.of(key), ref{id: id}, runAt)
	default:
		e.schedule(date{at: runAt, key: key, job: ref{id: id}})
	}
}

const columns = "id, kind, key, subject, args, attempt, run_at, created_at, state, error, checkpoint, dedupe IS NOT NULL"

func scanTask(r *litedb.Rows) *task {
	return &task{checkpoint: r.Blob(10), unique: r.Int(11) != 0, job: jobs.Job{
		ID: r.ID(0), Kind: r.Text(1), Key: r.Text(2), Subject: r.ID(3), Args: r.Blob(4),
		Attempt: int(r.Int(5)), RunAt: r.Time(6), CreatedAt: r.Time(7),
		Dead: r.Int(8) != 0, Error: r.Text(9),
	}}
}

// read gets a job that waits without its task; nil if it is gone.
func (e *Engine) read(id freshet.ID) (t *task, err error) {
	err = e.db.View(context.Background(), func(c *litedb.Conn) error {
		_, err := c.One("SELECT "+columns+" FROM jobs WHERE id = ? AND state = 0", []any{id}, func(r *litedb.Rows) { t = scanTask(r) })
		return err
	})
	return t, err
}
