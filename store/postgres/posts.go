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
	postColumns = "id, ref, author, text, data, created_at, edited_at"
	postsByID   = "SELECT " + postColumns + " FROM posts WHERE id = ANY ($1::bigint[])"
	countsByID  = "SELECT id, likes, comments FROM post_counts WHERE id = ANY ($1::bigint[])"
)

func scanPost(r pgx.Rows) (p freshet.Post, err error) {
	err = r.Scan((*int64)(&p.ID), &p.Ref, (*int64)(&p.Author), &p.Text, &p.Data, instant{&p.CreatedAt}, instant{&p.EditedAt})
	return p, err
}

type counted struct {
	id freshet.ID
	freshet.Counts
}

func scanCounts(r pgx.Rows) (c counted, err error) {
	err = r.Scan((*int64)(&c.id), &c.Likes, &c.Comments)
	return c, err
}

// CreatePost writes a post. Posts of one author take turns, so their ids rise in the order of their commits.
func (d *DB) CreatePost(ctx context.Context, p freshet.NewPost, w store.Write) (post freshet.Post, at position.Token, err error) {
	data := []byte(p.Data)
	if len(data) == 0 {
		data = nil
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + postColumns + " FROM create_post($1, $2, $3, $4, $5)",
		Args: []any{int64(p.Author), p.Ref, p.Text, data, d.db.Now()},
		Scan: row(&post, scanPost),
	})
	return post, at, err
}

// EditPost changes a post of its author.
func (d *DB) EditPost(ctx context.Context, author, id freshet.ID, p freshet.PostPatch, w store.Write) (post freshet.Post, at position.Token, err error) {
	var data []byte
	if p.Data != nil {
		data = append([]byte{}, *p.Data...) // empty: none from now on
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + postColumns + " FROM edit_post($1, $2, $3, $4, $5)",
		Args: []any{int64(author), int64(id), p.Text, data, d.db.Now()},
		Scan: row(&post, scanPost),
	})
	return post, at, err
}

// DeletePost removes a post of its author with its likes and comments, in one transaction.
func (d *DB) DeletePost(ctx context.Context, author, id freshet.ID, w store.Write) (position.Token, error) {
	return d.write(ctx, w, pgdb.Call{SQL: "SELECT delete_post($1, $2)", Args: []any{int64(author), int64(id)}})
}

// Posts gives those of the posts that exist.
func (d *DB) Posts(ctx context.Context, ids []freshet.ID) ([]freshet.Post, error) {
	return d.posts.get(ctx, ids)
}

// Counts gives the counters of those of the posts that exist.
func (d *DB) Counts(ctx context.Context, ids []freshet.ID) (map[freshet.ID]freshet.Counts, error) {
	rows, err := d.counts.get(ctx, ids)
	counts := make(map[freshet.ID]freshet.Counts, len(rows))
	for _, r := range rows {
		counts[r.id] = r.Counts
	}
	return counts, err
}

func scanRef(r pgx.Rows) (p freshet.PostRef, err error) {
	err = r.Scan((*int64)(&p.ID), (*int64)(&p.Author))
	return p, err
}

// ByAuthor lists an author's posts from the newest.
func (d *DB) ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	return list(ctx, d, scanRef, "SELECT id, author FROM posts WHERE author = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
		int64(author), from(before), limit)
}

// pull is the pull query for the ids that a query gives. It looks at heads first: of the authors whose newest post is below the
// cursor only as many as the page is long can be on it, those with the highest heads; the others have posts on both sides of the
// cursor. Where there are as many, these heads fill a page, so nothing below the lowest of them is looked at: one step into the
// index for each author, and one for each row.
func pull(authors string) string {
	return `WITH heads AS MATERIALIZED (
		SELECT c.id, c.head FROM (` + authors + `) AS f
		JOIN user_counts c USING (id) WHERE c.head > 0
	), below AS MATERIALIZED (
		SELECT id, head FROM heads WHERE head < $2 ORDER BY head DESC LIMIT $3
	), near AS (
		SELECT id FROM below UNION ALL SELECT id FROM heads WHERE head >= $2
	)
	SELECT p.id, near.id FROM near
	CROSS JOIN LATERAL (SELECT id FROM posts WHERE author = near.id AND id < $2
		AND id >= (SELECT CASE WHEN count(*) = $3 THEN min(head) ELSE 0 END FROM below) ORDER BY id DESC LIMIT $3) p
	ORDER BY p.id DESC LIMIT $3`
}

var (
	home    = pull("SELECT followee AS id FROM follows WHERE follower = $1 UNION ALL SELECT $1::bigint")
	postsOf = pull("SELECT DISTINCT unnest($1::bigint[]) AS id")
)

// Home is the pull query.
func (d *DB) Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	return list(ctx, d, scanRef, home, int64(reader), from(before), limit)
}
