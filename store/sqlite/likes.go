package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Like notes that actor likes a post.
func (d *DB) Like(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		count, changed, err = t.like(actor, post)
		return err
	})
	return count, changed, at, err
}

func (t *tx) like(actor, post freshet.ID) (count int64, changed bool, err error) {
	author, count, err := t.meet(actor, post)
	if err != nil {
		return 0, false, err
	}
	if err := t.apart(author, actor, "post"); err != nil {
		return 0, false, err
	}
	if _, liked, err := t.number("SELECT 1 FROM likes WHERE post = ? AND user = ?", post, actor); err != nil || liked {
		return count, false, err
	}
	if err := t.exec("INSERT INTO likes (post, user, id) VALUES (?, ?, ?)", post, actor, t.NextID(post.Bucket())); err != nil {
		return 0, false, err
	}
	if err := t.exec("UPDATE posts SET likes = likes + 1 WHERE id = ?", post); err != nil {
		return 0, false, err
	}
	if err := t.change(store.LikeChanged, post, actor); err != nil {
		return 0, false, err
	}
	return count + 1, true, t.notify(author, freshet.NotifyLike, actor, post, post)
}

// Unlike takes a like back.
func (d *DB) Unlike(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		count, changed, err = t.unlike(actor, post)
		return err
	})
	return count, changed, at, err
}

func (t *tx) unlike(actor, post freshet.ID) (count int64, changed bool, err error) {
	if _, count, err = t.meet(actor, post); err != nil {
		return 0, false, err
	}
	n, err := t.Exec("DELETE FROM likes WHERE post = ? AND user = ?", post, actor)
	if err != nil || n == 0 {
		return count, false, err
	}
	if err := t.exec("UPDATE posts SET likes = likes - 1 WHERE id = ?", post); err != nil {
		return 0, false, err
	}
	if err := t.denote(freshet.NotifyLike, actor, post); err != nil {
		return 0, false, err
	}
	return count - 1, true, t.change(store.LikeChanged, post, actor)
}

// meet reads what a reaction needs of a post, and checks that actor exists, or
// is elsewhere.
func (t *tx) meet(actor, post freshet.ID) (author freshet.ID, likes int64, err error) {
	if err := t.local(post); err != nil {
		return 0, 0, err
	}
	found, err := t.One("SELECT author, likes FROM posts WHERE id = ?", []any{post}, func(r *litedb.Rows) {
		author, likes = r.ID(0), r.Int(1)
	})
	if err == nil && !found {
		err = t.missing("post", post)
	}
	if err == nil {
		_, err = t.know(actor)
	}
	return author, likes, err
}

// LikedBy lists the posts that a user likes, from the highest id.
func (d *DB) LikedBy(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.ID, error) {
	return list(ctx, d, "SELECT post FROM likes WHERE user = ? AND post < ? ORDER BY post DESC LIMIT ?",
		[]any{user, from(before), limit}, scanID)
}

// Liked gives those of the posts that a user likes.
func (d *DB) Liked(ctx context.Context, user freshet.ID, posts []freshet.ID) ([]freshet.ID, error) {
	return list(ctx, d, "SELECT l.post FROM json_each(?2) j CROSS JOIN likes l ON l.post = j.value AND l.user = ?1",
		[]any{user, jsonIDs(posts)}, scanID)
}
