package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
)

// A change ends what names the same key, what names all of the table, and, if it is of all of the table, everything in it.
func TestChangedEndsWhatReadsIt(t *testing.T) {
	reads := map[string][]cache.Dependency{
		"follows of 7":             {{Table: "follows", Key: "7"}},
		"follows of 8":             {{Table: "follows", Key: "8"}},
		"all follows":              {{Table: "follows"}},
		"posts of 7":               {{Table: "posts", Key: "7"}},
		"posts and follows of 7":   {{Table: "posts", Key: "7"}, {Table: "follows", Key: "7"}},
		"a constant":               nil,
		"key with the name of all": {{Table: "follows", Key: "\x00"}},
	}
	for _, test := range []struct {
		changed []cache.Dependency
		ends    []string
	}{
		{nil, nil},
		{[]cache.Dependency{{Table: "follows", Key: "7"}}, []string{"follows of 7", "all follows", "posts and follows of 7"}},
		{[]cache.Dependency{{Table: "follows", Key: "9"}}, []string{"all follows"}},
		{[]cache.Dependency{{Table: "follows"}}, []string{"follows of 7", "follows of 8", "all follows", "posts and follows of 7", "key with the name of all"}},
		{[]cache.Dependency{{Table: "posts", Key: "7"}, {Table: "likes", Key: "8"}}, []string{"posts of 7", "posts and follows of 7"}},
	} {
		t.Run(fmt.Sprint(test.changed), func(t *testing.T) {
			s := newStack(t, cache.Options{})
			var runs atomic.Int64
			c := cache.DefineQuery(s, cache.Query[string, int64]{
				Name:  "query",
				Run:   func(context.Context, string) (int64, error) { return runs.Add(1), nil },
				Reads: func(name string, _ int64) []cache.Dependency { return reads[name] },
			})
			before := make(map[string]int64)
			for name := range reads {
				before[name] = must(c.Get(t.Context(), name))
			}
			if err := s.Changed(t.Context(), test.changed...); err != nil {
				t.Fatal(err)
			}
			ended := make(map[string]bool)
			for _, name := range test.ends {
				ended[name] = true
			}
			for name, was := range before {
				if got := must(c.Get(t.Context(), name)) != was; got != ended[name] {
					t.Errorf("%s: ended is %t, want %t", name, got, ended[name])
				}
			}
		})
	}
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// An absence bears no dependencies, so it is asked for anew each time, whatever the settings say.
func TestAbsentResultIsNotKept(t *testing.T) {
	s := newStack(t, cache.Options{Policies: map[string]cache.Policy{"query": {NegativeTTL: time.Hour}}})
	var runs int
	c := cache.DefineQuery(s, cache.Query[string, int]{
		Name:  "query",
		Run:   func(context.Context, string) (int, error) { runs++; return 0, fmt.Errorf("row: %w", cache.ErrNotFound) },
		Reads: func(string, int) []cache.Dependency { return nil },
	})
	for range 3 {
		if _, err := c.Get(t.Context(), "p"); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	if runs != 3 {
		t.Errorf("asked %d times, want 3", runs)
	}
}

// Of two nodes of one layer, neither serves what was computed before a change that the other told: from the layer, not at
// all; from its memory, not for longer than the channel takes, or MaxStale where there is none.
func TestChangedReachesOtherNodes(t *testing.T) {
	for _, channel := range []bool{true, false} {
		t.Run(fmt.Sprintf("channel=%t", channel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var version atomic.Int64
				layer := memory.New(memory.Options{})
				node := func() (*cache.Stack, *cache.Cache[string, int64]) {
					o := cache.Options{Remote: layer}
					if !channel {
						o.Remote = struct{ cache.Remote }{layer}
					}
					s := newStack(t, o)
					return s, cache.DefineQuery(s, cache.Query[string, int64]{
						Name:  "query",
						Run:   func(context.Context, string) (int64, error) { return version.Load(), nil },
						Reads: func(p string, _ int64) []cache.Dependency { return []cache.Dependency{{Table: "t", Key: p}} },
					})
				}
				a, onA := node()
				b, onB := node()
				time.Sleep(time.Second) // the channel is there
				for range 10 {          // where each node counts tags by itself, this one is ahead
					if err := b.Changed(t.Context(), cache.Dependency{Table: "other"}); err != nil {
						t.Fatal(err)
					}
				}
				for range 4 {
					must(onB.Get(t.Context(), "p"))
					must(onA.Get(t.Context(), "p"))
					want := version.Add(1)
					if err := a.Changed(t.Context(), cache.Dependency{Table: "t", Key: "p"}); err != nil {
						t.Fatal(err)
					}
					if got := int64(0); want%2 == 0 { // else the other node asks first
						if got = must(onA.Get(t.Context(), "p")); got != want {
							t.Errorf("the node that told of change %d reads %d", want, got)
						}
					}
					if err := a.Confirm(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := must(onB.Get(t.Context(), "p")); got != want {
						t.Errorf("the other node reads %d after change %d was confirmed", got, want)
					}
				}
			})
		})
	}
}
