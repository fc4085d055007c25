package storetest

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

var graphCases = []testCase{
	{"AnEdgeIsThereOrNot", testEdges},
	{"EdgesAreListedFromTheNewest", testEdgeLists},
	{"FollowsAreCounted", testFollowCounts},
	{"ABlockEndsBothFollowsAndForbidsMore", testBlock},
	{"RelationsAreSorted", testRelations},
}

// edgeWrite is a write on an edge, and its opposite.
type edgeWrite struct {
	name    string
	on, off func(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error)
	listed  func(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)
}

func (e *env) edgeWrites() []edgeWrite {
	return []edgeWrite{
		{name: "follow", on: e.Follow, off: e.Unfollow, listed: e.Following},
		{name: "block", on: e.Block, off: e.Unblock, listed: e.Blocks},
		{name: "mute", on: e.Mute, off: e.Unmute, listed: e.Mutes},
	}
}

func testEdges(e *env) {
	ctx := e.Context()
	for _, x := range e.edgeWrites() {
		a, b := e.user("a"), e.user("b")
		step := func(what string, write func(context.Context, freshet.ID, freshet.ID, store.Write) (bool, position.Token, error), want bool, listed ...freshet.ID) {
			e.Helper()
			changed, at, err := write(ctx, a, b, store.Write{})
			e.ok(err)
			e.same(x.name+": changed "+what, changed, want)
			if len(at) == 0 {
				e.Fatalf("%s: no token %s", x.name, what)
			}
			edges, err := x.listed(ctx, a, 0, 10)
			e.ok(err)
			e.same(x.name+": listed "+what, others(edges), append([]freshet.ID{}, listed...))
		}
		step("before any", x.off, false)
		step("at first", x.on, true, b)
		step("again", x.on, false, b)
		step("when undone", x.off, true)
		step("when undone again", x.off, false)

		for _, write := range []func(context.Context, freshet.ID, freshet.ID, store.Write) (bool, position.Token, error){x.on, x.off} {
			_, _, err := write(ctx, a, a, store.Write{})
			e.code(err, freshet.CodeInvalid)
			_, _, err = write(ctx, a, 42, store.Write{})
			e.code(err, freshet.CodeNotFound)
			_, _, err = write(ctx, 42, a, store.Write{})
			e.code(err, freshet.CodeNotFound)
		}
	}
}

func testEdgeLists(e *env) {
	ctx := e.Context()
	hub := e.user("hub")
	around := e.users(size(23, 12))
	for _, u := range around {
		e.follow(u, hub)
	}
	lists := map[string]func(context.Context, freshet.ID, freshet.ID, int) ([]freshet.Edge, error){"followers": e.Followers}
	for _, x := range e.edgeWrites() {
		lists[x.name] = x.listed
		if x.name == "block" {
			continue // it would end the follows
		}
		for _, u := range around {
			_, _, err := x.on(ctx, hub, u, store.Write{})
			e.ok(err)
		}
	}
	blocker := e.user("blocker")
	for _, u := range around {
		_, _, err := e.Block(ctx, blocker, u, store.Write{})
		e.ok(err)
	}
	for name, list := range lists {
		of := hub
		if name == "block" {
			of = blocker
		}
		for _, limit := range []int{1, 4, len(around), 100} {
			edges := walk(e, limit, edgeID, func(at freshet.ID) ([]freshet.Edge, error) { return list(ctx, of, at, limit) })
			// Edges of one millisecond stand in the order of their ids, whatever the
			// order of their making.
			for i := 1; i < len(edges); i++ {
				if edges[i].ID >= edges[i-1].ID {
					e.Fatalf("%s: edge ids don't fall", name)
				}
			}
			e.same(name+": everybody once", ascending(others(edges)...), ascending(around...))
		}
	}
	newest, err := e.Following(ctx, hub, 0, 1)
	e.ok(err)
	e.same("newest followed", others(newest), around[len(around)-1:])
}

func testFollowCounts(e *env) {
	u := e.users(3)
	e.follow(u[0], u[1])
	e.follow(u[0], u[2])
	e.follow(u[1], u[0])
	e.counted(u[0], 1, 2, 0)
	e.counted(u[1], 1, 1, 0)
	_, _, err := e.Unfollow(e.Context(), u[0], u[1], store.Write{})
	e.ok(err)
	e.counted(u[0], 1, 1, 0)
	e.counted(u[1], 0, 1, 0)
	e.counted(u[2], 1, 0, 0)
}

func testBlock(e *env) {
	ctx := e.Context()
	u := e.users(3)
	a, b := u[0], u[1]
	e.follow(a, b)
	e.follow(b, a)
	e.follow(u[2], a)
	post := e.post(a, "before")
	theirs := e.post(b, "before")
	_, _, _, err := e.Like(ctx, b, post, store.Write{})
	e.ok(err)

	_, _, err = e.Block(ctx, a, b, store.Write{})
	e.ok(err)
	e.counted(a, 1, 0, 1)
	e.counted(b, 0, 0, 1)
	for _, id := range []freshet.ID{a, b} {
		edges, err := e.Following(ctx, id, 0, 10)
		e.ok(err)
		e.same("following after a block", others(edges), []freshet.ID{})
	}
	edges, err := e.Followers(ctx, a, 0, 10)
	e.ok(err)
	e.same("followers after a block", others(edges), []freshet.ID{u[2]})

	forbidden := func() {
		e.Helper()
		_, _, err = e.Follow(ctx, b, a, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, err = e.Follow(ctx, a, b, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, _, err = e.Like(ctx, b, post, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, _, err = e.Like(ctx, a, theirs, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, err = e.CreateComment(ctx, freshet.NewComment{Post: post, Author: b, Text: "x"}, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, err = e.CreateComment(ctx, freshet.NewComment{Post: theirs, Author: a, Text: "x"}, store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
	forbidden()
	count, changed, _, err := e.Unlike(ctx, b, post, store.Write{})
	e.ok(err)
	e.same("taking back is not forbidden", []any{count, changed}, []any{0, true})

	// Each may block the other; one block that is lifted leaves the other.
	_, _, err = e.Block(ctx, b, a, store.Write{})
	e.ok(err)
	_, _, err = e.Unblock(ctx, a, b, store.Write{})
	e.ok(err)
	forbidden()
	_, _, err = e.Unblock(ctx, b, a, store.Write{})
	e.ok(err)
	e.counted(a, 1, 0, 1)
	e.follow(b, a)
}

func testRelations(e *env) {
	ctx := e.Context()
	u := e.users(7)
	me := u[0]
	e.follow(me, u[2])
	e.follow(me, u[1])
	e.follow(u[6], me)
	for _, err := range []error{
		third(e.Mute(ctx, me, u[2], store.Write{})),
		third(e.Mute(ctx, me, u[4], store.Write{})),
		third(e.Block(ctx, me, u[4], store.Write{})),
		third(e.Block(ctx, me, u[3], store.Write{})),
		third(e.Block(ctx, u[5], me, store.Write{})),
		third(e.Mute(ctx, u[6], me, store.Write{})),
	} {
		e.ok(err)
	}
	all, err := e.Relations(ctx, []freshet.ID{me, u[1], 42})
	e.ok(err)
	e.same("entries", len(all), 3)
	e.same("following", all[me].Following, ascending(u[1], u[2]))
	e.same("blocked", all[me].Blocked, ascending(u[3], u[4], u[5]))
	e.same("hidden", all[me].Hidden, ascending(u[2], u[3], u[4], u[5]))
	for _, id := range []freshet.ID{u[1], 42} {
		r, there := all[id]
		e.same("a reader without relations", []any{there, len(r.Following), len(r.Hidden), len(r.Blocked)}, []any{true, 0, 0, 0})
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }
