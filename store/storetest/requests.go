package storetest

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var requestCases = []testCase{
	{"APrivateUserIsAsked", testRequest},
	{"AnAcceptedRequestBecomesAFollowOnce", testAccept},
	{"WhoIsPrivateKeepsFollowers", testGoingPrivate},
	{"RequestsAreListedFromTheNewest", testRequestList},
	{"ABlockAndAnErasureEndRequests", testRequestsEnd},
	{"RequestsAreInTheChangeFeed", testRequestChanges},
	{"AcceptingHasItsEffect", testAcceptEffect},
}

// asking lists who asks a user for a follow.
func (e *env) asking(user freshet.ID) []freshet.ID {
	e.Helper()
	return others(got(e.FollowRequests(e.Context(), user, 0, 99))(e))
}

func (e *env) open(user freshet.ID) {
	e.Helper()
	_, _, err := e.UpdateUser(e.Context(), user, freshet.UserPatch{Private: ptr(false)}, store.Write{})
	e.ok(err)
}

// refused wants a follow to be refused as one of a private user.
func (e *env) refused(actor, target freshet.ID) {
	e.Helper()
	_, _, err := e.Follow(e.Context(), actor, target, store.Write{})
	e.same("the follow of a private user", err, store.ErrPrivate)
}

func testRequest(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	needed, changed, _, err := e.RequestFollow(ctx, a, b, store.Write{})
	e.ok(err)
	e.same("of a public user: needed, changed", []bool{needed, changed}, []bool{false, false})
	e.closed(e, b)
	e.same("private", e.profile(b).Private, true)
	e.refused(a, b)
	e.counted(a, 0, 0, 0)
	e.counted(b, 0, 0, 0)
	e.ask(e, a, b)
	needed, changed, _, err = e.RequestFollow(ctx, a, b, store.Write{})
	e.ok(err)
	e.same("again: needed, changed", []bool{needed, changed}, []bool{true, false})
	e.same("who asks", e.asking(b), []freshet.ID{a})
	e.refused(a, b)
	changed, _, err = e.CompleteFollow(ctx, a, b, store.Write{})
	e.ok(err)
	e.same("a follow that nobody accepted", changed, false)

	for _, want := range []bool{true, false} {
		changed, _, err = e.WithdrawRequest(ctx, a, b, store.Write{})
		e.ok(err)
		e.same("withdrawn", changed, want)
	}
	e.same("who asks", len(e.asking(b)), 0)
	_, _, err = e.AcceptRequest(ctx, b, a, store.Write{})
	e.code(err, freshet.CodeNotFound)
	_, err = e.RefuseRequest(ctx, b, a, store.Write{})
	e.code(err, freshet.CodeNotFound)
	e.ask(e, a, b)
	_, err = e.RefuseRequest(ctx, b, a, store.Write{})
	e.ok(err)
	e.same("who asks", len(e.asking(b)), 0)
	e.ask(e, a, b) // a refusal forbids nothing

	_, _, _, err = e.RequestFollow(ctx, b, b, store.Write{})
	e.code(err, freshet.CodeInvalid)
	for _, pair := range [][2]freshet.ID{{a, 42}, {42, b}} {
		_, _, _, err = e.RequestFollow(ctx, pair[0], pair[1], store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
}

func testAccept(e *env) {
	ctx := e.Context()
	u := e.users(3)
	a, b := u[0], u[1]
	e.closed(e, b)
	for _, way := range []func() (bool, error){
		func() (bool, error) {
			changed, _, err := e.CompleteFollow(ctx, a, b, store.Write{})
			return changed, err
		},
		func() (bool, error) { changed, _, err := e.Follow(ctx, a, b, store.Write{}); return changed, err },
	} {
		e.ask(e, a, b)
		for _, want := range []bool{true, false} {
			changed, _, err := e.AcceptRequest(ctx, b, a, store.Write{})
			e.ok(err)
			e.same("accepted", changed, want)
		}
		e.same("who asks", len(e.asking(b)), 0)
		_, err := e.RefuseRequest(ctx, b, a, store.Write{})
		e.code(err, freshet.CodeNotFound)
		needed, _, _, err := e.RequestFollow(ctx, a, b, store.Write{})
		e.ok(err)
		e.same("needed by who was accepted", needed, false)
		e.refused(u[2], b)
		for _, want := range []bool{true, false} {
			changed, err := way()
			e.ok(err)
			e.same("follows", changed, want)
			e.counted(b, 1, 0, 0)
			e.counted(a, 0, 1, 0)
		}
		_, _, err = e.AcceptRequest(ctx, b, a, store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, err = e.Unfollow(ctx, a, b, store.Write{})
		e.ok(err)
		changed, _, err := e.CompleteFollow(ctx, a, b, store.Write{})
		e.ok(err)
		e.same("a request that was used up makes another follow", changed, false)
		e.refused(a, b)
	}
	e.ask(e, a, b)
	_, _, err := e.AcceptRequest(ctx, b, a, store.Write{})
	e.ok(err)
	_, _, err = e.WithdrawRequest(ctx, a, b, store.Write{})
	e.ok(err)
	changed, _, err := e.CompleteFollow(ctx, a, b, store.Write{})
	e.ok(err)
	e.same("a request that was withdrawn makes a follow", changed, false)
	e.counted(b, 0, 0, 0)
}

func testGoingPrivate(e *env) {
	ctx := e.Context()
	u := e.users(4)
	e.follow(u[1], u[0])
	e.closed(e, u[0])
	e.counted(u[0], 1, 0, 0)
	changed, _, err := e.Follow(ctx, u[1], u[0], store.Write{})
	e.ok(err)
	e.same("followed again by a follower", changed, false)
	e.ask(e, u[2], u[0])
	e.ask(e, u[3], u[0])
	e.open(u[0])
	e.same("who asked", e.asking(u[0]), []freshet.ID{u[3], u[2]})
	e.follow(u[2], u[0])
	changed, _, err = e.CompleteFollow(ctx, u[3], u[0], store.Write{})
	e.ok(err)
	e.same("completed without leave, of who is public", changed, true)
	e.same("who asks", len(e.asking(u[0])), 0)
	e.counted(u[0], 3, 0, 0)
}

func testRequestList(e *env) {
	ctx := e.Context()
	star, fans := e.user("star"), e.users(size(23, 12))
	e.closed(e, star)
	for _, f := range fans {
		e.ask(e, f, star)
	}
	for _, limit := range []int{1, 4, len(fans), 100} {
		edges := walk(e, limit, edgeID, func(at freshet.ID) ([]freshet.Edge, error) { return e.FollowRequests(ctx, star, at, limit) })
		e.same("who asks", others(edges), reversed(fans))
	}
	for i, f := range fans {
		if i%2 == 0 {
			_, _, err := e.AcceptRequest(ctx, star, f, store.Write{})
			e.ok(err)
		}
	}
	e.same("who still asks", len(e.asking(star)), len(fans)/2)
}

func testRequestsEnd(e *env) {
	ctx := e.Context()
	u := e.users(6)
	a, b, c, d, gone, bold := u[0], u[1], u[2], u[3], u[4], u[5]
	for _, id := range u {
		e.closed(e, id)
	}
	for _, pair := range [][2]freshet.ID{{a, b}, {b, a}, {c, a}, {c, d}, {d, c}, {gone, a}, {a, gone}, {bold, a}} {
		e.ask(e, pair[0], pair[1])
	}
	_, _, err := e.AcceptRequest(ctx, c, d, store.Write{})
	e.ok(err)
	for _, pair := range [][2]freshet.ID{{a, b}, {c, d}, {bold, a}} {
		_, _, err := e.Block(ctx, pair[0], pair[1], store.Write{})
		e.ok(err)
		_, _, err = e.Follow(ctx, pair[0], pair[1], store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, _, err = e.RequestFollow(ctx, pair[1], pair[0], store.Write{})
		e.code(err, freshet.CodeNotFound)
		_, _, _, err = e.RequestFollow(ctx, pair[0], pair[1], store.Write{})
		e.code(err, freshet.CodeNotFound)
	}
	e.same("who asks after a block", e.asking(a), []freshet.ID{gone, c})
	for _, id := range []freshet.ID{b, c, d} {
		e.same("who asks after a block", len(e.asking(id)), 0)
	}
	_, _, err = e.Unblock(ctx, c, d, store.Write{})
	e.ok(err)
	changed, _, err := e.CompleteFollow(ctx, d, c, store.Write{})
	e.ok(err)
	e.same("what was accepted before a block makes a follow", changed, false)
	_, _, err = e.EraseUser(ctx, gone, store.Write{})
	e.ok(err)
	e.same("who asks after an erasure", e.asking(a), []freshet.ID{c})
	e.same("who asks who was erased", len(e.asking(gone)), 0)
}

func testRequestChanges(e *env) {
	ctx := e.Context()
	c := e.subscribe("requests")
	if c == nil {
		return
	}
	marker, a, b := e.user("marker"), e.user("a"), e.user("b")
	e.closed(e, b)
	e.mark(c, marker)
	var want []store.Change
	wants := func(kind store.ChangeKind, subject, object freshet.ID) {
		want = append(want, store.Change{Kind: kind, Subject: subject, Object: object})
	}
	e.ask(e, a, b)
	wants(store.RequestChanged, b, a)
	_, err := e.RefuseRequest(ctx, b, a, store.Write{})
	e.ok(err)
	wants(store.RequestChanged, b, a)
	e.ask(e, a, b)
	wants(store.RequestChanged, b, a)
	_, _, err = e.WithdrawRequest(ctx, a, b, store.Write{})
	e.ok(err)
	wants(store.RequestChanged, b, a)
	e.ask(e, a, b)
	wants(store.RequestChanged, b, a)
	for range 2 {
		_, _, err = e.AcceptRequest(ctx, b, a, store.Write{})
		e.ok(err)
	}
	wants(store.RequestChanged, b, a)
	_, _, err = e.CompleteFollow(ctx, a, b, store.Write{})
	e.ok(err)
	wants(store.FollowChanged, a, b)
	var heard []store.Change
	for _, ch := range e.mark(c, marker) {
		if ch.Kind == store.RequestChanged || ch.Kind == store.FollowChanged {
			heard = append(heard, store.Change{Kind: ch.Kind, Subject: ch.Subject, Object: ch.Object})
		}
	}
	e.same("changes", heard, want)
}

func testAcceptEffect(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	e.closed(e, b)
	e.ask(e, a, b)
	w := store.Write{Effects: []freshet.Effect{{Kind: "accepted", Subject: a}}}
	for range 2 {
		_, _, err := e.AcceptRequest(ctx, b, a, w)
		e.ok(err)
	}
	if all := e.effects(); all != nil {
		e.same("effects", len(all), 1)
	}
}
