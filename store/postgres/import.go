package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// ImportFollows loads one chunk of follows. What is followed already, and what a block forbids, is passed over.
func (d *DB) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (store.ImportCount, error) {
	var handles []string
	for i, r := range rows {
		if handleKey(r.Follower) == handleKey(r.Followee) {
			return store.ImportCount{}, fmt.Errorf("import follow %d: %w", i, freshet.Invalid("followee", "is the follower"))
		}
		handles = unknown(unknown(handles, r.Follower, r.FollowerID), r.Followee, r.FolloweeID)
	}
	return d.importChunk(ctx, handles, func(c *chunk) error {
		actors, targets := make([]int64, len(rows)), make([]int64, len(rows))
		for i, r := range rows {
			actors[i], targets[i] = c.user(r.Follower, r.FollowerID), c.user(r.Followee, r.FolloweeID)
		}
		return c.each("SELECT follower, followee FROM import_follows($1, $2, $3)", []any{actors, targets, d.db.Now()}, func(follower, followee int64) {
			c.count.Follows++
			c.touch(follower)
			c.touch(followee)
		})
	})
}

// ImportPosts loads one chunk of posts. What was imported before is passed over.
func (d *DB) ImportPosts(ctx context.Context, rows []store.ImportedPost) (store.ImportCount, error) {
	var handles []string
	now := time.Now()
	if at := d.db.Now(); at != nil {
		now = *at
	}
	for i, r := range rows {
		handles = unknown(handles, r.Author, r.AuthorID)
		if err := r.Check(now); err != nil {
			return store.ImportCount{}, fmt.Errorf("import post %d: %w", i, err)
		}
	}
	return d.importChunk(ctx, handles, func(c *chunk) error {
		n := len(rows)
		authors, firsts, hashes, times, texts := make([]int64, n), make([]int64, n), make([][]byte, n), make([]time.Time, n), make([]string, n)
		for i, r := range rows {
			authors[i] = c.user(r.Author, r.AuthorID)
			firsts[i] = int64(freshet.NewID(r.Millis, freshet.ID(authors[i]).Bucket(), 0))
			hashes[i], times[i], texts[i] = r.Hash(), r.CreatedAt, r.Text
		}
		return c.each("SELECT author, post FROM import_posts($1, $2, $3, $4, $5)", []any{authors, firsts, hashes, times, texts}, func(author, _ int64) {
			c.count.Posts++
			c.touch(author)
		})
	})
}

// chunk is one transaction of an import.
type chunk struct {
	ctx     context.Context
	tx      pgx.Tx
	users   map[string]int64 // by handleKey
	touched map[int64]bool
	count   store.ImportCount
}

// unknown adds a handle that must be looked up.
func unknown(handles []string, handle string, known freshet.ID) []string {
	if known == 0 {
		handles = append(handles, handle)
	}
	return handles
}

// user is the user of a handle that was looked up, unless it was known.
func (c *chunk) user(handle string, known freshet.ID) int64 {
	if known != 0 {
		return int64(known)
	}
	return c.users[handleKey(handle)]
}

func (c *chunk) touch(id int64) { c.touched[id] = true }

func (c *chunk) each(query string, args []any, do func(a, b int64)) error {
	rows, err := c.tx.Query(c.ctx, query, args...)
	if err != nil {
		return err
	}
	var a, b int64
	_, err = pgx.ForEachRow(rows, []any{&a, &b}, func() error {
		do(a, b)
		return nil
	})
	return err
}

// importChunk finds or makes the users of handles, loads, and tells the change feed whom it touched. Chunks take turns.
func (d *DB) importChunk(ctx context.Context, handles []string, load func(*chunk) error) (count store.ImportCount, err error) {
	_, err = d.db.Do(ctx, func(tx pgx.Tx) error {
		c := &chunk{ctx: ctx, tx: tx, users: make(map[string]int64), touched: make(map[int64]bool)}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('freshet.import'))"); err != nil {
			return err
		}
		if err := c.findUsers(handles, d.db.Now()); err != nil {
			return err
		}
		if err := load(c); err != nil {
			return err
		}
		for id := range c.touched {
			c.count.Touched = append(c.count.Touched, freshet.ID(id))
		}
		c.count.Touched = sorted(c.count.Touched)
		if count = c.count; len(c.touched) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, "SELECT emit_change($1, 0, 0, $2)", int(store.Imported), numbers(count.Touched))
		return err
	})
	if err != nil {
		return store.ImportCount{}, portError(err)
	}
	return count, nil
}

// findUsers finds the users of handles or makes them.
func (c *chunk) findUsers(handles []string, now *time.Time) error {
	var names, keys []string
	var buckets []int32
	seen := make(map[string]bool)
	for _, h := range handles {
		key := handleKey(h)
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := freshet.CheckHandle("handle", h); err != nil {
			return fmt.Errorf("import %q: %w", h, err)
		}
		names, keys, buckets = append(names, h), append(keys, key), append(buckets, int32(bucketOf(key)))
	}
	if len(names) == 0 { // all are known
		return nil
	}
	rows, err := c.tx.Query(c.ctx, "SELECT handle, user_id, created FROM import_users($1, $2, $3, $4)", names, keys, buckets, now)
	if err != nil {
		return err
	}
	var key string
	var id int64
	var created bool
	_, err = pgx.ForEachRow(rows, []any{&key, &id, &created}, func() error {
		if c.users[key] = id; created {
			c.count.Users++
			c.touch(id)
		}
		return nil
	})
	return err
}
