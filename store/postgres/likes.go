package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Like notes that actor likes a post. Likes that come together share a transaction, in which a post's counter changes once: a
// popular post is no queue of transactions that wait for its row. Who is alone waits for nobody, and all are acknowledged after
// the commit.
func (d *DB) Like(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	if len(w.Effects) == 0 && w.Idempotency == nil {
		return d.likes.add(ctx, actor, post)
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT count, changed FROM like_post($1, $2, $3)",
		Args: []any{int64(actor), int64(post), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan(&count, &changed) },
	})
	return count, changed, at, err
}

// Unlike takes a like back; together with others, as Like.
func (d *DB) Unlike(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	if len(w.Effects) == 0 && w.Idempotency == nil {
		return d.unlikes.add(ctx, actor, post)
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT count, changed FROM unlike_post($1, $2)",
		Args: []any{int64(actor), int64(post)},
		Scan: func(r pgx.Rows) error { return r.Scan(&count, &changed) },
	})
	return count, changed, at, err
}

// LikedBy lists the posts that a user likes, from the highest id.
func (d *DB) LikedBy(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.ID, error) {
	return list(ctx, d, scanID, "SELECT post FROM likes WHERE user_id = $1 AND post < $2 ORDER BY post DESC LIMIT $3",
		int64(user), from(before), limit)
}

// Liked gives those of the posts that a user likes.
func (d *DB) Liked(ctx context.Context, user freshet.ID, posts []freshet.ID) ([]freshet.ID, error) {
	return list(ctx, d, scanID, "SELECT post FROM likes WHERE post = ANY ($2::bigint[]) AND user_id = $1", int64(user), numbers(posts))
}

// coalescer makes one transaction of the likes, or unlikes, that wait while the one before commits: 64 clients of one post get ten
// times as many as plain UPDATEs of one row (BenchmarkHotCounter), facts and changes included. Two transactions at a time would
// halve what each takes along and wait for each other's row.
type coalescer struct {
	db *pgdb.DB
	on bool

	mu      sync.Mutex
	waiting []*reaction
	writing bool
}

// reaction is one call that waits.
type reaction struct {
	actor, post freshet.ID
	reading     *position.Reading // of who asks
	done        chan struct{}
	missing     string
	count       int64
	changed     bool
	at          position.Position
	err         error
}

const (
	// coalescedMax bounds one transaction, which takes some 40 µs for each of them.
	coalescedMax = 512
	// coalescedFor bounds one transaction.
	coalescedFor = 10 * time.Second
)

func (c *coalescer) add(ctx context.Context, actor, post freshet.ID) (int64, bool, position.Token, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, nil, err
	}
	r := &reaction{actor: actor, post: post, reading: position.ReadingOf(ctx), done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, r)
	if !c.writing {
		c.writing = true
		go c.run() // until nobody waits, which coalescedFor bounds
	}
	c.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done(): // the outcome is unknown, as that of any write
		return 0, false, nil, ctx.Err()
	}
	switch {
	case r.err != nil:
		return 0, false, nil, r.err
	case r.missing == "moved":
		return 0, false, nil, store.ErrMoved
	case r.missing != "":
		return 0, false, nil, freshet.NotFound(r.missing)
	}
	return r.count, r.changed, position.Token{r.at}, nil
}

// run writes until nobody waits.
func (c *coalescer) run() {
	for {
		batch := c.take()
		if len(batch) == 0 {
			return
		}
		c.write(batch)
	}
}

// take takes the oldest of those who wait; where nobody does the writer ends. Who asks for the same as one before him
// stays for the next transaction, which answers that it was so already.
func (c *coalescer) take() (batch []*reaction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.waiting, c.writing = nil, false
		return nil
	}
	type pair struct{ actor, post freshet.ID }
	taken := make(map[pair]bool, min(len(c.waiting), coalescedMax))
	left := c.waiting[:0:0]
	for _, r := range c.waiting {
		if len(batch) < coalescedMax && !taken[pair{r.actor, r.post}] {
			taken[pair{r.actor, r.post}] = true
			batch = append(batch, r)
		} else {
			left = append(left, r)
		}
	}
	c.waiting = left
	return batch
}

func (c *coalescer) write(batch []*reaction) {
	actors, posts := make([]int64, len(batch)), make([]int64, len(batch))
	for i, r := range batch {
		actors[i], posts[i] = int64(r.actor), int64(r.post)
	}
	ctx, cancel := context.WithTimeout(context.Background(), coalescedFor)
	defer cancel()
	i := 0
	call := pgdb.Call{
		SQL:   "SELECT missing, likes, changed FROM like_many($1, $2, $3, $4)",
		Args:  []any{c.on, actors, posts, c.db.Now()},
		Begin: func() { i = 0 },
		Scan: func(rows pgx.Rows) error {
			r := batch[i]
			i++
			return rows.Scan(&r.missing, &r.count, &r.changed)
		},
	}
	at, err := c.db.Write(ctx, call)
	if errors.Is(err, pgdb.ErrMoved) { // a bucket was fenced, or left, while it was under way: now that is seen of each post
		at, err = c.db.Write(ctx, call)
	}
	for _, r := range batch {
		if r.at, r.err = at, portError(err); err == nil {
			r.reading.Report(nil, position.Token{at})
		}
		close(r.done)
	}
}
