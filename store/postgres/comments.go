package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	commentColumns = "id, post, author, text, created_at"
	commentsByID   = "SELECT " + commentColumns + " FROM comments WHERE id = ANY ($1::bigint[])"
)

func scanComment(r pgx.Rows) (c freshet.Comment, err error) {
	err = r.Scan((*int64)(&c.ID), (*int64)(&c.Post), (*int64)(&c.Author), &c.Text, instant{&c.CreatedAt})
	return c, err
}

// CreateComment answers a post.
func (d *DB) CreateComment(ctx context.Context, c freshet.NewComment, w store.Write) (comment freshet.Comment, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + commentColumns + " FROM create_comment($1, $2, $3, $4)",
		Args: []any{int64(c.Author), int64(c.Post), c.Text, d.db.Now()},
		Scan: row(&comment, scanComment),
	})
	return comment, at, err
}

// DeleteComment removes a comment for its author or the post's.
func (d *DB) DeleteComment(ctx context.Context, actor, id freshet.ID, w store.Write) (comment freshet.Comment, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + commentColumns + " FROM delete_comment($1, $2)",
		Args: []any{int64(actor), int64(id)},
		Scan: row(&comment, scanComment),
	})
	return comment, at, err
}

// Comments gives those of the comments that exist.
func (d *DB) Comments(ctx context.Context, ids []freshet.ID) ([]freshet.Comment, error) {
	return d.comments.get(ctx, ids)
}

// CommentsOn lists the comments of a post, oldest first.
func (d *DB) CommentsOn(ctx context.Context, post, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return list(ctx, d, scanComment, "SELECT "+commentColumns+" FROM comments WHERE post = $1 AND id > $2 ORDER BY id LIMIT $3",
		int64(post), int64(after), limit)
}

// CommentsBy lists the comments that a user wrote, oldest first.
func (d *DB) CommentsBy(ctx context.Context, user, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return list(ctx, d, scanComment, "SELECT "+commentColumns+" FROM comments WHERE author = $1 AND id > $2 ORDER BY id LIMIT $3",
		int64(user), int64(after), limit)
}
