package storetest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var postCases = []testCase{
	{"APostIsReadAsWritten", testPost},
	{"ARefIsUniquePerAuthor", testPostRef},
	{"AnEditIsTheAuthorsAlone", testEdit},
	{"ADeletedPostIsGone", testDelete},
	{"PostsAreListedFromTheNewest", testByAuthor},
	{"HomeMergesTheFollowed", testHome},
	{"IDsRise", testIDs},
}

func testPost(e *env) {
	ctx := e.Context()
	author := e.user("ada")
	long := strings.Repeat("Ünïcode\n", 700)
	for _, p := range []freshet.NewPost{
		{Author: author, Text: "hello"},
		{Author: author, Text: long, Data: []byte(`{"a":[1,2]}`), Ref: "r1"},
		{Author: author, Data: bytes.Repeat([]byte("7"), 8<<10)},
	} {
		post, at, err := e.CreatePost(ctx, p, store.Write{})
		e.ok(err)
		if post.ID == 0 || post.CreatedAt.IsZero() || !post.EditedAt.IsZero() || len(at) == 0 {
			e.Fatalf("got %+v at %v", post, at)
		}
		e.same("what was returned", post, freshet.Post{
			ID: post.ID, Ref: p.Ref, Author: author, Text: p.Text, Data: p.Data, CreatedAt: post.CreatedAt,
		})
		read, err := e.Posts(ctx, []freshet.ID{42, post.ID})
		e.ok(err)
		e.same("what is read", read, []freshet.Post{post})
		if p.Data == nil && read[0].Data != nil {
			e.Fatal("no data is nil")
		}
		e.counts(post.ID, 0, 0)
	}
	e.counted(author, 0, 0, 3)
	counts, err := e.Counts(ctx, []freshet.ID{42})
	e.ok(err)
	e.same("counts of no post", len(counts), 0)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: 42, Text: "x"}, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testPostRef(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	p, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x", Ref: "1"}, store.Write{})
	e.ok(err)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "y", Ref: "1"}, store.Write{})
	e.code(err, freshet.CodeConflict)
	e.counted(a, 0, 0, 1)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: b, Text: "y", Ref: "1"}, store.Write{})
	e.ok(err)
	_, err = e.DeletePost(ctx, a, p.ID, store.Write{})
	e.ok(err)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "z", Ref: "1"}, store.Write{})
	e.ok(err)
}

func testEdit(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	post, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x", Data: []byte("1")}, store.Write{})
	e.ok(err)
	same, _, err := e.EditPost(ctx, a, post.ID, freshet.PostPatch{Text: ptr("x")}, store.Write{})
	e.ok(err)
	e.same("an edit that changes nothing", same, post)

	edited, _, err := e.EditPost(ctx, a, post.ID, freshet.PostPatch{Text: ptr("y")}, store.Write{})
	e.ok(err)
	if edited.EditedAt.Before(post.CreatedAt) {
		e.Fatalf("edited at %v, created at %v", edited.EditedAt, post.CreatedAt)
	}
	post.Text, post.EditedAt = "y", edited.EditedAt
	e.same("the text", edited, post)
	edited, _, err = e.EditPost(ctx, a, post.ID, freshet.PostPatch{Data: ptr([]byte{})}, store.Write{})
	e.ok(err)
	post.Data, post.EditedAt = nil, edited.EditedAt
	e.same("no data any more", edited, post)
	read, err := e.Posts(ctx, []freshet.ID{post.ID})
	e.ok(err)
	e.same("as read", read, []freshet.Post{post})

	for _, id := range []freshet.ID{post.ID, 42} {
		_, _, err = e.EditPost(ctx, b, id, freshet.PostPatch{Text: ptr("mine")}, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, err = e.DeletePost(ctx, b, id, store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
}

func testDelete(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	gone, stays := e.post(a, "gone"), e.post(a, "stays")
	for _, p := range []freshet.ID{gone, stays} {
		_, _, _, err := e.Like(ctx, b, p, store.Write{})
		e.ok(err)
		e.comment(p, b, "well")
	}
	at, err := e.DeletePost(ctx, a, gone, store.Write{})
	e.ok(err)
	if len(at) == 0 {
		e.Fatal("no token")
	}
	posts, err := e.Posts(ctx, []freshet.ID{gone, stays})
	e.ok(err)
	e.same("posts that are left", []any{len(posts), posts[0].ID}, []any{1, stays})
	e.counted(a, 0, 0, 1)
	e.counts(stays, 1, 1)
	liked, err := e.LikedBy(ctx, b, 0, 10)
	e.ok(err)
	e.same("likes that are left", liked, []freshet.ID{stays})
	comments, err := e.CommentsBy(ctx, b, 0, 10)
	e.ok(err)
	e.same("comments that are left", []any{len(comments), comments[0].Post}, []any{1, stays})
	_, err = e.DeletePost(ctx, a, gone, store.Write{})
	e.code(err, freshet.CodeNotFound)
	_, _, _, err = e.Like(ctx, b, gone, store.Write{})
	e.code(err, freshet.CodeNotFound)
	_, _, err = e.CreateComment(ctx, freshet.NewComment{Post: gone, Author: b, Text: "x"}, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testByAuthor(e *env) {
	a, b := e.user("a"), e.user("b")
	var want []freshet.ID
	for range size(23, 12) {
		want = append(want, e.post(a, "same"))
		e.post(b, "same")
	}
	for _, limit := range []int{1, 4, len(want), 100} {
		refs := walk(e, limit, refID, func(at freshet.ID) ([]freshet.PostRef, error) { return e.ByAuthor(e.Context(), a, at, limit) })
		e.same("posts of an author", postIDs(refs), reversed(want))
		e.same("author", refs[0].Author, a)
	}
}

func testHome(e *env) {
	ctx := e.Context()
	u := e.users(6)
	me := u[0]
	var want []freshet.PostRef
	for i := range size(60, 24) {
		author := u[i%len(u)]
		post := e.post(author, "x")
		if author != u[5] {
			want = append(want, freshet.PostRef{ID: post, Author: author})
		}
	}
	for _, other := range u[1:5] {
		e.follow(me, other)
	}
	_, _, err := e.Mute(ctx, me, u[1], store.Write{})
	e.ok(err)
	slices.SortFunc(want, func(a, b freshet.PostRef) int {
		if a.ID > b.ID {
			return -1
		}
		return 1
	})
	for _, limit := range []int{1, 7, len(want), 100} {
		refs := walk(e, limit, refID, func(at freshet.ID) ([]freshet.PostRef, error) { return e.Home(ctx, me, at, limit) })
		e.same("home, muted authors with it", refs, want)
	}
	refs, err := e.Home(ctx, u[5], 0, 100)
	e.ok(err)
	e.same("home of who follows nobody", len(refs), size(60, 24)/6)
	refs, err = e.Home(ctx, 42, 0, 100)
	e.ok(err)
	e.same("home of nobody", len(refs), 0)
}

// testIDs: ids of one author rise strictly with each post, and the time in an id
// never falls, whoever writes.
func testIDs(e *env) {
	u := e.users(8)
	last := make(map[freshet.ID]freshet.ID)
	millis := int64(0)
	for i := range size(400, 60) {
		author := u[i*i%len(u)]
		id := e.post(author, "x")
		if id.Bucket() != author.Bucket() {
			e.Fatalf("a post of bucket %d by an author of %d", id.Bucket(), author.Bucket())
		}
		if id <= last[author] || id.Millis() < millis {
			e.Fatalf("id %s after %s of the author and millisecond %d", id, last[author], millis)
		}
		last[author], millis = id, id.Millis()
	}
	c := e.comment(last[u[0]], u[1], "x")
	if c.Bucket() != u[0].Bucket() {
		e.Fatalf("a comment of bucket %d on a post of %d", c.Bucket(), u[0].Bucket())
	}
}
