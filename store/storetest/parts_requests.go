package storetest

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var requestPartCases = []partCase{
	{name: "ARequestLiesWithWhomItIsFor", parts: 2, test: testRequestElsewhere},
	{name: "AFollowOfAPrivateUserElsewhereIsUndone", parts: 2, test: testRefusedByPrivate},
	{name: "AnAcceptedFollowUsesUpItsRequest", parts: 2, test: testAcceptedElsewhere},
	{name: "WhatIsToldComesFromOtherParts", parts: 2, test: testToldElsewhere},
	{name: "ABlockElsewhereEndsRequests", parts: 2, test: testBlockedRequests},
	{name: "AnErasureElsewhereEndsRequests", parts: 2, test: testErasedRequests},
}

func testRequestElsewhere(x *parts) {
	a, b := x.user(0), x.user(1)
	x.at[1].closed(x.p[1], b)
	x.at[1].ask(x.p[1], a, b)
	x.same("who asks", x.at[1].asking(b), []freshet.ID{a})
	x.same("mirrors", len(x.pending(0))+len(x.pending(1)), 0)
	_, _, _, err := x.p[0].RequestFollow(x.ctx, a, b, store.Write{})
	x.same("asked on another part", err, store.ErrMoved)
	_, _, err = x.p[1].CompleteFollow(x.ctx, a, b, store.Write{})
	x.same("completed where the actor is not", err, store.ErrMoved)
	x.same("between", got(x.p[1].Between(x.ctx, b, a))(x.env), store.Between{Private: true, Asked: true})
	x.ok(third(x.p[1].AcceptRequest(x.ctx, b, a, store.Write{})))
	x.same("between", got(x.p[1].Between(x.ctx, b, a))(x.env), store.Between{Private: true, Asked: true, Accepted: true})
	x.same("between", got(x.p[0].Between(x.ctx, a, b))(x.env), store.Between{})
	_, err = x.p[0].Between(x.ctx, b, a)
	x.code(err, freshet.CodeNotFound)
}

func testRefusedByPrivate(x *parts) {
	a, b, old := x.user(0), x.user(1), x.user(0)
	x.at[0].follow(old, b)
	x.carry()
	edge := got(x.p[0].Following(x.ctx, old, 0, 9))(x.env)[0].ID
	x.at[1].closed(x.p[1], b)
	again := store.Mirror{ID: x.draw(0), Kind: store.FollowMade, Actor: old, Target: b, Edge: edge}
	x.same("a follow that is there, told once more", x.tell(1, again), []store.Applied{{}})
	x.at[1].counted(b, 1, 0, 0)

	x.at[1].ask(x.p[1], a, b) // and is not accepted
	x.at[0].follow(a, b)
	for _, along := range [][]store.Mirror{nil, {{ID: x.draw(0), Kind: store.BlockEnded, Actor: a, Target: b, Edge: 42}}} {
		made := x.pending(0)
		applied := x.tell(1, append(made, along...)...)
		x.same("applied", applied[0], store.Applied{Refused: true})
		x.at[1].counted(b, 1, 0, 0)
		x.settle(0, store.Settled{ID: made[0].ID, Refused: true})
		x.at[0].counted(a, 0, 0, 0)
		x.at[0].follow(a, b)
	}
	x.same("who asks", x.at[1].asking(b), []freshet.ID{a})
}

func testAcceptedElsewhere(x *parts) {
	for _, along := range []bool{false, true} { // whether something else is told with it
		a, b, other := x.user(0), x.user(1), x.user(1)
		x.at[1].closed(x.p[1], b)
		x.at[1].ask(x.p[1], a, b)
		x.ok(third(x.p[1].AcceptRequest(x.ctx, b, a, store.Write{})))
		if along {
			x.ok(third(x.p[0].Block(x.ctx, a, other, store.Write{})))
		}
		x.at[0].follow(a, b)
		x.carry()
		x.at[0].counted(a, 0, 1, 0)
		x.at[1].counted(b, 1, 0, 0)
		x.same("between", got(x.p[1].Between(x.ctx, b, a))(x.env), store.Between{Private: true})
		x.ok(third(x.p[0].Unfollow(x.ctx, a, b, store.Write{})))
		x.at[0].follow(a, b)
		x.carry()
		x.at[0].counted(a, 0, 0, 0)
		x.at[1].counted(b, 0, 0, 0)
	}
}

func testToldElsewhere(x *parts) {
	a, b, c := x.user(0), x.user(1), x.user(1)
	names := map[freshet.ID]string{a: "a", b: "b", c: "c"}
	x.at[1].closed(x.p[1], b)
	x.at[1].ask(x.p[1], a, b)
	x.at[1].like(a, x.at[1].post(c, "x"))
	x.at[0].follow(a, c)
	x.carry()
	x.same("told", x.at[1].told(c, names)+"; "+x.at[1].told(b, names), "follow a, like a; request a")
	x.ok(third(x.p[1].AcceptRequest(x.ctx, b, a, store.Write{})))
	x.ok(third(x.p[0].CompleteFollow(x.ctx, a, b, store.Write{})))
	x.carry()
	x.same("told", x.at[0].told(a, names)+"; "+x.at[1].told(b, names), "accepted b; ")
	x.ok(third(x.p[0].Unfollow(x.ctx, a, b, store.Write{})))
	x.same("told", x.at[0].told(a, names), "")
	x.ok(third(x.p[0].CompleteFollow(x.ctx, a, b, store.Write{}))) // which nobody has looked for
	x.carry()
	x.same("told of a follow that was refused", x.at[0].told(a, names), "")
	x.at[0].counted(a, 0, 1, 0)
	x.ok(third(x.p[0].EraseUser(x.ctx, a, store.Write{})))
	x.carry()
	x.same("told of who was erased", x.at[1].told(c, names), "")
}

func testBlockedRequests(x *parts) {
	a, b, c := x.user(0), x.user(1), x.user(1)
	for i, id := range map[int]freshet.ID{0: a, 1: b} {
		x.at[i].closed(x.p[i], id)
	}
	x.at[1].closed(x.p[1], c)
	x.at[0].ask(x.p[0], b, a)
	x.at[0].ask(x.p[0], c, a)
	x.at[1].ask(x.p[1], a, b)
	x.at[1].ask(x.p[1], a, c)
	x.ok(third(x.p[0].Block(x.ctx, a, b, store.Write{})))
	x.same("who asks", x.at[0].asking(a), []freshet.ID{c})
	x.carry()
	x.same("who asks", [][]freshet.ID{x.at[1].asking(b), x.at[1].asking(c)}, [][]freshet.ID{{}, {a}})
	_, _, _, err := x.p[1].RequestFollow(x.ctx, a, b, store.Write{})
	x.code(err, freshet.CodeNotFound)
	x.same("between", got(x.p[1].Between(x.ctx, b, a))(x.env), store.Between{Private: true, Apart: true})
}

func testErasedRequests(x *parts) {
	a, b, gone := x.user(0), x.user(1), x.user(0)
	x.at[0].closed(x.p[0], gone)
	x.at[1].closed(x.p[1], b)
	x.at[0].ask(x.p[0], b, gone)
	x.at[1].ask(x.p[1], gone, b)
	x.at[1].ask(x.p[1], a, b)
	x.ok(third(x.p[0].EraseUser(x.ctx, gone, store.Write{})))
	x.same("who asks who was erased", len(x.at[0].asking(gone)), 0)
	x.carry()
	x.same("who asks", x.at[1].asking(b), []freshet.ID{a})
	_, _, _, err := x.p[1].RequestFollow(x.ctx, gone, b, store.Write{})
	x.code(err, freshet.CodeNotFound)
}
