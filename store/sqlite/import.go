package sqlite

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// ImportFollows loads one chunk of follows. What is followed already, what a
// block forbids, and follows of private users are passed over.
func (d *DB) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (store.ImportCount, error) {
	return d.importChunk(ctx, func(c *chunk) error {
		for i, row := range rows {
			if err := c.follow(row); err != nil {
				return fmt.Errorf("import follow %d: %w", i, err)
			}
		}
		return nil
	})
}

// ImportPosts loads one chunk of posts. What was imported before is passed over.
func (d *DB) ImportPosts(ctx context.Context, rows []store.ImportedPost) (store.ImportCount, error) {
	return d.importChunk(ctx, func(c *chunk) error {
		for i, row := range rows {
			if err := c.post(row); err != nil {
				return fmt.Errorf("import post %d: %w", i, err)
			}
		}
		return nil
	})
}

// chunk is one transaction of an import. Counters are summed up and written
// once per user at its end.
type chunk struct {
	*tx
	users   map[string]freshet.ID // by handle as written
	met     map[freshet.ID]bool   // who was known by id; whether they are here
	closed  map[freshet.ID]bool   // who was followed; whether they are private
	touched map[freshet.ID]counters
	count   store.ImportCount
}

type counters struct{ followers, following, posts int }

func (d *DB) importChunk(ctx context.Context, load func(*chunk) error) (count store.ImportCount, err error) {
	_, err = d.commit(ctx, func(t *tx) error {
		c := &chunk{tx: t, users: map[string]freshet.ID{}, met: map[freshet.ID]bool{}, closed: map[freshet.ID]bool{}, touched: map[freshet.ID]counters{}}
		if err := load(c); err != nil {
			return err
		}
		err := c.finish()
		count = c.count
		return err
	})
	if err != nil {
		return store.ImportCount{}, err
	}
	return count, nil
}

// finish writes the counters and the one row of the change feed.
func (c *chunk) finish() error {
	if len(c.touched) == 0 {
		return nil
	}
	for id := range c.touched {
		c.count.Touched = append(c.count.Touched, id)
	}
	c.count.Touched = sorted(c.count.Touched)
	for _, id := range c.count.Touched {
		n := c.touched[id]
		if n == (counters{}) { // also of a user elsewhere
			continue
		}
		counted, err := c.Exec(`UPDATE users SET followers_count = followers_count + ?2,
			following_count = following_count + ?3, posts_count = posts_count + ?4 WHERE id = ?1`,
			id, n.followers, n.following, n.posts)
		if err != nil {
			return err
		}
		if counted == 0 { // the handle's user is elsewhere
			return c.missing("user", id)
		}
	}
	return c.Change(uint8(store.Imported), 0, 0, c.count.Touched)
}

func (c *chunk) touch(id freshet.ID, by counters) {
	n := c.touched[id]
	n.followers += by.followers
	n.following += by.following
	n.posts += by.posts
	c.touched[id] = n
}

// user finds the user of a handle or makes it, unless the id is known.
func (c *chunk) user(handle string, known freshet.ID) (freshet.ID, error) {
	if known != 0 {
		if !c.met[known] {
			if err := c.needUsers(known); err != nil {
				return 0, err
			}
			c.met[known] = true
		}
		return known, nil
	}
	if id, met := c.users[handle]; met {
		return id, nil
	}
	id, found, err := c.number("SELECT user FROM handles WHERE handle = ?", handleKey(handle))
	if err != nil {
		return 0, err
	}
	user := freshet.User{ID: freshet.ID(id)}
	if !found {
		if user, err = c.createUser(freshet.NewUser{Handle: handle, Name: handle}); err != nil {
			return 0, err
		}
		c.count.Users++
		c.touch(user.ID, counters{})
	}
	if err := c.local(user.ID); err != nil {
		return 0, err
	}
	c.users[handle] = user.ID
	return user.ID, nil
}

func (c *chunk) follow(row store.ImportedFollow) error {
	follower, err := c.user(row.Follower, row.FollowerID)
	if err != nil {
		return err
	}
	followee, here, err := c.followee(row)
	if err != nil || followee == 0 {
		return err
	}
	if follower == followee {
		return freshet.Invalid("followee", "is the follower")
	}
	if err := c.apart(follower, followee, "user"); freshet.CodeOf(err) == freshet.CodeNotFound {
		return nil
	} else if err != nil {
		return err
	}
	if there, err := c.follows(follower, followee); err != nil || there {
		return err
	}
	if closed, err := c.private(followee, here); err != nil || closed {
		return err
	}
	edge, err := c.addFollow(follower, followee)
	if err != nil {
		return err
	}
	c.count.Follows++
	c.touch(follower, counters{following: 1})
	if !here {
		c.touch(followee, counters{})                                         // its part counts
		return c.mirror(store.FollowMade, follower, followee, edge, follower) // and nobody is notified
	}
	c.touch(followee, counters{followers: 1})
	return c.mirrorFollow(follower, followee, edge)
}

// private reports whether a user is known here to be private.
func (c *chunk) private(user freshet.ID, here bool) (bool, error) {
	closed, known := c.closed[user]
	if known || !here {
		return closed, nil
	}
	_, closed, err := c.number("SELECT 1 FROM users WHERE id = ? AND private", user)
	c.closed[user] = closed
	return closed, err
}

// followee is whom a row follows, who may be elsewhere where the id is known; 0:
// erased since it was found.
func (c *chunk) followee(row store.ImportedFollow) (id freshet.ID, here bool, err error) {
	if row.FolloweeID == 0 {
		id, err = c.user(row.Followee, 0)
		return id, true, err
	}
	here, met := c.met[row.FolloweeID]
	if met {
		return row.FolloweeID, here, nil
	}
	here, err = c.know(row.FolloweeID)
	if freshet.CodeOf(err) == freshet.CodeNotFound {
		return 0, false, nil
	}
	c.met[row.FolloweeID] = here
	return row.FolloweeID, here, err
}

func (c *chunk) post(row store.ImportedPost) error {
	author, err := c.user(row.Author, row.AuthorID)
	if err != nil {
		return err
	}
	if err := row.Check(c.Now()); err != nil {
		return err
	}
	id, err := c.freeID(row.Millis, author.Bucket())
	if err != nil {
		return err
	}
	isNew, err := c.Exec("INSERT INTO imported (hash, post) VALUES (?, ?) ON CONFLICT DO NOTHING", row.Hash(), id)
	if err != nil || isNew == 0 {
		return err
	}
	if _, err := c.Exec("INSERT INTO posts (id, author, created_at, ref, text) VALUES (?, ?, ?, '', ?)",
		id, author, row.CreatedAt, row.Text); err != nil {
		return err
	}
	c.PassID(id)
	c.count.Posts++
	c.touch(author, counters{posts: 1})
	return nil
}

// freeID gives the first id of a millisecond and bucket that no post has.
func (c *chunk) freeID(millis int64, bucket int) (freshet.ID, error) {
	free := freshet.NewID(millis, bucket, 0)
	last := free + freshet.Sequences - 1
	if err := c.Each("SELECT id FROM posts WHERE id BETWEEN ? AND ? ORDER BY id", []any{free, last}, func(r *litedb.Rows) {
		if r.ID(0) == free {
			free++
		}
	}); err != nil {
		return 0, err
	}
	if free > last {
		return 0, fmt.Errorf("all %d ids of the millisecond %d in bucket %d are taken", freshet.Sequences, millis, bucket)
	}
	return free, nil
}
