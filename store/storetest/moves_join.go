package storetest

import (
	"errors"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var joinCases = []moveCase{
	{name: "UsersOnTheWayAreStrangersToTheTarget", test: testStrangersOfTarget},
	{name: "UsersWhoHaveLeftAreStrangersToTheSource", test: testStrangersOfSource},
	{name: "WhatWaitedToBeToldIsMade", test: testMirrorsMeet},
	{name: "AFollowThatABlockHasEndedIsNotMade", test: testBlockMeetsFollow},
	{name: "AnErasureMeetsWhoHadReactions", test: testErasureMeets},
	{name: "AnErasureMeetsRowsThatItPassed", test: testErasurePassed},
}

func testStrangersOfTarget(x *moves) {
	s := x.scene()
	x.carry() // an erasure that the target knows by its copy alone is yet to be made there
	x.copy()
	x.at[0].verify()
	x.at[1].verify() // a copy is no damage
	rows := x.everything(1)
	p, w := x.p[1], store.Write{}
	x.at[1].follow(s.t, s.b)
	for _, err := range []error{
		third(p.Unfollow(x.ctx, s.t, s.a, w)), third(p.Block(x.ctx, s.t, s.a, w)), third(p.Unblock(x.ctx, s.t, s.a, w)),
		third(p.Mute(x.ctx, s.t, s.a, w)), fourth(p.Like(x.ctx, s.a, s.elsewhere, w)),
		third(p.CreateComment(x.ctx, freshet.NewComment{Post: s.elsewhere, Author: s.a, Text: "x"}, w)),
	} {
		x.ok(err)
	}
	x.same("told", kinds(x.parts.pending(1)), []string{"follow", "unfollow", "block", "unblock"})
	gone, _, err := p.EraseUser(x.ctx, s.v, w) // likes and comments of a's post lie here, and a's mute
	x.ok(err)
	x.same("parents", gone.Parents, []freshet.ID(nil))
	told := x.parts.pending(1)
	x.same("told of the erasure", kinds(told[4:]), []string{"unfollow", "erasure"})
	x.same("rows of strangers", x.everything(1), rows)

	_, _, err = p.Apply(x.ctx, []store.Mirror{{ID: x.draw(0), Kind: store.FollowMade, Actor: s.s, Target: s.a, Edge: x.draw(0)}})
	x.same("applied to a stranger", errors.Is(err, store.ErrMoved), true)
	for _, m := range x.has[0].List()[:2] {
		_, err = p.DrawUserID(x.ctx, m)
		x.same("drawn elsewhere", errors.Is(err, store.ErrMoved), true)
	}
	_, _, err = x.p[0].Apply(x.ctx, told) // settled where they have come
	x.ok(err)
	x.flip()
	x.same("the target's halves of a's", x.at[1].profile(s.a).FollowersCount, 2) // s and u
}

func testStrangersOfSource(x *moves) {
	s := x.scene()
	x.copy()
	x.flip()
	rows := x.everything(0)
	p, w := x.p[0], store.Write{}
	x.same("what a had to tell is told by the target", len(x.parts.pending(0)), 0)
	for _, err := range []error{
		third(p.Unfollow(x.ctx, s.s, s.a, w)), third(p.Block(x.ctx, s.s, s.a, w)), third(p.Unblock(x.ctx, s.s, s.b, w)),
		third(p.Mute(x.ctx, s.s, s.b, w)),
	} {
		x.ok(err)
	}
	gone, _, err := p.EraseUser(x.ctx, s.u, w)
	x.ok(err)
	x.same("parents", gone.Parents, []freshet.ID(nil))
	x.same("told", kinds(x.parts.pending(0)), []string{"unfollow", "block", "unblock", "unfollow", "erasure"})
	x.same("rows left behind", x.everything(0), rows)
	x.carry()
	x.same("rows left behind", x.everything(0), rows)
	x.same("comments", len(got(x.p[1].CommentsOn(x.ctx, s.post, 0, 9))(x.env)), 4) // b, s, t, v
	x.same("followers", x.at[1].profile(s.a).FollowersCount, 2)                    // t and v
}

func testMirrorsMeet(x *moves) {
	s := x.scene() // a's follow of v is pending
	x.at[1].follow(s.t, s.b)
	x.ok(third(x.p[1].Block(x.ctx, s.v, s.a, store.Write{})))
	x.ok(third(x.p[0].Block(x.ctx, s.a, s.t, store.Write{})))
	x.copy()
	x.flip()
	x.same("pending", kinds(x.parts.pending(1)), []string{"erasure"})
	x.same("followers", others(got(x.p[1].Followers(x.ctx, s.b, 0, 9))(x.env)), []freshet.ID{s.t, s.a})
	for _, id := range []freshet.ID{s.v, s.t} {
		for _, edge := range got(x.p[1].Followers(x.ctx, s.a, 0, 9))(x.env) {
			x.same("blocked and following", edge.User == id, false)
		}
	}
	for _, pair := range [][2]freshet.ID{{s.a, s.v}, {s.v, s.a}, {s.a, s.t}, {s.t, s.a}} {
		r := got(x.p[1].Relations(x.ctx, pair[:1]))(x.env)[pair[0]]
		x.same("hides, follows", []bool{r.Hides(pair[1]), r.Follows(pair[1])}, []bool{true, false})
	}
	x.turn() // what was made is noted too
	x.drain()
	x.alike()
}

// testBlockMeetsFollow: of a follow in one direction and a block in the other one, which both wait, the block ends the follow
// whatever comes first.
func testBlockMeetsFollow(x *moves) {
	for _, first := range []int{0, 1} {
		s := x.people()
		actors, targets := []freshet.ID{s.a, s.t}, []freshet.ID{s.t, s.a}
		for i := range 2 {
			part := (first + i) % 2
			if part == 0 {
				x.ok(third(x.p[1].Block(x.ctx, actors[1], targets[1], store.Write{})))
				x.ok(third(x.p[1].Unblock(x.ctx, actors[1], targets[1], store.Write{})))
			} else {
				x.at[0].follow(actors[0], targets[0])
			}
		}
		x.begin(0, 1, s.buckets...)
		x.copy()
		x.flip()
		x.same("pending", len(x.parts.pending(1)), 0)
		x.same("counts", []int64{x.at[1].profile(s.a).FollowingCount, x.at[1].profile(s.t).FollowersCount}, []int64{0, 0})
		x.agree()
		x.end()
	}
}

// testErasureMeets: one who was in a bucket that goes was erased, which the target has not heard of before it has the bucket.
func testErasureMeets(x *moves) {
	s := x.scene()
	x.same("likes before", got(x.p[1].Counts(x.ctx, []freshet.ID{s.elsewhere}))(x.env)[s.elsewhere].Likes, 1)
	x.copy()
	x.same("the follow's end and the erasure are on the way", kinds(x.parts.pending(0)), []string{"unfollow", "erasure", "follow"})
	x.flip()
	x.same("likes", got(x.p[1].Counts(x.ctx, []freshet.ID{s.elsewhere}))(x.env)[s.elsewhere].Likes, 0)
	x.same("followers", x.at[1].profile(s.t).FollowersCount, 0)
	x.same("other parts are to be told", kinds(x.parts.pending(1)), []string{"erasure"})
	x.carry()
}

// testErasurePassed: between the two parts rows miss an erasure that comes to the source after it has given them away and to the
// target before it has them, where nobody holds it back for so long. The target makes it when it takes them.
func testErasurePassed(x *moves) {
	s := x.scene()
	x.carry()
	x.copy()
	x.ok(second(x.mover(0).Fence(x.ctx, x.st.term, lease)))
	x.drain()
	x.ok(second(x.mover(0).Leave(x.ctx, x.st.term)))
	for part, user := range []freshet.ID{s.u, s.v} {
		x.ok(third(x.p[part].EraseUser(x.ctx, user, store.Write{})))
		var told []store.Mirror
		for _, m := range x.parts.pending(part) {
			if m.Kind == store.Erasure && m.Actor == user {
				told = append(told, m)
			}
		}
		x.same("told", len(told), 1)
		x.ok(third(x.p[1-part].Apply(x.ctx, told)))
		x.ok(second(x.p[part].Settle(x.ctx, []store.Settled{{ID: told[0].ID}})))
	}
	rows := x.everything(1)
	x.ok(second(x.mover(1).Join(x.ctx, x.st.term)))
	x.same("rows changed", slices.Equal(rows, x.everything(1)), false)
	x.arrived()
	x.without(1, s, s.u, s.v)
	x.turn()
	x.drain() // what was made is noted too
	x.flip()
	x.without(0, s, s.u, s.v)
}

// without wants a part to have nothing about a and b that names any of the users.
func (x *moves) without(part int, s *scene, users ...freshet.ID) {
	x.Helper()
	x.carry() // each follow that was ended is told by itself
	p, e := x.p[part], x.at[part]
	for _, id := range users {
		x.same("liked", got(p.Liked(x.ctx, id, []freshet.ID{s.post, s.second}))(e), []freshet.ID(nil))
		for _, c := range got(p.CommentsOn(x.ctx, s.post, 0, 99))(e) {
			x.same("a comment of who was erased", c.Author == id, false)
		}
		for _, of := range []freshet.ID{s.a, s.b} {
			for what, list := range map[string][]freshet.Edge{
				"followed by": got(p.Followers(x.ctx, of, 0, 99))(e), "follows": got(p.Following(x.ctx, of, 0, 99))(e),
				"blocks": got(p.Blocks(x.ctx, of, 0, 99))(e), "mutes": got(p.Mutes(x.ctx, of, 0, 99))(e),
			} {
				x.same(what+" who was erased", slices.Contains(others(list), id), false)
			}
		}
	}
	x.at[part].verify()
}
