package storetest

import (
	"errors"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var sharedCases = []partCase{
	{name: "ReactionsOfUsersElsewhereCount", parts: 2, test: testReactionsElsewhere},
	{name: "WhatIsElsewhereHasMoved", parts: 2, test: testMoved},
	{name: "WhatIsMissingHereIsNotFound", parts: 2, test: testNotMoved},
	{name: "TheBucketsElsewhereAreKept", parts: 2, test: testElsewhereKept, empty: true},
	{name: "PostsOfComeInTheOrderOfHome", parts: 2, test: testPostsOf},
	{name: "HalvesComeInPages", parts: 2, test: testHalves, empty: true},
}

func testReactionsElsewhere(x *parts) {
	a, b := x.user(0), x.user(1)
	post := x.at[0].post(a, "x")
	for range 2 {
		n, _, _, err := x.p[0].Like(x.ctx, b, post, store.Write{})
		x.ok(err)
		x.same("likes", n, 1)
	}
	c := x.at[0].comment(post, b, "well")
	x.at[0].counts(post, 1, 1)
	x.same("liked", got(x.p[0].LikedBy(x.ctx, b, 0, 9))(x.env), []freshet.ID{post})
	_, _, err := x.p[0].DeleteComment(x.ctx, b, c, store.Write{})
	x.ok(err)
	_, changed, _, err := x.p[0].Unlike(x.ctx, b, post, store.Write{})
	x.ok(err)
	x.same("changed", changed, true)
	x.at[0].counts(post, 0, 0)
	x.same("mirrors", len(x.pending(0))+len(x.pending(1)), 0)
}

// writesOn are writes on things of a user, each of which needs the user's bucket.
func (x *parts) writesOn(part int, user, other freshet.ID) map[string]error {
	p, ctx, w := x.p[part], x.ctx, store.Write{}
	errs := make(map[string]error)
	_, _, errs["update"] = p.UpdateUser(ctx, user, freshet.UserPatch{Name: ptr("x")}, w)
	_, _, errs["erase"] = p.EraseUser(ctx, user, w)
	_, errs["password"] = p.SetPassword(ctx, user, "x", false)
	_, _, errs["follow"] = p.Follow(ctx, user, other, w)
	_, _, errs["unfollow"] = p.Unfollow(ctx, user, other, w)
	_, _, errs["block"] = p.Block(ctx, user, other, w)
	_, _, errs["unblock"] = p.Unblock(ctx, user, other, w)
	_, _, errs["mute"] = p.Mute(ctx, user, other, w)
	_, _, errs["unmute"] = p.Unmute(ctx, user, other, w)
	_, _, errs["post"] = p.CreatePost(ctx, freshet.NewPost{Author: user, Text: "x"}, w)
	_, _, errs["edit"] = p.EditPost(ctx, user, user, freshet.PostPatch{Text: ptr("x")}, w)
	_, errs["delete"] = p.DeletePost(ctx, user, user, w)
	_, _, _, errs["like"] = p.Like(ctx, other, user, w) // ids of posts are of their author's bucket
	_, _, _, errs["unlike"] = p.Unlike(ctx, other, user, w)
	_, _, errs["comment"] = p.CreateComment(ctx, freshet.NewComment{Post: user, Author: other, Text: "x"}, w)
	_, _, errs["uncomment"] = p.DeleteComment(ctx, other, user, w)
	_, _, errs["session"] = p.CreateSession(ctx, freshet.Session{User: user, Hash: hash(9), ExpiresAt: instant}, w)
	errs["touch"] = p.TouchSession(ctx, user, instant, instant.Add(time.Hour))
	_, _, errs["end session"] = p.EndSession(ctx, user, user, w)
	return errs
}

func testMoved(x *parts) {
	a, b := x.user(0), x.user(1)
	for what, err := range x.writesOn(0, b, a) {
		if !errors.Is(err, store.ErrMoved) {
			x.Errorf("%s: got %v, want ErrMoved", what, err)
		}
	}
	_, _, err := x.p[0].Apply(x.ctx, []store.Mirror{{ID: x.draw(1), Kind: store.FollowMade, Actor: a, Target: b, Edge: x.draw(0)}})
	if !errors.Is(err, store.ErrMoved) {
		x.Errorf("apply: got %v, want ErrMoved", err)
	}
	moved := 0
	for range 64 { // names fall into all buckets
		h := x.handle("h")
		u, _, err := x.p[1].CreateUser(x.ctx, freshet.NewUser{Handle: h}, store.Write{})
		if errors.Is(err, store.ErrMoved) {
			moved++
		} else {
			x.ok(err)
			x.same("here", x.has[1].Has(u.ID.Bucket()), true)
		}
	}
	if moved == 0 || moved == 64 {
		x.Errorf("%d of 64 names belong elsewhere", moved)
	}
}

func testNotMoved(x *parts) {
	a, b := x.user(0), x.user(1)
	for what, err := range x.writesOn(0, x.draw(0), a) {
		if freshet.CodeOf(err) != freshet.CodeNotFound {
			x.Errorf("%s: got %v, want not found", what, err)
		}
	}
	post := x.at[0].post(a, "x")
	_, _, _, err := x.p[0].Like(x.ctx, x.draw(0), post, store.Write{})
	x.code(err, freshet.CodeNotFound)
	_, _, err = x.p[0].Follow(x.ctx, a, x.draw(0), store.Write{})
	x.code(err, freshet.CodeNotFound)
	x.same("applied", x.tell(0, store.Mirror{ID: x.draw(1), Kind: store.FollowMade, Actor: b, Target: x.draw(0), Edge: x.draw(1)}),
		[]store.Applied{{Refused: true}})
}

func testElsewhereKept(x *parts) {
	check := func(want store.Buckets) {
		x.Helper()
		b, err := x.p[1].Elsewhere(x.ctx)
		x.ok(err)
		x.same("elsewhere", b, want)
	}
	b := x.has[1].Complement()
	check(b)
	b.Remove(3)
	b.Add(1000)
	x.ok(x.p[1].SetElsewhere(x.ctx, b))
	check(b)
	if x.options.Reopen == nil {
		x.lacks("buckets elsewhere after a restart (no PartOptions.Reopen)")
	} else {
		x.p[1] = x.options.Reopen(x.T, x.p[1])
		x.at[1] = &env{T: x.T, Store: x.p[1], ctx: x.ctx}
		check(b)
	}
	x.ok(x.p[1].SetElsewhere(x.ctx, store.Buckets{}))
	check(store.Buckets{})
	x.ok(x.p[1].SetElsewhere(x.ctx, x.has[1].Complement()))
}

func testPostsOf(x *parts) {
	reader, elsewhere := x.user(0), x.user(1)
	authors := []freshet.ID{reader, elsewhere, 42}
	for range 5 {
		u := x.user(0)
		x.at[0].follow(reader, u)
		authors = append(authors, u)
	}
	for i := range 40 {
		x.at[0].post(authors[[]int{0, 3, 4, 5, 6, 7}[i*i%6]], "x")
	}
	want := walk(x.env, 7, refID, func(at freshet.ID) ([]freshet.PostRef, error) { return x.p[0].Home(x.ctx, reader, at, 7) })
	x.same("posts", len(want), 40)
	// An author who is named twice has not written twice.
	for _, named := range [][]freshet.ID{authors, append(reversed(authors), reader)} {
		x.same("posts", walk(x.env, 7, refID, func(at freshet.ID) ([]freshet.PostRef, error) {
			return x.p[0].PostsOf(x.ctx, named, at, 7)
		}), want)
	}
	many := authors
	for i := range 10_000 {
		many = append(many, freshet.NewID(1, 1, i+1)) // nobody
	}
	x.same("posts", got(x.p[0].PostsOf(x.ctx, many, 0, 5))(x.env), want[:5])
	x.same("nobody's", len(got(x.p[0].PostsOf(x.ctx, nil, 0, 5))(x.env)), 0)
}

func testHalves(x *parts) {
	var here, there []freshet.ID
	for range 4 {
		here, there = append(here, x.user(0)), append(there, x.user(1))
	}
	for i, a := range here {
		x.at[0].follow(a, here[(i+1)%4]) // has no half elsewhere
		for k, b := range there {
			if i == k {
				_, _, err := x.p[0].Block(x.ctx, a, b, store.Write{})
				x.ok(err)
				continue
			}
			x.at[0].follow(a, b)
			x.ok(third(x.p[0].Mute(x.ctx, a, b, store.Write{})))
		}
	}
	x.same("mirrors before they are told", len(x.halves(false, true))+len(x.halves(true, true)), 0)
	follows, blocks := x.halves(false, false), x.halves(true, false)
	x.carry()
	x.same("mirrored", []any{x.halves(false, true), x.halves(true, true)}, []any{follows, blocks})
	x.same("blocks", len(blocks), 4)
	page, err := x.p[0].Halves(x.ctx, store.HalfQuery{After: store.Half{Here: here[1], There: freshet.NewID(1<<40, 0, 0)}, Limit: 100})
	x.ok(err)
	for _, h := range page {
		if h.Here <= here[1] {
			x.Fatalf("%+v is not after %s", h, here[1])
		}
	}
}
