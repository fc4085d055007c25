package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const commentColumns = "id, post, author, text, created_at"

var commentsByID = selectByID(commentColumns, "comments")

func scanComment(r *litedb.Rows) freshet.Comment {
	return freshet.Comment{ID: r.ID(0), Post: r.ID(1), Author: r.ID(2), Text: r.Text(3), CreatedAt: r.Time(4)}
}

// CreateComment answers a post.
func (d *DB) CreateComment(ctx context.Context, c freshet.NewComment, w store.Write) (comment freshet.Comment, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		author, _, err := t.meet(c.Author, c.Post)
		if err != nil {
			return err
		}
		if err := t.apart(author, c.Author, "post"); err != nil {
			return err
		}
		comment = freshet.Comment{
			ID: t.NextID(c.Post.Bucket()), Post: c.Post, Author: c.Author, Text: c.Text, CreatedAt: t.Now().UTC(),
		}
		if err := t.exec("INSERT INTO comments ("+commentColumns+") VALUES (?, ?, ?, ?, ?)",
			comment.ID, comment.Post, comment.Author, comment.Text, comment.CreatedAt); err != nil {
			return err
		}
		if err := t.exec("UPDATE posts SET comments = comments + 1 WHERE id = ?", c.Post); err != nil {
			return err
		}
		t.made = comment.ID
		if err := t.change(store.CommentChanged, c.Post, comment.ID); err != nil {
			return err
		}
		return t.notify(author, freshet.NotifyComment, c.Author, comment.ID, c.Post)
	})
	return comment, at, err
}

// DeleteComment removes a comment for its author or the post's.
func (d *DB) DeleteComment(ctx context.Context, actor, id freshet.ID, w store.Write) (comment freshet.Comment, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.local(id); err != nil {
			return err
		}
		found, err := t.One("SELECT "+commentColumns+` FROM comments c
			WHERE id = ?1 AND (author = ?2 OR ?2 = (SELECT author FROM posts p WHERE p.id = c.post))`,
			[]any{id, actor}, func(r *litedb.Rows) { comment = scanComment(r) })
		if err != nil {
			return err
		}
		if !found {
			return t.missing("comment", id)
		}
		if err := t.exec("DELETE FROM comments WHERE id = ?", id); err != nil {
			return err
		}
		if err := t.exec("UPDATE posts SET comments = comments - 1 WHERE id = ?", comment.Post); err != nil {
			return err
		}
		if err := t.denote(freshet.NotifyComment, comment.Author, id); err != nil {
			return err
		}
		return t.change(store.CommentChanged, comment.Post, id)
	})
	return comment, at, err
}

// Comments gives those of the comments that exist.
func (d *DB) Comments(ctx context.Context, ids []freshet.ID) ([]freshet.Comment, error) {
	return each(ctx, d, commentsByID, ids, scanComment)
}

// CommentsOn lists the comments of a post, oldest first.
func (d *DB) CommentsOn(ctx context.Context, post, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return list(ctx, d, "SELECT "+commentColumns+" FROM comments WHERE post = ? AND id > ? ORDER BY id LIMIT ?",
		[]any{post, after, limit}, scanComment)
}

// CommentsBy lists the comments that a user wrote, oldest first.
func (d *DB) CommentsBy(ctx context.Context, user, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return list(ctx, d, "SELECT "+commentColumns+" FROM comments WHERE author = ? AND id > ? ORDER BY id LIMIT ?",
		[]any{user, after, limit}, scanComment)
}
