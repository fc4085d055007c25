package storetest

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var halfCases = []partCase{
	{name: "AFollowIsMadeInHalves", parts: 2, test: testFollowHalves},
	{name: "AFollowAlreadyThereIsNotTold", parts: 2, test: testFollowAgain},
	{name: "ARefusedFollowIsUndone", parts: 2, test: testRefusedFollow},
	{name: "ARefusedFollowTakesNoLaterOneAlong", parts: 2, test: testRefusedEdge},
	{name: "ARefusedBlockIsUndone", parts: 2, test: testRefusedBlock},
	{name: "ABlockEndsBothFollowsOnBothParts", parts: 2, test: testBlockHalves},
	{name: "ABlockedActorIsRefusedOnBothParts", parts: 2, test: testBlockedElsewhere},
	{name: "AFollowThatComesBehindABlockEnds", parts: 2, test: testFollowBehindBlock},
	{name: "AnEndTakesAwayItsOwnEdgeAlone", parts: 2, test: testOwnEdge},
	{name: "AMuteHasNoOtherHalf", parts: 2, test: testMuteElsewhere},
	{name: "MirrorsComeInOrderForTheBucketsAskedFor", parts: 3, test: testPending},
	{name: "UsersOfOnePartNeedNoMirror", parts: 2, test: testOnePart},
}

func testFollowHalves(x *parts) {
	a, b := x.user(0), x.user(1)
	x.at[0].follow(a, b)
	x.at[0].counted(a, 0, 1, 0)
	x.at[1].counted(b, 0, 0, 0)
	edge := got(x.p[0].Following(x.ctx, a, 0, 9))(x.env)[0]
	x.same("followed", edge.User, b)

	made := x.pending(0)
	x.same("mirrors", kinds(made), []string{"follow"})
	x.same("the mirror", []freshet.ID{made[0].Actor, made[0].Target, made[0].Edge}, []freshet.ID{a, b, edge.ID})
	x.same("nothing to tell on the other part", len(x.pending(1)), 0)
	for range 3 {
		x.same("applied", x.tell(1, made...), []store.Applied{{}})
		x.at[1].counted(b, 1, 0, 0)
		x.same("followers", got(x.p[1].Followers(x.ctx, b, 0, 9))(x.env), []freshet.Edge{{ID: edge.ID, User: a}})
	}
	x.settle(0, store.Settled{ID: made[0].ID}, store.Settled{ID: 42, Refused: true})
	x.settle(0, store.Settled{ID: made[0].ID, Refused: true})
	x.same("settled", len(x.pending(0)), 0)
	x.at[0].counted(a, 0, 1, 0)

	changed, _, err := x.p[0].Unfollow(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.same("changed", changed, true)
	x.at[0].counted(a, 0, 0, 0)
	ended := x.pending(0)
	x.same("mirrors", kinds(ended), []string{"unfollow"})
	x.same("the edge", []any{ended[0].Edge, ended[0].ID != made[0].ID}, []any{edge.ID, true})
	for range 2 {
		x.tell(1, ended...)
		x.at[1].counted(b, 0, 0, 0)
	}
	x.same("the first one is not made again", x.tell(1, made...), []store.Applied{{}})
	x.at[1].counted(b, 0, 0, 0)
	x.same("followers", len(got(x.p[1].Followers(x.ctx, b, 0, 9))(x.env)), 0)
}

func testFollowAgain(x *parts) {
	a, b := x.user(0), x.user(1)
	x.at[0].follow(a, b)
	x.carry()
	for _, write := range []struct {
		name string
		do   func() (bool, error)
	}{
		{"follow", func() (bool, error) { ch, _, err := x.p[0].Follow(x.ctx, a, b, store.Write{}); return ch, err }},
		{"unblock", func() (bool, error) { ch, _, err := x.p[0].Unblock(x.ctx, a, b, store.Write{}); return ch, err }},
		{"unfollow back", func() (bool, error) { ch, _, err := x.p[1].Unfollow(x.ctx, b, a, store.Write{}); return ch, err }},
	} {
		changed, err := write.do()
		x.ok(err)
		x.same(write.name+" changed", changed, false)
	}
	x.same("mirrors", len(x.pending(0))+len(x.pending(1)), 0)
}

func testRefusedFollow(x *parts) {
	a, gone, foe := x.user(0), x.user(1), x.user(1)
	x.at[0].follow(a, gone)
	x.at[0].follow(a, foe)
	_, _, err := x.p[1].EraseUser(x.ctx, gone, store.Write{})
	x.ok(err)
	_, _, err = x.p[1].Block(x.ctx, foe, a, store.Write{})
	x.ok(err)
	made := x.pending(0)
	for range 2 {
		x.same("applied", x.tell(1, made...), []store.Applied{{Refused: true}, {Refused: true}})
	}
	x.same("followers", len(got(x.p[1].Followers(x.ctx, foe, 0, 9))(x.env)), 0)
	x.at[1].counted(foe, 0, 0, 0)
	x.at[0].counted(a, 0, 2, 0)
	for range 2 {
		x.settle(0, store.Settled{ID: made[0].ID, Refused: true}, store.Settled{ID: made[1].ID, Refused: true})
		x.at[0].counted(a, 0, 0, 0)
	}
	x.same("following", len(got(x.p[0].Following(x.ctx, a, 0, 9))(x.env)), 0)
}

// testRefusedEdge: a follows again before it hears that the first follow was
// refused.
func testRefusedEdge(x *parts) {
	a, b := x.user(0), x.user(1)
	x.ok(third(x.p[1].Block(x.ctx, b, a, store.Write{})))
	x.at[0].follow(a, b)
	first := x.pending(0)
	x.same("applied", x.tell(1, first...), []store.Applied{{Refused: true}})
	x.ok(third(x.p[0].Unfollow(x.ctx, a, b, store.Write{})))
	x.at[0].follow(a, b)
	x.settle(0, store.Settled{ID: first[0].ID, Refused: true})
	x.at[0].counted(a, 0, 1, 0)
	x.same("mirrors", kinds(x.pending(0)), []string{"unfollow", "follow"})
}

func testRefusedBlock(x *parts) {
	a, gone := x.user(0), x.user(1)
	_, _, err := x.p[0].Block(x.ctx, a, gone, store.Write{})
	x.ok(err)
	_, _, err = x.p[1].EraseUser(x.ctx, gone, store.Write{})
	x.ok(err)
	made := x.pending(0)
	x.same("applied", x.tell(1, made...), []store.Applied{{Refused: true}})
	x.settle(0, store.Settled{ID: made[0].ID, Refused: true})
	x.same("blocks", len(got(x.p[0].Blocks(x.ctx, a, 0, 9))(x.env)), 0)
}

func testBlockHalves(x *parts) {
	a, b := x.user(0), x.user(1)
	x.at[0].follow(a, b)
	x.at[1].follow(b, a)
	x.carry()
	x.at[0].counted(a, 1, 1, 0)
	x.at[1].counted(b, 1, 1, 0)

	_, _, err := x.p[0].Block(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.at[0].counted(a, 1, 0, 0)
	told := x.pending(0)
	x.same("mirrors", kinds(told), []string{"unfollow", "block"})
	for range 2 {
		x.same("applied", x.tell(1, told...), []store.Applied{{}, {}})
		x.at[1].counted(b, 0, 0, 0)
		back := x.pending(1)
		x.same("mirrors that come back", kinds(back), []string{"unfollow"})
		x.same("of the follow", []freshet.ID{back[0].Actor, back[0].Target}, []freshet.ID{b, a})
	}
	x.carry()
	x.at[0].counted(a, 0, 0, 0)
	for i, who := range []freshet.ID{a, b} {
		r := got(x.p[i].Relations(x.ctx, []freshet.ID{who}))(x.env)[who]
		x.same("relations", []int{len(r.Following), len(r.Blocked), len(r.Hidden)}, []int{0, 1, 1})
	}
	_, _, err = x.p[0].Unblock(x.ctx, a, b, store.Write{})
	x.ok(err)
	lifted := x.pending(0)
	x.same("mirrors", kinds(lifted), []string{"unblock"})
	x.same("the edge", lifted[0].Edge, told[1].Edge)
	x.carry()
	x.same("told once more, too late", x.tell(1, told...), []store.Applied{{}, {}})
	r := got(x.p[1].Relations(x.ctx, []freshet.ID{b}))(x.env)[b]
	x.same("blocked", len(r.Blocked), 0)
	x.at[1].follow(b, a)
	x.carry()
	x.at[0].counted(a, 1, 0, 0)
}

func testBlockedElsewhere(x *parts) {
	a, b := x.user(0), x.user(1)
	mine, theirs := x.at[0].post(a, "x"), x.at[1].post(b, "x")
	_, _, err := x.p[0].Block(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.carry()
	for i, on := range []struct{ actor, target, post freshet.ID }{{a, b, mine}, {b, a, theirs}} {
		_, _, err := x.p[i].Follow(x.ctx, on.actor, on.target, store.Write{})
		x.code(err, freshet.CodeNotFound)
		_, _, _, err = x.p[i].Like(x.ctx, on.target, on.post, store.Write{})
		x.code(err, freshet.CodeNotFound)
		_, _, err = x.p[i].CreateComment(x.ctx, freshet.NewComment{Post: on.post, Author: on.target, Text: "x"}, store.Write{})
		x.code(err, freshet.CodeNotFound)
	}
}

// testFollowBehindBlock: b's follow is under way when a's block comes to b's part.
func testFollowBehindBlock(x *parts) {
	a, b := x.user(0), x.user(1)
	x.at[1].follow(b, a)
	_, _, err := x.p[0].Block(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.tell(1, x.pending(0)...)
	x.at[1].counted(b, 0, 0, 0)
	late := x.pending(1)
	x.same("mirrors", kinds(late), []string{"follow", "unfollow"})
	out := x.tell(0, late...)
	x.same("applied", out, []store.Applied{{Refused: true}, {}})
	x.settle(1, store.Settled{ID: late[0].ID, Refused: true}, store.Settled{ID: late[1].ID})
	x.at[0].counted(a, 0, 0, 0)
	x.at[1].counted(b, 0, 0, 0)
	x.same("followers", len(got(x.p[0].Followers(x.ctx, a, 0, 9))(x.env)), 0)
}

// testOwnEdge: what ended an edge comes behind a later edge of the same users.
func testOwnEdge(x *parts) {
	a, b := x.user(0), x.user(1)
	again := func(on, off func() error) (first, last store.Mirror) {
		x.ok(on())
		first = x.pending(0)[0]
		x.carry()
		x.ok(off())
		x.carry()
		x.ok(on())
		last = x.pending(0)[0]
		x.carry()
		return first, last
	}
	first, _ := again(
		func() error { return third(x.p[0].Follow(x.ctx, a, b, store.Write{})) },
		func() error { return third(x.p[0].Unfollow(x.ctx, a, b, store.Write{})) })
	x.tell(1, store.Mirror{ID: x.draw(0), Kind: store.FollowEnded, Actor: a, Target: b, Edge: first.Edge})
	x.at[1].counted(b, 1, 0, 0)
	x.same("followers", len(got(x.p[1].Followers(x.ctx, b, 0, 9))(x.env)), 1)

	first, _ = again(
		func() error { return third(x.p[0].Block(x.ctx, a, b, store.Write{})) },
		func() error { return third(x.p[0].Unblock(x.ctx, a, b, store.Write{})) })
	x.tell(1, store.Mirror{ID: x.draw(0), Kind: store.BlockEnded, Actor: a, Target: b, Edge: first.Edge})
	r := got(x.p[1].Relations(x.ctx, []freshet.ID{b}))(x.env)[b]
	x.same("blocked", r.Blocked, []freshet.ID{a})
}

func testMuteElsewhere(x *parts) {
	a, b := x.user(0), x.user(1)
	changed, _, err := x.p[0].Mute(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.same("changed", changed, true)
	x.same("mirrors", len(x.pending(0)), 0)
	x.same("muted", others(got(x.p[0].Mutes(x.ctx, a, 0, 9))(x.env)), []freshet.ID{b})
	changed, _, err = x.p[0].Unmute(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.same("changed", changed, true)
}

func testPending(x *parts) {
	a := x.user(0)
	var targets, want []freshet.ID
	for i := range 12 {
		targets = append(targets, x.user(1+i%2))
		x.at[0].follow(a, targets[i])
	}
	third := x.user(2)
	for range 3 { // the same two users, again and again
		x.at[0].follow(a, third)
		_, _, err := x.p[0].Unfollow(x.ctx, a, third, store.Write{})
		x.ok(err)
	}
	all := x.pending(0)
	x.same("mirrors", len(all), 18)
	for i, target := range targets {
		x.same("in the order of their making", all[i].Target, target)
	}
	x.same("of the same two users", kinds(all[12:]), []string{"follow", "unfollow", "follow", "unfollow", "follow", "unfollow"})
	for _, m := range all {
		if x.has[2].Has(m.Target.Bucket()) {
			want = append(want, m.ID)
		}
	}
	for _, limit := range []int{1, 3, 100} {
		var ids []freshet.ID
		list, err := x.p[0].Pending(x.ctx, x.has[2], limit)
		x.ok(err)
		for _, m := range list {
			ids = append(ids, m.ID)
		}
		x.same("mirrors for one part", ids, want[:min(limit, len(want))])
	}
	list, err := x.p[0].Pending(x.ctx, store.Buckets{}, 100)
	x.ok(err)
	x.same("for no bucket", len(list), 0)
	_, _, err = x.p[0].EraseUser(x.ctx, a, store.Write{})
	x.ok(err)
	list, err = x.p[0].Pending(x.ctx, store.Buckets{}, 100)
	x.ok(err)
	x.same("an erasure is for all", kinds(list), []string{"erasure"})
}

func testOnePart(x *parts) {
	a, b := x.user(0), x.user(0)
	x.at[0].follow(a, b)
	x.at[0].follow(b, a)
	x.at[0].counted(a, 1, 1, 0)
	_, _, err := x.p[0].Block(x.ctx, a, b, store.Write{})
	x.ok(err)
	x.at[0].counted(a, 0, 0, 0)
	x.same("mirrors", len(x.pending(0)), 0)
	x.ok(x.p[1].SetElsewhere(x.ctx, store.Buckets{}))
	id, err := x.p[1].DrawUserID(x.ctx, 5)
	x.ok(err)
	_, _, err = x.p[1].CreateNamed(x.ctx, id, freshet.NewUser{Handle: x.handle("u")}, store.Write{})
	x.ok(err)
	_, _, err = x.p[1].EraseUser(x.ctx, id, store.Write{})
	x.ok(err)
	x.same("mirrors of a part that has all", len(x.pending(1)), 0)
	x.ok(x.p[1].SetElsewhere(x.ctx, x.has[1].Complement()))
}
