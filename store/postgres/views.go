package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/reach"
)

// viewsAtOnce bounds the posts that one transaction counts views of.
const viewsAtOnce = 256

// CountViews adds a batch of views, once, in parts that are known by their number.
func (d *DB) CountViews(ctx context.Context, b store.ViewBatch) error {
	buckets := make([]int32, len(b.Posts))
	for i, p := range b.Posts {
		buckets[i] = int32(p.Post.Bucket())
	}
	for part, posts := 1, b.Posts; part == 1 || len(posts) > 0; part++ {
		n := min(viewsAtOnce, len(posts))
		if _, err := d.db.Do(ctx, func(tx pgx.Tx) error { return countPart(ctx, tx, b.Journal, b.Seq, part, posts[:n], buckets) }); err != nil {
			return portError(err)
		}
		posts = posts[n:]
	}
	return nil
}

// countPart adds up to viewsAtOnce posts in a few statements about all of them. The batch is refused where one of its buckets is
// elsewhere: what was not added here can't be told apart later.
func countPart(ctx context.Context, tx pgx.Tx, journal [16]byte, seq uint64, part int, posts []store.ViewedPost, buckets []int32) error {
	var isNew, moved bool
	err := tx.QueryRow(ctx, `WITH new AS (INSERT INTO view_batches AS b (journal, seq, part) VALUES ($1, $2, $3)
		ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq, part = excluded.part
		WHERE (b.seq, b.part) < (excluded.seq, excluded.part) RETURNING 1)
		SELECT EXISTS (SELECT FROM new), EXISTS (SELECT FROM elsewhere WHERE bucket = ANY ($4::integer[]))`,
		journal[:], int64(seq), part, buckets).Scan(&isNew, &moved)
	if err != nil || !isNew {
		return err
	}
	if moved {
		return store.ErrMoved
	}
	// The posts can't be deleted before this has committed, and are in the order of their ids, as all who lock several are.
	ids := make([]int64, len(posts))
	for i, p := range posts {
		ids[i] = int64(p.Post)
	}
	rows, err := tx.Query(ctx, "SELECT id FROM post_counts WHERE id = ANY ($1::bigint[]) ORDER BY id FOR KEY SHARE", ids)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	var ofPost, hours, views []int64
	readers := make(map[int64][]uint64)
	for _, p := range posts {
		if _, exists := slices.BinarySearch(there, int64(p.Post)); !exists {
			continue
		}
		for _, h := range p.Hours {
			ofPost, hours, views = append(ofPost, int64(p.Post)), append(hours, int64(h.Hour)), append(views, h.Views)
		}
		if len(p.Readers) > 0 {
			readers[int64(p.Post)] = p.Readers
		}
	}
	if len(ofPost) > 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO post_view_hours AS v (post, hour, views)
			SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (post, hour, views) ORDER BY post, hour
			ON CONFLICT (post, hour) DO UPDATE SET views = v.views + excluded.views`, ofPost, hours, views); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO post_views AS v (post, views)
			SELECT post, sum(views) FROM unnest($1::bigint[], $2::bigint[]) AS n (post, views) GROUP BY post ORDER BY post
			ON CONFLICT (post) DO UPDATE SET views = v.views + excluded.views`, ofPost, views); err != nil {
			return err
		}
	}
	return addReaders(ctx, tx, readers)
}

func addReaders(ctx context.Context, tx pgx.Tx, all map[int64][]uint64) error {
	if len(all) == 0 {
		return nil
	}
	ids := make([]int64, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	// A row for each, so that two batches that are the first to count a post take turns.
	if _, err := tx.Exec(ctx, `INSERT INTO post_readers (post, readers) SELECT id, '' FROM unnest($1::bigint[]) AS id ORDER BY id
		ON CONFLICT DO NOTHING`, ids); err != nil {
		return err
	}
	var changed []int64
	var sets [][]byte
	rows, err := tx.Query(ctx, "SELECT post, readers FROM post_readers WHERE post = ANY ($1::bigint[]) ORDER BY post FOR UPDATE", ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var post int64
		var stored []byte
		if err := rows.Scan(&post, &stored); err != nil {
			return err
		}
		set, err := reach.Parse(stored)
		if err != nil {
			return fmt.Errorf("read who saw %d: %w", post, err)
		}
		grew := false
		for _, h := range all[post] {
			grew = set.Add(h) || grew
		}
		if grew {
			changed, sets = append(changed, post), append(sets, set.Bytes())
		}
	}
	if err := rows.Err(); err != nil || len(changed) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE post_readers r SET readers = n.readers FROM unnest($1::bigint[], $2::bytea[]) AS n (post, readers)
		WHERE r.post = n.post`, changed, sets)
	return err
}

// CountedViews is the last batch that was added from a journal.
func (d *DB) CountedViews(ctx context.Context, journal [16]byte) (seq uint64, err error) {
	err = d.db.Read(ctx, "SELECT seq FROM view_batches WHERE journal = $1", []any{journal[:]}, func(r pgx.Rows) error {
		var n int64
		err := r.Scan(&n)
		seq = uint64(n)
		return err
	})
	return seq, err
}

// stats is one statement, and so one snapshot. 22 is where an id's milliseconds begin.
const stats = `SELECT -1, likes, comments, coalesce((SELECT views FROM post_views WHERE post = $1), 0),
		coalesce((SELECT readers FROM post_readers WHERE post = $1), '') FROM post_counts WHERE id = $1
	UNION ALL SELECT hour, 0, 0, views, NULL FROM post_view_hours WHERE post = $1 AND hour >= $2 AND hour < $3
	UNION ALL SELECT ((id >> 22) / 3600000)::integer, count(*), 0, 0, NULL FROM likes WHERE post = $1 AND id >= $4 AND id < $5 GROUP BY 1
	UNION ALL SELECT ((id >> 22) / 3600000)::integer, 0, count(*), 0, NULL FROM comments WHERE post = $1 AND id >= $4 AND id < $5 GROUP BY 1`

// PostStats gives a post's numbers. Likes and comments by hour are counted from the facts, whose ids bear the time.
func (d *DB) PostStats(ctx context.Context, post freshet.ID, from freshet.Hour, hours int) (freshet.PostStats, error) {
	out := freshet.PostStats{Post: post, Hours: make([]freshet.HourStats, hours)}
	for i := range out.Hours {
		out.Hours[i].Hour = from + freshet.Hour(i)
	}
	to := from + freshet.Hour(hours)
	var readers []byte
	found := false
	args := []any{int64(post), int64(from), int64(to), int64(from.FirstID()), int64(to.FirstID())}
	err := d.db.Read(ctx, stats, args, func(r pgx.Rows) error {
		var hour, likes, comments, views int64
		var set []byte
		if err := r.Scan(&hour, &likes, &comments, &views, &set); err != nil {
			return err
		}
		if hour < 0 {
			found, out.Likes, out.Comments, out.Views, readers = true, likes, comments, views, set
			return nil
		}
		h := &out.Hours[freshet.Hour(hour)-from]
		h.Likes, h.Comments, h.Views = h.Likes+likes, h.Comments+comments, h.Views+views
		return nil
	})
	if err == nil && !found {
		err = freshet.NotFound("post")
	}
	if err != nil {
		return out, err
	}
	set, err := reach.Parse(readers)
	if err != nil {
		return out, fmt.Errorf("read who saw %s: %w", post, err)
	}
	out.Reach = set.Count()
	return out, nil
}

// PurgeViewHours removes hours before one.
func (d *DB) PurgeViewHours(ctx context.Context, before freshet.Hour) (int, error) {
	return d.purge(ctx, `DELETE FROM post_view_hours WHERE (post, hour) IN
		(SELECT post, hour FROM post_view_hours WHERE hour < $1 AND NOT is_held(bucket_of(post)) LIMIT $2)`, int64(before))
}
