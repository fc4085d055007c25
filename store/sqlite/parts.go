package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// Elsewhere are the buckets that are not in this file.
func (d *DB) Elsewhere(ctx context.Context) (b store.Buckets, err error) {
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		b = store.Buckets{}
		return c.Each("SELECT bucket FROM elsewhere", nil, func(r *litedb.Rows) { b.Add(int(r.Int(0))) })
	})
	return b, err
}

// SetElsewhere says which buckets are not in this file.
func (d *DB) SetElsewhere(ctx context.Context, b store.Buckets) error {
	_, err := d.write(ctx, store.Write{}, func(t *tx) error {
		m, err := t.move()
		if err != nil {
			return err
		}
		for _, n := range m.buckets.List() {
			if b.Has(n) != m.away {
				return freshet.Conflict("buckets", "are being moved")
			}
		}
		t.d.where.forget(t.d.file)
		if err := t.exec("DELETE FROM elsewhere"); err != nil {
			return err
		}
		return t.exec("INSERT INTO elsewhere (bucket) SELECT value FROM json_each(?)", jsonNumbers(b))
	})
	if err != nil {
		return fmt.Errorf("set buckets elsewhere: %w", err)
	}
	return nil
}

// jsonNumbers lists buckets as json_each reads them.
func jsonNumbers(b store.Buckets) string {
	var numbers []freshet.ID
	for _, n := range b.List() {
		numbers = append(numbers, freshet.ID(n))
	}
	return jsonIDs(numbers)
}

// away reports whether a bucket is elsewhere.
func (t *tx) away(bucket int) (bool, error) {
	w, err := t.whereabouts()
	return err == nil && w.elsewhere.Has(bucket), err
}

// local fails where the bucket of an id is elsewhere. While it comes or goes,
// rows of it lie here that are not the truth, so it is asked before they are read.
func (t *tx) local(id freshet.ID) error {
	away, err := t.away(id.Bucket())
	if err == nil && away {
		err = store.ErrMoved
	}
	return err
}

// atHome fails where names are elsewhere: they are with bucket 0.
func (t *tx) atHome() error { return t.local(0) }

// missing is the error of a write on something that is not here.
func (t *tx) missing(what string, id freshet.ID) error {
	away, err := t.away(id.Bucket())
	switch {
	case err != nil:
		return err
	case away:
		return store.ErrMoved
	}
	return freshet.NotFound(what)
}

// needUsers fails where one of the users is absent.
func (t *tx) needUsers(ids ...freshet.ID) error {
	for _, id := range ids {
		if here, err := t.here(id); err != nil {
			return err
		} else if !here {
			return t.missing("user", id)
		}
	}
	return nil
}

// here reports whether a user exists and is not elsewhere, whatever lies here of it.
func (t *tx) here(user freshet.ID) (bool, error) {
	if away, err := t.away(user.Bucket()); err != nil || away {
		return false, err
	}
	_, here, err := t.number("SELECT 1 FROM users WHERE id = ?", user)
	return here, err
}

// know fails where a user is absent and can't be elsewhere either.
func (t *tx) know(user freshet.ID) (here bool, err error) {
	if here, err = t.here(user); err != nil || here {
		return here, err
	}
	if away, err := t.away(user.Bucket()); err != nil {
		return false, err
	} else if !away {
		return false, freshet.NotFound("user")
	}
	ended, err := t.ended(user)
	if err == nil && ended {
		err = freshet.NotFound("user")
	}
	return false, err
}

// ended reports whether a user was erased, as far as this file has heard.
func (t *tx) ended(user freshet.ID) (bool, error) {
	_, ended, err := t.number("SELECT 1 FROM ended WHERE id = ?", user)
	return ended, err
}

// end notes that a user is no more.
func (t *tx) end(user freshet.ID) error {
	return t.exec("INSERT INTO ended (id) VALUES (?) ON CONFLICT DO NOTHING", user)
}

// postsOf is home for authors who are given; they come in a list without repeats.
const postsOf = `SELECT p.id, p.author FROM json_each(?1) f CROSS JOIN posts p ON p.author = f.value
	WHERE p.id < ?2 ORDER BY p.id DESC LIMIT ?3`

// PostsOf lists the posts of authors, newest first.
func (d *DB) PostsOf(ctx context.Context, authors []freshet.ID, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	return list(ctx, d, postsOf, []any{jsonIDs(sorted(slices.Clone(authors))), from(before), limit}, scanRef)
}

// CredentialsOf gives what a sign-in of a user is checked against.
func (d *DB) CredentialsOf(ctx context.Context, user freshet.ID) (freshet.Credentials, error) {
	return get(ctx, d, "user", "SELECT id, password_hash, admin FROM users WHERE id = ?", user, scanCredentials)
}

// Halves lists facts between a user here and one elsewhere. Followers stand in
// the order of their ids, so a page of mirrored follows reads all those of the
// users in it: 0.2 s for a user with a million.
func (d *DB) Halves(ctx context.Context, q store.HalfQuery) ([]store.Half, error) {
	table, here, there := "follows", "follower", "followee"
	switch {
	case q.Blocks && q.Mirror:
		table, here, there = "blocked_by", "blocked", "blocker"
	case q.Blocks:
		table, here, there = "blocks", "blocker", "blocked"
	case q.Mirror:
		table, here, there = "followers", "followee", "follower"
	}
	query := fmt.Sprintf(`SELECT %[2]s, %[3]s, id FROM %[1]s WHERE %[2]s >= ?1 AND (%[2]s > ?1 OR %[3]s > ?2)
		AND %[4]s AND NOT %[5]s ORDER BY %[2]s, %[3]s LIMIT ?3`, table, here, there, isAway(there), isAway(here))
	return list(ctx, d, query, []any{q.After.Here, q.After.There, q.Limit}, func(r *litedb.Rows) store.Half {
		return store.Half{Here: r.ID(0), There: r.ID(1), Edge: r.ID(2)}
	})
}

// isAway is the condition that an id's bucket is elsewhere; 12 is where an id's
// bucket begins.
func isAway(id string) string {
	return "EXISTS (SELECT 1 FROM elsewhere WHERE bucket = " + id + " >> 12 & 1023)"
}
