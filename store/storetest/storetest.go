// Package storetest is the contract of package store as tests: one suite that
// every engine passes.
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store {
//			return open(t) // empty; closed by t.Cleanup
//		}, storetest.Options{})
//	}
//
// It asks through the ports alone, so that it runs on one file, several shards
// or a server alike. A capability that a store lacks, and what lacks a hook of
// [Options], is listed at the end of the run, never passed over in silence.
// After each test a store that can verify itself must find nothing.
//
// Invariants: no test needs another; sizes shrink under -short. It is not a
// test of durability: what survives kill -9 is checked where processes are
// started.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Options lets the suite see and do what no port offers. The zero value works.
type Options struct {
	// Context is what all that one test asks bears, made of its own. Default: that.
	Context func(ctx context.Context) context.Context
	// Effects lists the effects that committed, in the order of their making.
	Effects func(t testing.TB, s store.Store) []freshet.Effect
	// Drift makes a user's count of followers and a post's count of likes wrong by one.
	Drift func(t testing.TB, s store.Store, user, post freshet.ID)
}

// Run checks a store against the contract. open gives an empty store, which it
// closes at the end of the test that it was opened for.
func Run(t *testing.T, open func(t *testing.T) store.Store, o Options) {
	var absent []string
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := &env{T: t, Store: open(t), options: o, ctx: t.Context()}
			if o.Context != nil {
				e.ctx = o.Context(e.ctx)
			}
			c.test(e)
			e.verify()
			absent = append(absent, e.absent...)
		})
	}
	if len(absent) > 0 {
		slices.Sort(absent)
		t.Logf("NOT CHECKED on this store: %s", strings.Join(slices.Compact(absent), "; "))
	}
}

type testCase struct {
	name string
	test func(*env)
}

var cases = slices.Concat(userCases, graphCases, requestCases, postCases, reactionCases, notificationCases, viewCases, accessCases,
	writeCases, eraseCases, concurrencyCases, changeCases, importCases, verifyCases, modelCases)

// env is one test: the store it asks and what it needs to ask.
type env struct {
	*testing.T
	store.Store
	options Options
	absent  []string
	ctx     context.Context
}

// Context is what everything is asked with.
func (e *env) Context() context.Context { return e.ctx }

// names makes handles that no test has used before.
var names atomic.Int64

// lacks notes something that can't be checked here.
func (e *env) lacks(what string) {
	e.absent = append(e.absent, what)
	e.Logf("not checked: %s", what)
}

// ok ends the test on an error.
func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// code checks what a caller may be told.
func (e *env) code(err error, want freshet.Code) {
	e.Helper()
	if got := freshet.CodeOf(err); got != want {
		e.Fatalf("got error %v of code %q, want %q", err, got, want)
	}
}

// same compares what is printed alike.
func (e *env) same(what string, got, want any) {
	e.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		e.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// handle makes a new handle.
func (e *env) handle(prefix string) string { return fmt.Sprintf("%s_%d", prefix, names.Add(1)) }

// user makes a user.
func (e *env) user(prefix string) freshet.ID {
	e.Helper()
	h := e.handle(prefix)
	u, _, err := e.CreateUser(e.Context(), freshet.NewUser{Handle: h, Name: h}, store.Write{})
	e.ok(err)
	return u.ID
}

// users makes several users.
func (e *env) users(n int) []freshet.ID {
	e.Helper()
	ids := make([]freshet.ID, n)
	for i := range ids {
		ids[i] = e.user("u")
	}
	return ids
}

// post makes a post.
func (e *env) post(author freshet.ID, text string) freshet.ID {
	e.Helper()
	p, _, err := e.CreatePost(e.Context(), freshet.NewPost{Author: author, Text: text}, store.Write{})
	e.ok(err)
	return p.ID
}

// comment makes a comment.
func (e *env) comment(post, author freshet.ID, text string) freshet.ID {
	e.Helper()
	c, _, err := e.CreateComment(e.Context(), freshet.NewComment{Post: post, Author: author, Text: text}, store.Write{})
	e.ok(err)
	return c.ID
}

// follow makes an edge.
func (e *env) follow(actor, target freshet.ID) {
	e.Helper()
	changed, _, err := e.Follow(e.Context(), actor, target, store.Write{})
	e.ok(err)
	if !changed {
		e.Fatalf("%s followed %s before", actor, target)
	}
}

// profile reads one user.
func (e *env) profile(id freshet.ID) freshet.User {
	e.Helper()
	users, err := e.Users(e.Context(), []freshet.ID{id})
	e.ok(err)
	if len(users) != 1 {
		e.Fatalf("got %d users for the id %s, want one", len(users), id)
	}
	return users[0]
}

// counted checks a user's counters: followers, following, posts.
func (e *env) counted(id freshet.ID, followers, following, posts int64) {
	e.Helper()
	u := e.profile(id)
	e.same("followers, following, posts", []int64{u.FollowersCount, u.FollowingCount, u.PostsCount}, []int64{followers, following, posts})
}

// counts checks a post's counters.
func (e *env) counts(post freshet.ID, likes, comments int64) {
	e.Helper()
	counts, err := e.Counts(e.Context(), []freshet.ID{post})
	e.ok(err)
	e.same("counts", counts, map[freshet.ID]freshet.Counts{post: {Likes: likes, Comments: comments}})
}

// effects gives what is in the outbox, or nil and a note.
func (e *env) effects() []freshet.Effect {
	e.Helper()
	if e.options.Effects == nil {
		e.lacks("effects (no Options.Effects)")
		return nil
	}
	return e.options.Effects(e.T, e.Store)
}

// verify wants no violation, where the store can look.
func (e *env) verify() {
	e.Helper()
	v, ok := e.Store.(store.Verifier)
	if !ok {
		e.lacks("invariants (no store.Verifier)")
		return
	}
	if e.Failed() {
		return
	}
	_, found, err := v.Verify(e.Context(), 0, false)
	e.ok(err)
	if len(found) > 0 {
		e.Fatalf("%d invariants are broken, the first: %+v", len(found), found[0])
	}
}

// walk collects a keyset list page by page and wants the pages to be full until
// the end.
func walk[T any](e *env, limit int, key func(T) freshet.ID, page func(at freshet.ID) ([]T, error)) (all []T) {
	e.Helper()
	for at := freshet.ID(0); ; {
		rows, err := page(at)
		e.ok(err)
		all = append(all, rows...)
		if len(rows) < limit {
			return all
		}
		if len(rows) > limit {
			e.Fatalf("a page of %d rows, the limit is %d", len(rows), limit)
		}
		at = key(rows[limit-1])
	}
}

func self(id freshet.ID) freshet.ID      { return id }
func edgeID(x freshet.Edge) freshet.ID   { return x.ID }
func refID(x freshet.PostRef) freshet.ID { return x.ID }
func others(edges []freshet.Edge) []freshet.ID {
	ids := make([]freshet.ID, len(edges))
	for i, x := range edges {
		ids[i] = x.User
	}
	return ids
}

func postIDs(refs []freshet.PostRef) []freshet.ID {
	ids := make([]freshet.ID, len(refs))
	for i, r := range refs {
		ids[i] = r.ID
	}
	return ids
}

func reversed(ids []freshet.ID) []freshet.ID {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	return ids
}

func ascending(ids ...freshet.ID) []freshet.ID {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// size picks a size by -short.
func size(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}

func ptr[T any](v T) *T { return &v }
