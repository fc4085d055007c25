package sqlite

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/reach"
)

// viewsAtOnce bounds the posts that one transaction counts views of, so that
// other writes wait for some 10 ms.
const viewsAtOnce = 256

// CountViews adds a batch of views, once: some 30 µs for each post in it, in
// parts that are known by their number.
func (d *DB) CountViews(ctx context.Context, b store.ViewBatch) error {
	for part, posts := 1, b.Posts; part == 1 || len(posts) > 0; part++ {
		n := min(viewsAtOnce, len(posts))
		if err := d.countPart(ctx, b.Journal, b.Seq, part, posts[:n]); err != nil {
			return err
		}
		posts = posts[n:]
	}
	return nil
}

func (d *DB) countPart(ctx context.Context, journal [16]byte, seq uint64, part int, posts []store.ViewedPost) error {
	_, err := d.commit(ctx, func(t *tx) error {
		for _, p := range posts {
			if err := t.local(p.Post); err != nil {
				return err // whoever has the post is to be told, rather than nobody
			}
		}
		isNew, err := t.Exec(`INSERT INTO view_batches (journal, seq, part) VALUES (?, ?, ?)
			ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq, part = excluded.part
			WHERE (seq, part) < (excluded.seq, excluded.part)`, journal[:], seq, part)
		if err != nil || isNew == 0 {
			return err
		}
		for _, p := range posts {
			if err := t.countViews(p); err != nil {
				return fmt.Errorf("count views of %s: %w", p.Post, err)
			}
		}
		return nil
	})
	return err
}

func (t *tx) countViews(p store.ViewedPost) error {
	if _, there, err := t.number("SELECT 1 FROM posts WHERE id = ?", p.Post); err != nil || !there {
		return err
	}
	var sum int64
	for _, h := range p.Hours {
		sum += h.Views
		if err := t.exec(`INSERT INTO post_view_hours (post, hour, views) VALUES (?, ?, ?)
			ON CONFLICT (post, hour) DO UPDATE SET views = views + excluded.views`, p.Post, int64(h.Hour), h.Views); err != nil {
			return err
		}
	}
	if sum != 0 {
		if err := t.exec(`INSERT INTO post_views (post, views) VALUES (?, ?)
			ON CONFLICT (post) DO UPDATE SET views = views + excluded.views`, p.Post, sum); err != nil {
			return err
		}
	}
	return t.addReaders(p.Post, p.Readers)
}

func (t *tx) addReaders(post freshet.ID, hashes []uint64) error {
	if len(hashes) == 0 {
		return nil
	}
	var stored []byte
	if _, err := t.One("SELECT readers FROM post_readers WHERE post = ?", []any{post}, func(r *litedb.Rows) { stored = r.Blob(0) }); err != nil {
		return err
	}
	set, err := reach.Parse(stored)
	if err != nil {
		return err
	}
	changed := false
	for _, h := range hashes {
		changed = set.Add(h) || changed
	}
	if !changed {
		return nil
	}
	return t.exec("INSERT OR REPLACE INTO post_readers (post, readers) VALUES (?, ?)", post, set.Bytes())
}

// CountedViews is the last batch that was added from a journal.
func (d *DB) CountedViews(ctx context.Context, journal [16]byte) (seq uint64, err error) {
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		_, err := c.One("SELECT seq FROM view_batches WHERE journal = ?", []any{journal[:]}, func(r *litedb.Rows) { seq = uint64(r.Int(0)) })
		return err
	})
	return seq, err
}

// PostStats gives a post's numbers. Likes and comments by hour are counted from
// the facts, whose ids bear the time: 0.1 µs for each of those in the hours asked
// for, along an index.
func (d *DB) PostStats(ctx context.Context, post freshet.ID, from freshet.Hour, hours int) (freshet.PostStats, error) {
	out := freshet.PostStats{Post: post, Hours: make([]freshet.HourStats, hours)}
	for i := range out.Hours {
		out.Hours[i].Hour = from + freshet.Hour(i)
	}
	to := from + freshet.Hour(hours)
	var readers []byte
	err := d.file.Snapshot(ctx, func(c *litedb.Conn) error {
		found, err := c.One("SELECT likes, comments FROM posts WHERE id = ?", []any{post}, func(r *litedb.Rows) {
			out.Likes, out.Comments = r.Int(0), r.Int(1)
		})
		if err != nil {
			return err
		}
		if !found {
			return freshet.NotFound("post")
		}
		if _, err := c.One("SELECT views FROM post_views WHERE post = ?", []any{post}, func(r *litedb.Rows) { out.Views = r.Int(0) }); err != nil {
			return err
		}
		if _, err := c.One("SELECT readers FROM post_readers WHERE post = ?", []any{post}, func(r *litedb.Rows) { readers = r.Blob(0) }); err != nil {
			return err
		}
		if err := c.Each("SELECT hour, views FROM post_view_hours WHERE post = ? AND hour >= ? AND hour < ?",
			[]any{post, int64(from), int64(to)}, func(r *litedb.Rows) {
				out.Hours[r.Int(0)-int64(from)].Views = r.Int(1)
			}); err != nil {
			return err
		}
		if err := c.Each(hourly("likes"), []any{post, from.FirstID(), to.FirstID()}, func(r *litedb.Rows) {
			out.Hours[r.ID(0).Hour()-from].Likes = r.Int(1)
		}); err != nil {
			return err
		}
		return c.Each(hourly("comments"), []any{post, from.FirstID(), to.FirstID()}, func(r *litedb.Rows) {
			out.Hours[r.ID(0).Hour()-from].Comments = r.Int(1)
		})
	})
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

// hourly counts the rows of a post between two ids by the hour of their id, and
// gives one id of each hour. 22 is where an id's milliseconds begin.
func hourly(table string) string {
	return "SELECT min(id), count(*) FROM " + table + " WHERE post = ? AND id >= ? AND id < ? GROUP BY (id >> 22) / 3600000"
}

// PurgeViewHours removes hours before one.
func (d *DB) PurgeViewHours(ctx context.Context, before freshet.Hour) (int, error) {
	return d.purge(ctx, "DELETE FROM post_view_hours WHERE (post, hour) IN (SELECT post, hour FROM post_view_hours WHERE hour < ? AND NOT "+isAway("post")+" LIMIT ?)", int64(before))
}
