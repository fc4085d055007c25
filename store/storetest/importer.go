package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var importCases = []testCase{
	{"ImportedFollowsAreThereOnce", importing(testImportFollows)},
	{"ImportedPostsAreThereOnce", importing(testImportPosts)},
	{"ImportedIdsAreInTheOrderOfTheFile", importing(testImportOrder)},
	{"AChunkIsOneTransaction", importing(testImportChunk)},
}

// importing is a test of what can import.
func importing(test func(*env, store.Importer)) func(*env) {
	return func(e *env) {
		if i, ok := e.Store.(store.Importer); ok {
			test(e, i)
		} else {
			e.lacks("import (no store.Importer)")
		}
	}
}

func testImportFollows(e *env, i store.Importer) {
	ctx := e.Context()
	a, b, c := e.handle("Ann"), e.handle("bob"), e.handle("cid")
	ann := e.user("known")
	_, _, err := e.UpdateUser(ctx, ann, freshet.UserPatch{Handle: &a}, store.Write{})
	e.ok(err)
	rows := []store.ImportedFollow{
		{Follower: a, Followee: b}, {Follower: b, Followee: a}, {Follower: c, Followee: strings.ToUpper(a)}, {Follower: a, Followee: b},
	}
	count, err := i.ImportFollows(ctx, rows)
	e.ok(err)
	bob, err := e.UserByHandle(ctx, b)
	e.ok(err)
	cid, err := e.UserByHandle(ctx, c)
	e.ok(err)
	e.same("counted", []int{count.Users, count.Follows, count.Posts}, []int{2, 3, 0})
	e.same("touched", ascending(count.Touched...), ascending(ann, bob, cid))
	e.same("the name of who was met", e.profile(bob).Name, b)
	e.counted(ann, 2, 1, 0)
	e.counted(bob, 1, 1, 0)
	e.counted(cid, 0, 1, 0)

	count, err = i.ImportFollows(ctx, rows)
	e.ok(err)
	e.same("the second time", count, store.ImportCount{})
	e.counted(ann, 2, 1, 0)
	if effects := e.effects(); effects != nil {
		e.same("effects", len(effects), 0)
	}
}

func testImportPosts(e *env, i store.Importer) {
	ctx := e.Context()
	h := e.handle("ann")
	at := time.Date(2008, 5, 4, 3, 2, 1, 987654000, time.UTC)
	var rows []store.ImportedPost
	for n, r := range []store.ImportedPost{
		{CreatedAt: at, Text: "one"},
		{CreatedAt: at, Text: "two"},
		{CreatedAt: at, Text: "one", Occurrence: 1},
		{CreatedAt: at.Add(time.Microsecond), Text: "one"},
	} {
		r.Author, r.Millis = h, freshet.Millis(at)+int64(n)
		rows = append(rows, r)
	}
	c := e.subscribe("cache")
	count, err := i.ImportPosts(ctx, rows)
	e.ok(err)
	author, err := e.UserByHandle(ctx, h)
	e.ok(err)
	e.same("counted", count, store.ImportCount{Users: 1, Posts: 4, Touched: []freshet.ID{author}})
	if c != nil {
		imported := 0
		for _, ch := range e.mark(c, e.user("marker")) {
			if ch.Kind == store.Imported {
				imported++
				e.same("touched in the change", ch.Also, []freshet.ID{author})
			}
		}
		e.same("changes of a chunk", imported, 1)
	}
	refs, err := e.ByAuthor(ctx, author, 0, 10)
	e.ok(err)
	ids := reversed(postIDs(refs))
	e.same("posts", len(ids), 4)
	for n, id := range ids {
		posts, err := e.Posts(ctx, []freshet.ID{id})
		e.ok(err)
		e.same("a post", posts, []freshet.Post{{ID: id, Author: author, Text: rows[n].Text, CreatedAt: rows[n].CreatedAt}})
		e.same("the millisecond of its id", id.Millis(), rows[n].Millis)
	}
	e.counted(author, 0, 0, 4)

	_, err = e.DeletePost(ctx, author, ids[1], store.Write{})
	e.ok(err)
	for range 2 {
		count, err = i.ImportPosts(ctx, rows)
		e.ok(err)
		e.same("imported again, one post was deleted", count, store.ImportCount{})
	}
	e.counted(author, 0, 0, 3)
	// New rows behind old ones are what is added.
	more := append(rows[2:], store.ImportedPost{Author: h, CreatedAt: at, Text: "new", Millis: freshet.Millis(at) + 9})
	count, err = i.ImportPosts(ctx, more)
	e.ok(err)
	e.same("counted", []int{count.Users, count.Posts}, []int{0, 1})
	live := e.post(author, "live")
	refs, err = e.ByAuthor(ctx, author, 0, 1)
	e.ok(err)
	e.same("newest", refs[0].ID, live)
	if effects := e.effects(); effects != nil {
		e.same("effects", len(effects), 0)
	}
}

func testImportOrder(e *env, i store.Importer) {
	ctx := e.Context()
	authors := []string{e.handle("a"), e.handle("b"), e.handle("c")}
	at := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	var rows []store.ImportedPost
	for n := range size(300, 60) {
		rows = append(rows, store.ImportedPost{
			Author: authors[n%3], CreatedAt: at, Text: fmt.Sprint(n), Millis: freshet.Millis(at) + int64(n),
		})
	}
	// One author writes twice in a millisecond: the next sequence is taken.
	twin := rows[0]
	twin.Text = "twin"
	rows = append(rows, twin)
	_, err := i.ImportPosts(ctx, rows)
	e.ok(err)
	reader, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: e.handle("reader")}, store.Write{})
	e.ok(err)
	for _, h := range authors {
		id, err := e.UserByHandle(ctx, h)
		e.ok(err)
		e.follow(reader.ID, id)
	}
	home := walk(e, 50, refID, func(at freshet.ID) ([]freshet.PostRef, error) { return e.Home(ctx, reader.ID, at, 50) })
	var texts []string
	for _, id := range reversed(postIDs(home)) {
		posts, err := e.Posts(ctx, []freshet.ID{id})
		e.ok(err)
		texts = append(texts, posts[0].Text)
	}
	want := []string{"0", "twin"}
	for n := 1; n < len(rows)-1; n++ {
		want = append(want, fmt.Sprint(n))
	}
	e.same("posts from the oldest", texts, want)
}

func testImportChunk(e *env, i store.Importer) {
	ctx := e.Context()
	a, b := e.handle("a"), e.handle("b")
	_, err := i.ImportFollows(ctx, []store.ImportedFollow{{Follower: a, Followee: b}, {Follower: b, Followee: strings.ToUpper(b)}})
	e.code(err, freshet.CodeInvalid)
	_, err = i.ImportFollows(ctx, []store.ImportedFollow{{Follower: a, Followee: "no handle"}})
	e.code(err, freshet.CodeInvalid)
	_, err = i.ImportPosts(ctx, []store.ImportedPost{
		{Author: a, CreatedAt: instant, Text: "x", Millis: freshet.Millis(instant)},
		{Author: a, CreatedAt: instant, Text: "y", Millis: -1},
	})
	e.code(err, freshet.CodeInvalid)
	_, err = e.UserByHandle(ctx, a)
	e.code(err, freshet.CodeNotFound)

	count, err := i.ImportPosts(ctx, []store.ImportedPost{{Author: a, CreatedAt: instant, Text: "x", Millis: freshet.Millis(instant)}})
	e.ok(err)
	e.same("what failed was not noted as imported", count.Posts, 1)
}
