package storetest

import (
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var concurrencyCases = []testCase{
	{"LikesTogetherAreAllCounted", testLikesTogether},
	{"FollowsTogetherAreAllCounted", testFollowsTogether},
	{"OneOfManyWins", testOneWins},
	{"PostsTogetherHaveTheirOwnIds", testPostsTogether},
	{"ABlockBeatsAFollow", testBlockBeatsFollow},
}

const callers = 64

// together runs fn from 64 goroutines.
func together(fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

func testLikesTogether(e *env) {
	u := e.users(callers)
	post := e.post(u[0], "x")
	var changed, highest atomic.Int64
	for range 2 { // the second time nothing is new
		together(func(i int) {
			n, c, _, err := e.Like(e.Context(), u[i], post, store.Write{})
			if err != nil {
				e.Error(err)
			}
			if c {
				changed.Add(1)
			}
			for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
			}
		})
		e.same("likes that were new, highest count", []int64{changed.Load(), highest.Load()}, []int64{callers, callers})
		e.counts(post, callers, 0)
	}
	together(func(i int) {
		if _, _, _, err := e.Unlike(e.Context(), u[i], post, store.Write{}); err != nil {
			e.Error(err)
		}
	})
	e.counts(post, 0, 0)
}

func testFollowsTogether(e *env) {
	u := e.users(callers)
	star := e.user("star")
	together(func(i int) {
		for _, other := range []freshet.ID{star, u[(i+1)%callers]} {
			if _, _, err := e.Follow(e.Context(), u[i], other, store.Write{}); err != nil {
				e.Error(err)
			}
		}
	})
	e.counted(star, callers, 0, 0)
	e.counted(u[7], 1, 2, 0)
	edges := walk(e, 10, edgeID, func(at freshet.ID) ([]freshet.Edge, error) { return e.Followers(e.Context(), star, at, 10) })
	e.same("followers", ascending(others(edges)...), ascending(u...))
}

func testOneWins(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	target := e.post(b, "x")
	h, ref := e.handle("one"), e.handle("ref")
	for name, write := range map[string]func(i int) (won bool, err error){
		"handle": func(int) (bool, error) {
			_, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: h}, store.Write{})
			return err == nil, err
		},
		"post ref": func(int) (bool, error) {
			_, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x", Ref: "r"}, store.Write{})
			return err == nil, err
		},
		"claim": func(int) (bool, error) {
			_, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x"}, store.Write{Idempotency: claim(1)})
			return err == nil, err
		},
		"upsert": func(int) (bool, error) {
			_, created, _, err := e.UpsertUser(ctx, freshet.NewUser{Ref: ref}, store.Write{})
			return created, err
		},
		"follow": func(int) (bool, error) {
			changed, _, err := e.Follow(ctx, a, b, store.Write{})
			return changed, err
		},
		"like": func(int) (bool, error) {
			_, changed, _, err := e.Like(ctx, a, target, store.Write{})
			return changed, err
		},
	} {
		var won atomic.Int64
		together(func(i int) {
			w, err := write(i)
			if w {
				won.Add(1)
			}
			if code := freshet.CodeOf(err); err != nil && code != freshet.CodeConflict && code != freshet.CodeInProgress {
				e.Errorf("%s: %v", name, err)
			}
		})
		e.same("winners of one "+name, won.Load(), 1)
	}
	e.counted(a, 0, 1, 2)
}

func testPostsTogether(e *env) {
	a, b := e.user("a"), e.user("b")
	rounds := size(20, 4)
	var seen sync.Map
	together(func(i int) {
		author, last := []freshet.ID{a, b}[i%2], freshet.ID(0)
		for range rounds {
			p, _, err := e.CreatePost(e.Context(), freshet.NewPost{Author: author, Text: "x"}, store.Write{})
			if err != nil {
				e.Error(err)
				return
			}
			if _, twice := seen.LoadOrStore(p.ID, true); twice || p.ID <= last {
				e.Errorf("id %s, seen before: %v, after %s", p.ID, twice, last)
			}
			last = p.ID
		}
	})
	n := int64(callers / 2 * rounds)
	e.counted(a, 0, 0, n)
	e.counted(b, 0, 0, n)
}

// testBlockBeatsFollow: whatever the order of two writes at a time, after both
// there is a block and no follow.
func testBlockBeatsFollow(e *env) {
	ctx := e.Context()
	n := size(callers, 16)
	star := e.user("star")
	u := e.users(n)
	together(func(i int) {
		if _, _, err := e.Follow(ctx, u[i%n], star, store.Write{}); err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
			e.Error(err)
		}
		if _, _, err := e.Block(ctx, star, u[(i+1)%n], store.Write{}); err != nil {
			e.Error(err)
		}
	})
	e.counted(star, 0, 0, 0)
	r, err := e.Relations(ctx, []freshet.ID{star})
	e.ok(err)
	e.same("blocked", r[star].Blocked, ascending(u...))
}
