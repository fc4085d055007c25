package sqlite_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// TestVerifyFindsEveryFault breaks one invariant at a time behind the store's
// back: Verify finds it, mends it, and then finds nothing.
func TestVerifyFindsEveryFault(t *testing.T) {
	db := open(t)
	ctx := t.Context()
	u := people(t, db, 5)
	post, _, err := db.CreatePost(ctx, freshet.NewPost{Author: u[0], Text: "x", Ref: "r"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := db.Like(ctx, u[1], post.ID, store.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.CreateComment(ctx, freshet.NewComment{Post: post.ID, Author: u[1], Text: "x"}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Block(ctx, u[0], u[3], store.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := db.UpsertUser(ctx, freshet.NewUser{Ref: "ref", Handle: "with_ref"}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ fault, invariant string }{
		{"INSERT INTO posts (id, author, created_at, ref, text) VALUES (7, 42, 1, '', 'x')", "a post has its author"},
		{"INSERT INTO comments (id, post, author, created_at, text) VALUES (7, 42, %[1]d, 1, 'x')", "a comment has its post"},
		{"INSERT INTO comments (id, post, author, created_at, text) VALUES (7, %[3]d, 42, 1, 'x')", "a comment has its author"},
		{"INSERT INTO likes (post, user, id) VALUES (42, %[1]d, 1)", "a like has its post"},
		{"INSERT INTO likes (post, user, id) VALUES (%[3]d, 42, 1)", "a like has its user"},
		{"INSERT INTO follows (follower, followee, id) VALUES (42, %[1]d, 1)", "a follow has its follower"},
		{"INSERT INTO follows (follower, followee, id) VALUES (%[1]d, 42, 1)", "a follow has its followee"},
		{"INSERT INTO blocks (blocker, blocked, id) VALUES (42, %[1]d, 1)", "a block has who blocks"},
		{"INSERT INTO blocks (blocker, blocked, id) VALUES (%[1]d, 42, 1)", "a block has the blocked"},
		{"INSERT INTO mutes (muter, muted, id) VALUES (42, %[1]d, 1)", "a mute has who mutes"},
		{"INSERT INTO mutes (muter, muted, id) VALUES (%[1]d, 42, 1)", "a mute has the muted"},
		{"INSERT INTO sessions (id, user, hash, admin, agent, created_at, used_at, expires_at) VALUES (7, 42, x'00', 0, '', 1, 1, 1)", "a session has its user"},
		{"DELETE FROM followers WHERE followee = %[2]d", "followers mirror follows"},
		{"INSERT INTO followers (followee, id, follower) VALUES (%[1]d, 7, %[2]d)", "each of followers is a follow"},
		{"DELETE FROM blocked_by", "blocked_by mirrors blocks"},
		{"INSERT INTO blocked_by (blocked, blocker) VALUES (%[1]d, %[2]d)", "each of blocked_by is a block"},
		{"INSERT INTO follows (follower, followee, id) SELECT blocked, blocker, 7 FROM blocks", "blocked users don't follow each other"},
		{"INSERT INTO handles (handle, user) VALUES ('stray', %[1]d)", "handles lead to users"},
		{"DELETE FROM handles WHERE user = %[1]d", "each user has the handle"},
		{"INSERT INTO user_refs (ref, user) VALUES ('stray', %[1]d)", "refs lead to users"},
		{"DELETE FROM user_refs", "each user has the ref"},
		{"INSERT INTO post_refs (author, ref, post) VALUES (%[1]d, 'stray', %[3]d)", "post refs lead to posts"},
		{"DELETE FROM post_refs", "each post has the ref"},
		{"UPDATE users SET followers_count = 9 WHERE id = %[1]d", "followers_count equals facts"},
		{"UPDATE users SET following_count = 9 WHERE id = %[1]d", "following_count equals facts"},
		{"UPDATE users SET posts_count = 9 WHERE id = %[1]d", "posts_count equals facts"},
		{"UPDATE posts SET likes = 9", "likes equals facts"},
		{"UPDATE posts SET comments = 9", "comments equals facts"},
	} {
		t.Run(f.invariant, func(t *testing.T) {
			exec(t, db, fmt.Sprintf(f.fault+" -- %[1]d %[2]d %[3]d", u[0], u[1], post.ID))
			_, found, err := db.Verify(t.Context(), 0, true)
			if err != nil {
				t.Error(err)
			}
			if !slices.ContainsFunc(found, func(v store.Violation) bool { return v.Invariant == f.invariant }) {
				t.Errorf("found %v", found)
			}
			if checked, found, err := db.Verify(t.Context(), 0, false); err != nil || len(found) > 0 || checked == 0 {
				t.Errorf("after mending: checked %d, found %v (%v)", checked, found, err)
			}
		})
	}
}

func TestVerifyASample(t *testing.T) {
	db, _ := network(t, 200, 2000, 50)
	all, found, err := db.Verify(t.Context(), 0, false)
	if err != nil || len(found) > 0 {
		t.Fatal(found, err)
	}
	some, found, err := db.Verify(t.Context(), 10, false)
	if err != nil || len(found) > 0 || some == 0 || some >= all/2 {
		t.Fatalf("a sample of 10 of 200 users checked %d things of %d, found %v (%v)", some, all, found, err)
	}
	exec(t, db, "UPDATE users SET posts_count = posts_count + 1")
	if _, found, err = db.Verify(t.Context(), 10, false); err != nil || len(found) == 0 || len(found) > 10 {
		t.Fatalf("a sample of 10 found %d faults (%v), want up to 10", len(found), err)
	}
}
