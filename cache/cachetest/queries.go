package cachetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/freshet/freshet/cache"
)

// Watched is a declared query with the parameters for which Queries watches it.
type Watched interface {
	name() string
	define(s *cache.Stack)
	// check compares the cached results with those of Run and returns how many are others than at the check before.
	check(ctx context.Context) (changed int, err error)
}

// Watch has Queries watch q for params, which is called anew after each write.
func Watch[P comparable, R any](q cache.Query[P, R], params func() []P) Watched {
	return &watched[P, R]{query: q, params: params, last: make(map[P]outcome[R])}
}

// Queries checks that what queries declare to read and what writes declare to change fit each other: each write is made
// with every result of every query in a cache, and where one is another after it, the cache must have been told. It fails too
// where a query's result never changed, as it says nothing then of what the query reads.
//
// write makes the i-th write, says what it was, and returns what its program says that it changed.
func Queries(t testing.TB, writes int, write func(i int) (what string, changed []cache.Dependency), queries ...Watched) {
	t.Helper()
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	changes := make([]int, len(queries))
	for _, q := range queries {
		q.define(stack)
	}
	for i := -1; i < writes; i++ {
		what := "before the first write"
		var changed []cache.Dependency
		if i >= 0 {
			what, changed = write(i)
			if err := stack.Changed(t.Context(), changed...); err != nil {
				t.Fatal(err)
			}
		}
		for j, q := range queries {
			n, err := q.check(t.Context())
			if err != nil {
				t.Fatalf("write %d, %s, told to change %v: query %s: %v", i, what, changed, q.name(), err)
			}
			changes[j] += n
		}
	}
	for j, q := range queries {
		if changes[j] == 0 {
			t.Errorf("query %s: its results never changed: the writes do not reach it", q.name())
		}
	}
}

type watched[P comparable, R any] struct {
	query  cache.Query[P, R]
	params func() []P
	cached *cache.Cache[P, R]
	last   map[P]outcome[R]
}

// outcome is how a query ended.
type outcome[R any] struct {
	Result R
	Absent bool
}

func (w *watched[P, R]) name() string { return w.query.Name }

func (w *watched[P, R]) define(s *cache.Stack) { w.cached = cache.DefineQuery(s, w.query) }

func (w *watched[P, R]) check(ctx context.Context) (changed int, err error) {
	for _, p := range w.params() {
		cached, err := outcomeOf(w.cached.Get(ctx, p))
		if err != nil {
			return 0, err
		}
		now, err := outcomeOf(w.query.Run(ctx, p))
		if err != nil {
			return 0, err
		}
		if !reflect.DeepEqual(cached, now) {
			return 0, fmt.Errorf("of %v: the cache has %v, the source %v; it reads %v, none of which changed",
				p, cached.Result, now.Result, w.query.Reads(p, cached.Result))
		}
		if last, known := w.last[p]; known && !reflect.DeepEqual(last, now) {
			changed++
		}
		w.last[p] = now
	}
	return changed, nil
}

func outcomeOf[R any](result R, err error) (outcome[R], error) {
	if errors.Is(err, cache.ErrNotFound) {
		return outcome[R]{Absent: true}, nil
	}
	return outcome[R]{Result: result}, err
}
