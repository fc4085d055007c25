package storetest

import (
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var eraseCases = []testCase{
	{"AnErasedUserLeavesNoTrace", testErase},
	{"AnErasedNameIsFree", testEraseNames},
}

func testErase(e *env) {
	ctx := e.Context()
	u := e.users(8)
	gone, fan, idol, foe, hater, loud, deaf, friend := u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7]
	e.follow(fan, gone)
	e.follow(gone, idol)
	e.follow(fan, idol)
	for _, err := range []error{
		third(e.Block(ctx, gone, foe, store.Write{})),
		third(e.Block(ctx, hater, gone, store.Write{})),
		third(e.Mute(ctx, gone, loud, store.Write{})),
		third(e.Mute(ctx, deaf, gone, store.Write{})),
	} {
		e.ok(err)
	}
	mine := []freshet.ID{e.post(gone, "x"), e.post(gone, "y")}
	theirs := []freshet.ID{e.post(friend, "x"), e.post(friend, "y"), e.post(friend, "z")}
	for _, p := range append(slices.Clone(mine), theirs...) {
		_, _, _, err := e.Like(ctx, fan, p, store.Write{})
		e.ok(err)
		e.comment(p, fan, "well")
	}
	_, _, _, err := e.Like(ctx, gone, theirs[0], store.Write{})
	e.ok(err)
	_, _, _, err = e.Like(ctx, gone, mine[0], store.Write{})
	e.ok(err)
	e.comment(theirs[1], gone, "one")
	e.comment(theirs[1], gone, "two")
	s := e.session(gone, 1)
	kept := e.session(fan, 2)

	erased, at, err := e.EraseUser(ctx, gone, store.Write{})
	e.ok(err)
	if len(at) == 0 {
		e.Fatal("no token")
	}
	e.same("posts", ascending(erased.Posts...), ascending(mine...))
	e.same("neighbors", ascending(erased.Neighbors...), ascending(fan, idol, foe, hater, loud, deaf))
	e.same("parents", ascending(erased.Parents...), ascending(theirs[0], theirs[1]))
	e.same("sessions", erased.Sessions, []freshet.Session{s})

	users, err := e.Users(ctx, []freshet.ID{gone})
	e.ok(err)
	e.same("the user", len(users), 0)
	posts, err := e.Posts(ctx, mine)
	e.ok(err)
	e.same("the posts", len(posts), 0)
	_, err = e.SessionByHash(ctx, s.Hash)
	e.code(err, freshet.CodeNotFound)
	_, err = e.SessionByHash(ctx, kept.Hash)
	e.ok(err)
	for _, list := range [][]freshet.Edge{
		got(e.Followers(ctx, gone, 0, 9))(e), got(e.Following(ctx, gone, 0, 9))(e),
		got(e.Blocks(ctx, hater, 0, 9))(e), got(e.Mutes(ctx, deaf, 0, 9))(e),
		got(e.Blocks(ctx, gone, 0, 9))(e), got(e.Mutes(ctx, gone, 0, 9))(e),
	} {
		e.same("edges", len(list), 0)
	}
	relations, err := e.Relations(ctx, u)
	e.ok(err)
	for id, r := range relations {
		if r.Follows(gone) || r.Hides(gone) || r.Blocks(gone) || id == gone && len(r.Following)+len(r.Hidden) > 0 {
			e.Fatalf("relations of %s still name %s: %+v", id, gone, r)
		}
	}
	e.counted(fan, 0, 1, 0)
	e.counted(idol, 1, 0, 0)
	e.counted(friend, 0, 0, 3)
	for _, p := range theirs {
		e.counts(p, 1, 1)
	}
	by, err := e.CommentsBy(ctx, gone, 0, 9)
	e.ok(err)
	e.same("the comments", len(by), 0)
	by, err = e.CommentsBy(ctx, fan, 0, 9)
	e.ok(err)
	e.same("comments of others", len(by), len(theirs))
	liked, err := e.LikedBy(ctx, fan, 0, 9)
	e.ok(err)
	e.same("likes of others", liked, reversed(theirs))
	liked, err = e.LikedBy(ctx, gone, 0, 9)
	e.ok(err)
	e.same("the likes", len(liked), 0)
	home, err := e.Home(ctx, fan, 0, 9)
	e.ok(err)
	e.same("home of a follower", len(home), 0)

	_, _, err = e.EraseUser(ctx, gone, store.Write{})
	e.code(err, freshet.CodeNotFound)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: gone, Text: "x"}, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

// got checks the error of a list and gives the list.
func got[T any](v T, err error) func(*env) T {
	return func(e *env) T {
		e.Helper()
		e.ok(err)
		return v
	}
}

func testEraseNames(e *env) {
	ctx := e.Context()
	n := freshet.NewUser{Handle: e.handle("Ada"), Ref: e.handle("ref")}
	u, _, err := e.CreateUser(ctx, n, store.Write{})
	e.ok(err)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: u.ID, Text: "x", Ref: "1"}, store.Write{})
	e.ok(err)
	_, _, err = e.EraseUser(ctx, u.ID, store.Write{})
	e.ok(err)
	_, err = e.UserByHandle(ctx, n.Handle)
	e.code(err, freshet.CodeNotFound)
	_, err = e.UserByRef(ctx, n.Ref)
	e.code(err, freshet.CodeNotFound)
	again, _, err := e.CreateUser(ctx, n, store.Write{})
	e.ok(err)
	if again.ID == u.ID {
		e.Fatal("the id was used again")
	}
	e.counted(again.ID, 0, 0, 0)
}
