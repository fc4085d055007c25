package sqlite_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// A batch of many posts takes several transactions. One that stopped between
// them, here for a set of readers that can't be read, goes on where it was.
func TestAnInterruptedBatchOfViewsGoesOn(t *testing.T) {
	db, ctx := open(t), t.Context()
	rows := make([]store.ImportedPost, 600)
	for i := range rows {
		rows[i] = store.ImportedPost{Author: "author", CreatedAt: freshet.Epoch, Occurrence: i, Text: "x", Millis: int64(i)}
	}
	if _, err := db.ImportPosts(ctx, rows); err != nil {
		t.Fatal(err)
	}
	author, err := db.UserByHandle(ctx, "author")
	if err != nil {
		t.Fatal(err)
	}
	posts, err := db.ByAuthor(ctx, author, 0, len(rows))
	if err != nil || len(posts) != len(rows) {
		t.Fatal(len(posts), err)
	}
	const hour = 235_000
	b := store.ViewBatch{Journal: [16]byte{1}, Seq: 1}
	for _, p := range posts {
		b.Posts = append(b.Posts, store.ViewedPost{Post: p.ID, Hours: []store.ViewedHour{{Hour: hour, Views: 2}}, Readers: []uint64{7, 8}})
	}
	broken := b.Posts[400].Post
	exec(t, db, "INSERT INTO post_readers (post, readers) VALUES (?, x'ff')", broken)
	if err := db.CountViews(ctx, b); err == nil {
		t.Fatal("the batch was added with a set that can't be read")
	}
	if s, err := db.PostStats(ctx, b.Posts[0].Post, hour, 1); err != nil || s.Views != 2 {
		t.Fatalf("before it stopped: %+v, %v", s, err)
	}
	exec(t, db, "DELETE FROM post_readers WHERE post = ?", broken)
	for range 2 {
		if err := db.CountViews(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range b.Posts {
		s, err := db.PostStats(ctx, p.Post, hour, 1)
		if err != nil || s.Views != 2 || s.Hours[0].Views != 2 || s.Reach != 2 {
			t.Fatalf("%+v, %v, want 2 views by 2", s, err)
		}
	}
}
