package storetest

import (
	"errors"
	"slices"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var importPartCases = []partCase{
	{name: "AnImportedChunkIsWhatFollowsOneByOneAre", parts: 2, test: importingParts(testImportedHalves)},
	{name: "AnImportedFollowMayBeRefused", parts: 2, test: importingParts(testImportedRefused)},
	{name: "AnImportIsForUsersOfThePart", parts: 2, test: importingParts(testImportedElsewhere)},
	{name: "NewUsersOfAChunkAreSignedUpTogether", parts: 2, test: importingParts(testImportedUsers)},
	{name: "AnImportedUserWhoseClaimWasEndedIsNotMade", parts: 2, test: importingParts(testImportedEnded)},
}

// importingParts is a test of parts that can import.
func importingParts(test func(*parts, []store.PartImporter)) func(*parts) {
	return func(x *parts) {
		var importers []store.PartImporter
		for _, p := range x.p {
			if i, ok := p.(store.PartImporter); ok {
				importers = append(importers, i)
			}
		}
		if len(importers) < len(x.p) {
			x.lacks("import into parts (no store.PartImporter)")
			return
		}
		test(x, importers)
	}
}

// importedFollow is a row for users who are known.
func importedFollow(follower, followee freshet.ID) store.ImportedFollow {
	return store.ImportedFollow{Follower: follower.String(), FollowerID: follower, Followee: followee.String(), FolloweeID: followee}
}

// testImportedHalves follows among the same users twice: one by one, and as a chunk, which is loaded again before and after its mirrors
// are carried.
func testImportedHalves(x *parts, i []store.PartImporter) {
	told := make(map[freshet.ID]int)
	scene := func(follow func(pairs [][2]freshet.ID)) (counted [][]int64) {
		clear(told)
		a, b := x.user(0), x.user(0)
		c, d, foe, gone := x.user(1), x.user(1), x.user(1), x.user(1)
		shy := x.user(0)
		x.at[0].closed(x.p[0], shy)
		x.at[0].follow(a, c)
		x.ok(third(x.p[1].Block(x.ctx, foe, a, store.Write{})))
		_, _, err := x.p[1].EraseUser(x.ctx, gone, store.Write{})
		x.ok(err)
		x.carry()
		follow([][2]freshet.ID{{a, b}, {a, c}, {a, d}, {b, c}, {a, foe}, {b, c}, {b, gone}, {b, foe}, {b, shy}})
		x.carry()
		for _, id := range []freshet.ID{a, b, c, d, foe, shy} {
			part := slices.IndexFunc(x.has, func(has store.Buckets) bool { return has.Has(id.Bucket()) })
			u := x.at[part].profile(id)
			counted = append(counted, []int64{u.FollowersCount, u.FollowingCount})
			told[id] = len(got(x.p[part].Notifications(x.ctx, id, 0, 9))(x.env))
		}
		return counted
	}
	one := scene(func(pairs [][2]freshet.ID) {
		for _, p := range pairs {
			_, _, err := x.p[0].Follow(x.ctx, p[0], p[1], store.Write{})
			if err != nil && !errors.Is(err, freshet.ErrNotFound) && !errors.Is(err, store.ErrPrivate) {
				x.Fatal(err)
			}
		}
	})
	all := scene(func(pairs [][2]freshet.ID) {
		var rows []store.ImportedFollow
		for _, p := range pairs {
			rows = append(rows, importedFollow(p[0], p[1]))
		}
		count, err := i[0].ImportFollows(x.ctx, rows)
		x.ok(err)
		a, b, c, d, foe := pairs[0][0], pairs[0][1], pairs[1][1], pairs[2][1], pairs[4][1]
		x.same("counted", count, store.ImportCount{Follows: 4, Touched: ascending(a, b, c, d, foe)})
		x.same("mirrors", kinds(x.pending(0)), []string{"follow", "follow", "follow"})
		for range 2 {
			count, err = i[0].ImportFollows(x.ctx, rows)
			x.ok(err)
			x.same("the second time", count, store.ImportCount{})
			x.carry()
		}
	})
	x.same("followers and following", all, one)
	sum := 0
	for _, n := range told {
		sum += n
	}
	x.same("told: the follow before the import alone", sum, 1)
}

// testImportedRefused: what the other part refuses is undone, as with any follow.
func testImportedRefused(x *parts, i []store.PartImporter) {
	a, b, foe, shy := x.user(0), x.user(1), x.user(1), x.user(1)
	x.ok(third(x.p[1].Block(x.ctx, foe, a, store.Write{})))
	x.at[1].closed(x.p[1], shy)
	rows := []store.ImportedFollow{importedFollow(a, shy), importedFollow(a, foe), importedFollow(a, b)}
	count, err := i[0].ImportFollows(x.ctx, rows)
	x.ok(err)
	x.same("counted", count.Follows, 3)
	edges := got(x.p[0].Following(x.ctx, a, 0, 9))(x.env)
	x.same("from the newest", others(edges), []freshet.ID{b, foe, shy})
	if edges[0].ID <= edges[1].ID {
		x.Fatalf("edges %v don't rise", edges)
	}
	for _, m := range x.pending(0) {
		x.same("what is told", []bool{m.Kind == store.FollowMade, m.Actor == a, m.ID > m.Edge}, []bool{true, true, true})
	}
	x.carry()
	x.at[0].counted(a, 0, 1, 0)
	x.at[1].counted(b, 1, 0, 0)
	x.at[1].counted(foe, 0, 0, 0)
	x.at[1].counted(shy, 0, 0, 0)
}

// testImportedElsewhere: followers and authors are here; a chunk with any other makes nothing.
func testImportedElsewhere(x *parts, i []store.PartImporter) {
	a, b, far := x.user(0), x.user(0), x.user(1)
	_, err := i[0].ImportFollows(x.ctx, []store.ImportedFollow{importedFollow(a, b), importedFollow(far, b)})
	x.moved(err)
	_, err = i[0].ImportPosts(x.ctx, []store.ImportedPost{
		{Author: "a", AuthorID: a, CreatedAt: instant, Text: "x", Millis: freshet.Millis(instant)},
		{Author: "far", AuthorID: far, CreatedAt: instant, Text: "x", Millis: freshet.Millis(instant)},
	})
	x.moved(err)
	x.at[0].counted(a, 0, 0, 0)

	bucket := x.bucket(0)
	_, err = i[0].DrawUserIDs(x.ctx, []int{bucket, x.bucket(1)})
	x.moved(err)
	ids, err := i[0].DrawUserIDs(x.ctx, []int{bucket, x.bucket(0), bucket})
	x.ok(err)
	x.same("in their order", []any{len(ids), ids[0].Bucket(), ids[2].Bucket(), ids[0] < ids[2]}, []any{3, bucket, bucket, true})
	users := []store.ImportedUser{{ID: ids[0], Handle: x.handle("a")}, {ID: x.draw(1), Handle: x.handle("b")}}
	_, err = i[1].ClaimUsers(x.ctx, users)
	x.moved(err)
	x.moved(i[1].SettleUsers(x.ctx, users, true))
	_, err = i[0].CreateUsers(x.ctx, users)
	x.moved(err)
	x.same("made", len(got(x.p[0].Users(x.ctx, ids[:1]))(x.env)), 0)
}

func (x *parts) moved(err error) {
	x.Helper()
	if !errors.Is(err, store.ErrMoved) {
		x.Fatalf("got %v, want that it is elsewhere", err)
	}
}

func testImportedUsers(x *parts, i []store.PartImporter) {
	first, second, taken := x.handle("Ann"), x.handle("bob"), x.handle("Cid")
	cid := x.signUp(1, freshet.NewUser{Handle: taken})
	upper := strings.ToUpper(taken)
	names, err := i[0].NamesOf(x.ctx, []string{first, upper})
	x.ok(err)
	x.same("known", []any{len(names), names[strings.ToLower(taken)].User, names[strings.ToLower(taken)].Pending}, []any{1, cid, false})

	users := []store.ImportedUser{{ID: x.draw(1), Handle: first}, {ID: x.draw(1), Handle: upper}, {ID: x.draw(1), Handle: second}}
	claimed, err := i[0].ClaimUsers(x.ctx, users)
	x.ok(err)
	x.same("claimed", ascending(claimed...), ascending(users[0].ID, users[2].ID))
	late := []store.ImportedUser{{ID: x.draw(1), Handle: strings.ToUpper(first)}}
	claimed, err = i[0].ClaimUsers(x.ctx, late)
	x.ok(err)
	x.same("claimed by others", len(claimed), 0)
	x.same("pending", got(x.p[0].NameOf(x.ctx, first))(x.env), store.Name{User: users[0].ID, Claim: users[0].ID, Pending: true})

	made, err := i[1].CreateUsers(x.ctx, users[:1])
	x.ok(err)
	x.same("made", made, []freshet.ID{users[0].ID})
	again, err := i[1].CreateUsers(x.ctx, users[:1])
	x.ok(err)
	x.same("made again", len(again), 0)
	u := x.at[1].profile(users[0].ID)
	x.same("the user", []any{u.Handle, u.Name, u.Ref, u.CreatedAt.IsZero()}, []any{first, first, "", false})

	x.ok(i[0].SettleUsers(x.ctx, late, false))
	for range 2 {
		x.ok(i[0].SettleUsers(x.ctx, users[:1], true))
		x.ok(i[0].SettleUsers(x.ctx, users[1:], false))
		x.ok(i[0].SettleUsers(x.ctx, users[:1], false))
	}
	x.called(users[0].ID, first)
	x.called(cid, taken)
	x.free(second)
}

func testImportedEnded(x *parts, i []store.PartImporter) {
	users := []store.ImportedUser{{ID: x.draw(1), Handle: x.handle("a")}, {ID: x.draw(1), Handle: x.handle("b")}}
	claimed, err := i[0].ClaimUsers(x.ctx, users)
	x.ok(err)
	x.same("claimed", len(claimed), 2)
	_, _, err = x.p[1].EndClaim(x.ctx, users[0].ID, users[0].ID)
	x.ok(err)
	made, err := i[1].CreateUsers(x.ctx, users)
	x.ok(err)
	x.same("made", made, []freshet.ID{users[1].ID})
	x.ok(i[0].SettleUsers(x.ctx, users[:1], false))
	x.ok(i[0].SettleUsers(x.ctx, users[1:], true))
	x.free(users[0].Handle)
	x.called(users[1].ID, users[1].Handle)
}
