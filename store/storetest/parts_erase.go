package storetest

import (
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var erasureCases = []partCase{
	{name: "AnErasureReachesAllParts", parts: 3, test: testErasureElsewhere},
	{name: "AnErasureIsInTheChangeFeedOfEachPart", parts: 2, test: testErasureChanges},
	{name: "NothingOfAnErasedUserIsMadeElsewhere", parts: 2, test: testErasedElsewhere},
	{name: "WhatIsUnderWayAtAnErasureIsUndone", parts: 2, test: testErasureUnderWay},
	{name: "WhatAnErasedUserHadUnderWayIsNotMade", parts: 2, test: testErasedUnderWay},
}

// testErasureElsewhere: gone is on part 1; fan, idol, foe, hater, loud and deaf
// are on part 0, which is home, and on part 2.
func testErasureElsewhere(x *parts) {
	ctx, w := x.ctx, store.Write{}
	n := freshet.NewUser{Handle: x.handle("gone"), Ref: x.handle("ref")}
	gone := x.signUp(1, n)
	near := x.user(1)
	x.at[1].follow(near, gone)
	mine := x.at[1].post(gone, "x")
	type circle struct{ fan, idol, foe, hater, loud, deaf, liked, commented freshet.ID }
	circles := make(map[int]circle)
	for _, part := range []int{0, 2} {
		e, c := x.at[part], circle{x.user(part), x.user(part), x.user(part), x.user(part), x.user(part), x.user(part), 0, 0}
		e.follow(c.fan, gone)
		e.follow(c.fan, c.idol)
		x.at[1].follow(gone, c.idol)
		x.ok(third(x.p[1].Block(ctx, gone, c.foe, w)))
		x.ok(third(e.Block(ctx, c.hater, gone, w)))
		x.ok(third(x.p[1].Mute(ctx, gone, c.loud, w)))
		x.ok(third(e.Mute(ctx, c.deaf, gone, w)))
		c.liked, c.commented = e.post(c.idol, "x"), e.post(c.idol, "y")
		_, _, _, err := e.Like(ctx, gone, c.liked, w)
		x.ok(err)
		e.comment(c.commented, gone, "one")
		e.comment(c.commented, gone, "two")
		e.comment(c.commented, c.fan, "three")
		_, _, _, err = x.p[1].Like(ctx, c.fan, mine, w)
		x.ok(err)
		x.at[1].comment(mine, c.fan, "well")
		circles[part] = c
	}
	x.carry()
	x.at[1].counted(gone, 3, 2, 1)

	erased, _, err := x.p[1].EraseUser(ctx, gone, w)
	x.ok(err)
	neighbors, away := []freshet.ID{near}, []freshet.ID{}
	for _, c := range circles {
		away = append(away, c.fan, c.idol, c.foe, c.hater, c.loud)
	}
	neighbors = append(neighbors, away...)
	x.same("neighbors", ascending(erased.Neighbors...), ascending(neighbors...))
	told := x.pending(1)
	x.same("mirrors", kinds(told), []string{"unfollow", "unfollow", "erasure"})
	last := told[len(told)-1]
	x.same("the erasure", []any{last.Actor, last.Target, ascending(last.Also...)}, []any{gone, freshet.ID(0), ascending(away...)})

	for part, c := range circles {
		x.at[part].counted(c.fan, 0, 2, 0)
		x.same("parents", ascending(x.tell(part, last)[0].Parents...), ascending(c.liked, c.commented))
		x.same("parents, again", len(x.tell(part, last)[0].Parents), 0)
	}
	x.carry()
	for part, c := range circles {
		e := x.at[part]
		e.counted(c.fan, 0, 1, 0)
		e.counted(c.idol, 1, 0, 2)
		e.counts(c.liked, 0, 0)
		e.counts(c.commented, 0, 1)
		x.same("likes", len(got(e.LikedBy(ctx, gone, 0, 9))(e)), 0)
		x.same("comments", len(got(e.CommentsBy(ctx, gone, 0, 9))(e)), 0)
		x.same("mutes", len(got(e.Mutes(ctx, c.deaf, 0, 9))(e)), 0)
		x.same("blocks", len(got(e.Blocks(ctx, c.hater, 0, 9))(e)), 0)
		all := []freshet.ID{c.fan, c.idol, c.foe, c.hater, c.loud, c.deaf, gone}
		for id, r := range got(e.Relations(ctx, all))(e) {
			if r.Follows(gone) || r.Hides(gone) || id == gone && len(r.Following)+len(r.Hidden) > 0 {
				x.Fatalf("relations of %s still name %s: %+v", id, gone, r)
			}
		}
	}
	x.at[1].counted(near, 0, 0, 0)
	x.free(n.Handle)
	_, err = x.p[0].RefOf(ctx, n.Ref)
	x.code(err, freshet.CodeNotFound)
	x.signUp(2, n) // the names are free
}

func testErasureChanges(x *parts) {
	gone, fan, deaf := x.user(1), x.user(0), x.user(0)
	post := x.at[0].post(fan, "x")
	if _, ok := x.p[0].(store.ChangeFeed); !ok {
		x.lacks("change feed (no store.ChangeFeed)")
		return
	}
	marker := x.user(0)
	c := x.subscribeBy("cache", marker)
	x.at[0].follow(fan, gone)
	x.ok(third(x.p[0].Mute(x.ctx, deaf, gone, store.Write{})))
	_, _, _, err := x.p[0].Like(x.ctx, gone, post, store.Write{})
	x.ok(err)
	x.at[0].comment(post, gone, "well")
	x.at[1].follow(gone, fan)
	x.carry()
	heard := kindsOf(x.mark(c, marker))
	x.same("changes", heard, []store.ChangeKind{store.FollowChanged, store.MuteChanged, store.LikeChanged, store.CommentChanged, store.FollowChanged})

	_, _, err = x.p[1].EraseUser(x.ctx, gone, store.Write{})
	x.ok(err)
	x.carry()
	changes := x.mark(c, marker)
	x.same("changes", kindsOf(changes), []store.ChangeKind{store.FollowChanged, store.LikeChanged, store.CommentChanged, store.UserErased})
	for _, ch := range changes {
		switch ch.Kind {
		case store.UserErased:
			x.same("erased", []any{ch.Subject, ascending(ch.Also...)}, []any{gone, ascending(fan, deaf)})
		case store.LikeChanged, store.CommentChanged:
			x.same("the post", ch.Subject, post)
		}
	}
	x.carry()
	x.same("changes of what was applied before", len(kindsOf(x.mark(c, marker))), 0)
}

// kindsOf leaves the posts out that mark the ends of what was heard.
func kindsOf(changes []store.Change) (kinds []store.ChangeKind) {
	for _, ch := range changes {
		if ch.Kind != store.PostCreated && ch.Kind != store.Notified {
			kinds = append(kinds, ch.Kind)
		}
	}
	return kinds
}

func testErasedElsewhere(x *parts) {
	a, gone := x.user(0), x.user(1)
	post := x.at[0].post(a, "x")
	_, _, err := x.p[1].EraseUser(x.ctx, gone, store.Write{})
	x.ok(err)
	x.carry()
	w := store.Write{}
	_, _, err1 := x.p[0].Follow(x.ctx, a, gone, w)
	_, _, err2 := x.p[0].Block(x.ctx, a, gone, w)
	_, _, err3 := x.p[0].Mute(x.ctx, a, gone, w)
	_, _, _, err4 := x.p[0].Like(x.ctx, gone, post, w)
	_, _, err5 := x.p[0].CreateComment(x.ctx, freshet.NewComment{Post: post, Author: gone, Text: "x"}, w)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		x.code(err, freshet.CodeNotFound)
	}
	x.at[0].counts(post, 0, 0)
	x.at[0].counted(a, 0, 0, 1)
	x.same("a late follow", x.tell(0, store.Mirror{ID: x.draw(1), Kind: store.FollowMade, Actor: gone, Target: a, Edge: x.draw(1)}),
		[]store.Applied{{Refused: true}})
	x.at[0].counted(a, 0, 0, 1)
}

// testErasureUnderWay: what others did to the user has not come to its part yet.
func testErasureUnderWay(x *parts) {
	for _, erasureFirst := range []bool{false, true} {
		fan, foe, gone := x.user(0), x.user(0), x.user(1)
		x.at[0].follow(fan, gone)
		x.ok(third(x.p[0].Block(x.ctx, foe, gone, store.Write{})))
		_, _, err := x.p[1].EraseUser(x.ctx, gone, store.Write{})
		x.ok(err)
		if erasureFirst {
			x.settle(1, x.tellAll(1, x.pending(1))...)
		}
		done := x.tellAll(0, x.pending(0))
		x.same("refused", []bool{done[0].Refused, done[1].Refused}, []bool{true, true})
		x.settle(0, done...)
		x.carry()
		x.at[0].counted(fan, 0, 0, 0)
		x.same("following", len(got(x.p[0].Following(x.ctx, fan, 0, 9))(x.env)), 0)
		x.same("blocks", len(got(x.p[0].Blocks(x.ctx, foe, 0, 9))(x.env)), 0)
	}
}

// testErasedUnderWay: what the user did has not come to the other part yet, and
// the erasure overtakes it.
func testErasedUnderWay(x *parts) {
	idol, foe, gone := x.user(0), x.user(0), x.user(1)
	x.at[1].follow(gone, idol)
	x.ok(third(x.p[1].Block(x.ctx, gone, foe, store.Write{})))
	_, _, err := x.p[1].EraseUser(x.ctx, gone, store.Write{})
	x.ok(err)
	told := x.pending(1)
	x.same("mirrors", kinds(told), []string{"follow", "block", "unfollow", "erasure"})
	slices.Reverse(told)
	x.settle(1, x.tellAll(1, told)...)
	x.at[0].counted(idol, 0, 0, 0)
	x.same("followers", len(got(x.p[0].Followers(x.ctx, idol, 0, 9))(x.env)), 0)
	r := got(x.p[0].Relations(x.ctx, []freshet.ID{foe}))(x.env)[foe]
	x.same("blocked", len(r.Blocked), 0)
}
