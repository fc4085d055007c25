package storetest

import (
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var reactionCases = []testCase{
	{"ALikeCountsOnce", testLike},
	{"LikesAreListedByPost", testLikedBy},
	{"ACommentIsReadAsWritten", testComment},
	{"ACommentIsRemovedByItsAuthorOrThePosts", testDeleteComment},
	{"CommentsAreListedFromTheOldest", testCommentLists},
}

func testLike(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	post := e.post(a, "x")
	step := func(what string, actor freshet.ID, on bool, count int64, changed bool) {
		e.Helper()
		write := e.Like
		if !on {
			write = e.Unlike
		}
		n, c, at, err := write(ctx, actor, post, store.Write{})
		e.ok(err)
		e.same(what, []any{n, c, len(at) > 0}, []any{count, changed, true})
		e.counts(post, count, 0)
	}
	step("taken back before any", b, false, 0, false)
	step("one", b, true, 1, true)
	step("the same again", b, true, 1, false)
	step("the author's own", a, true, 2, true)
	step("taken back", b, false, 1, true)
	step("taken back again", b, false, 1, false)

	for _, write := range []bool{true, false} {
		f := e.Like
		if !write {
			f = e.Unlike
		}
		_, _, _, err := f(ctx, a, 42, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, _, err = f(ctx, 42, post, store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
}

func testLikedBy(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	var posts []freshet.ID
	for i := range size(23, 12) {
		post := e.post(a, "x")
		posts = append(posts, post)
		// The order of liking is another than that of the list.
		if i%2 == 1 {
			_, _, _, err := e.Like(ctx, b, posts[i], store.Write{})
			e.ok(err)
			_, _, _, err = e.Like(ctx, b, posts[i-1], store.Write{})
			e.ok(err)
		}
	}
	posts = posts[:len(posts)/2*2]
	for _, limit := range []int{1, 4, len(posts), 100} {
		got := walk(e, limit, self, func(at freshet.ID) ([]freshet.ID, error) { return e.LikedBy(ctx, b, at, limit) })
		e.same("liked", got, reversed(posts))
	}
	other := e.post(b, "x")
	_, _, _, err := e.Like(ctx, a, other, store.Write{})
	e.ok(err)
	for _, among := range [][]freshet.ID{nil, {other}, {posts[0]}, append([]freshet.ID{42, other}, posts...)} {
		got, err := e.Liked(ctx, b, among)
		e.ok(err)
		var want []freshet.ID
		for _, id := range among {
			if slices.Contains(posts, id) {
				want = append(want, id)
			}
		}
		e.same("liked among some", ascending(got...), ascending(want...))
	}
}

func testComment(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	post := e.post(a, "x")
	c, at, err := e.CreateComment(ctx, freshet.NewComment{Post: post, Author: b, Text: "wéll"}, store.Write{})
	e.ok(err)
	if c.ID == 0 || c.CreatedAt.IsZero() || len(at) == 0 {
		e.Fatalf("got %+v at %v", c, at)
	}
	e.same("what was returned", c, freshet.Comment{ID: c.ID, Post: post, Author: b, Text: "wéll", CreatedAt: c.CreatedAt})
	read, err := e.Comments(ctx, []freshet.ID{42, c.ID})
	e.ok(err)
	e.same("what is read", read, []freshet.Comment{c})
	e.counts(post, 0, 1)
	_, _, err = e.CreateComment(ctx, freshet.NewComment{Post: 42, Author: b, Text: "x"}, store.Write{})
	e.code(err, freshet.CodeNotFound)
	_, _, err = e.CreateComment(ctx, freshet.NewComment{Post: post, Author: 42, Text: "x"}, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testDeleteComment(e *env) {
	ctx := e.Context()
	u := e.users(3)
	post := e.post(u[0], "x")
	for _, actor := range []freshet.ID{u[0], u[1]} {
		c := e.comment(post, u[1], "well")
		_, _, err := e.DeleteComment(ctx, u[2], c, store.Write{})
		e.code(err, freshet.CodeNotFound)
		e.counts(post, 0, 1)
		gone, _, err := e.DeleteComment(ctx, actor, c, store.Write{})
		e.ok(err)
		e.same("what was removed", []any{gone.ID, gone.Post, gone.Author, gone.Text}, []any{c, post, u[1], "well"})
		e.counts(post, 0, 0)
		_, _, err = e.DeleteComment(ctx, actor, c, store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
}

func testCommentLists(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	one, two := e.post(a, "x"), e.post(b, "x")
	var on, by []freshet.ID
	for range size(12, 6) {
		mine := e.comment(one, b, "same")
		on = append(on, mine, e.comment(one, a, "same"))
		by = append(by, mine, e.comment(two, b, "same"))
	}
	id := func(c freshet.Comment) freshet.ID { return c.ID }
	for _, limit := range []int{1, 4, len(on), 100} {
		for name, list := range map[string]struct {
			want []freshet.ID
			page func(at freshet.ID) ([]freshet.Comment, error)
		}{
			"on a post": {ascending(on...), func(at freshet.ID) ([]freshet.Comment, error) { return e.CommentsOn(ctx, one, at, limit) }},
			"by a user": {ascending(by...), func(at freshet.ID) ([]freshet.Comment, error) { return e.CommentsBy(ctx, b, at, limit) }},
		} {
			var got []freshet.ID
			for _, c := range walk(e, limit, id, list.page) {
				got = append(got, c.ID)
			}
			e.same("comments "+name, got, list.want)
		}
	}
}
