package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
)

// hotSpace is a space of s whose keys 1 to n are hot. Its entries live a minute.
func hotSpace(s *source, n int) cache.Space[int, int] {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = i + 1
	}
	return cache.Space[int, int]{
		Name: "row", LoadMany: s.LoadMany, Policy: cache.Policy{TTL: time.Minute},
		Hot: func(context.Context) ([]int, error) { return keys, nil },
	}
}

// rows are keys 1 to n, each its own value.
func rows(n int) map[int]int {
	m := make(map[int]int)
	for i := range n {
		m[i+1] = i + 1
	}
	return m
}

func wantMisses(t *testing.T, stack *cache.Stack, n uint64) {
	t.Helper()
	if st := stack.Stats()[0]; st.Misses != n {
		t.Errorf("%d reads missed, want %d", st.Misses, n)
	}
}

func TestHotKeysAreNeverMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(rows(60))
		stack := newStack(t, cache.Options{})
		c := cache.Define(stack, hotSpace(s, 60))
		time.Sleep(time.Second)
		if calls := s.loads(); len(calls) != 1 || len(calls[0]) != 60 {
			t.Errorf("loaded at first in %d calls, want 1", len(calls))
		}
		for range 28 { // rarely read
			time.Sleep(7 * time.Second)
			wantGet(t, c, 7, 7)
			wantGet(t, c, 60, 60)
		}
		wantMisses(t, stack, 0)
		keys := 0
		for _, call := range s.loads() {
			keys += len(call)
		}
		// With jitter an entry lives 54 to 60 s and is loaded 15 s before its end: 5 or 6 times in 197 s.
		if keys > 60*6 || keys < 60*5 {
			t.Errorf("%d keys loaded", keys)
		}
		if n := len(s.loads()); n > 5*6 { // they are due within 6 s, and 3.75 s of that go together
			t.Errorf("%d calls for %d keys: they are not loaded together", n, keys)
		}
		if st := stack.Stats()[0]; st.Hot != 60 {
			t.Errorf("%d keys are hot", st.Hot)
		}
	})
}

func TestHotKeysAreLoadedAfterAnInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(rows(3))
		stack := newStack(t, cache.Options{})
		c := cache.Define(stack, hotSpace(s, 3))
		for version := range 20 {
			time.Sleep(5 * time.Second)
			s.set(2, 100+version)
			switch version % 2 {
			case 0:
				c.Invalidate(t.Context(), 2)
			default:
				c.InvalidateAll(t.Context())
			}
			time.Sleep(110 * time.Millisecond)
			wantGet(t, c, 2, 100+version)
		}
		wantMisses(t, stack, 0)
	})
}

// While the source fails it is asked seldom, and what it has said before is served until its time.
func TestHotKeysBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(rows(60))
		stack := newStack(t, cache.Options{})
		space := hotSpace(s, 60)
		space.Policy.Jitter = -1
		c := cache.Define(stack, space)
		time.Sleep(40 * time.Second)
		before := len(s.loads())
		s.fail(errors.New("down"))
		time.Sleep(15 * time.Second) // from 45 s on all are due
		if n := len(s.loads()) - before; n < 3 || n > 8 {
			t.Errorf("a source that fails was asked %d times in 10 s", n)
		}
		s.fail(nil)
		time.Sleep(4 * time.Second)
		wantGet(t, c, 60, 60)
		time.Sleep(10 * time.Second)
		for key := range 60 {
			wantGet(t, c, key+1, key+1)
		}
		wantMisses(t, stack, 0)
	})
}

func TestHotKeysAreLoadedOnceInTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := memory.New(memory.Options{})
		t.Cleanup(func() { layer.Close() })
		s := newSource(rows(10))
		var nodes []*cache.Cache[int, int]
		var stacks []*cache.Stack
		for range 3 {
			space := hotSpace(s, 10)
			space.LoadMany = func(ctx context.Context, keys []int) (map[int]int, error) {
				time.Sleep(5 * time.Millisecond)
				return s.LoadMany(ctx, keys)
			}
			stack := newStack(t, cache.Options{Remote: layer})
			stacks, nodes = append(stacks, stack), append(nodes, cache.Define(stack, space))
		}
		time.Sleep(10 * time.Second) // the layer is not used in the first second
		before := 0
		for _, call := range s.loads() {
			before += len(call)
		}
		for range 1200 { // often: a key that is taken although it is due ends between two looks at it
			time.Sleep(100 * time.Millisecond)
			for _, c := range nodes {
				wantGet(t, c, 3, 3)
			}
		}
		for _, stack := range stacks {
			wantMisses(t, stack, 0)
		}
		keys := -before
		for _, call := range s.loads() {
			keys += len(call)
		}
		if keys > 10*4 { // every 39 s and more
			t.Errorf("%d loads of 10 keys in 2 minutes on 3 nodes, want one of each in 39 s", keys)
		}
	})
}

func TestHotKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(nil) // nothing is there, and absences are not remembered
		stack := newStack(t, cache.Options{})
		space := hotSpace(s, 3)
		space.Policy.NegativeTTL = -1
		cache.Define(stack, space)
		time.Sleep(time.Minute)
		if n := len(s.loads()); n > 61 {
			t.Errorf("what can't be kept was loaded %d times in a minute", n)
		}

		many := hotSpace(newSource(nil), 30_000)
		many.Name = "many"
		cache.Define(stack, many)
		time.Sleep(10 * time.Millisecond)
		if st := stack.Stats()[0]; st.Name != "many" || st.Hot != 10_000 {
			t.Errorf("%d keys of %s are kept", st.Hot, st.Name)
		}
	})
}

func TestHotKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(rows(9))
		stack := newStack(t, cache.Options{})
		asked := 0
		space := hotSpace(s, 0)
		space.Hot = func(ctx context.Context) ([]int, error) {
			switch asked++; asked {
			case 1:
				return []int{1, 2, 2, 1}, nil
			case 2:
				return nil, errors.New("down")
			case 3:
				panic("no list")
			case 4:
				return []int{3}, nil
			}
			<-ctx.Done() // a list that never comes
			return nil, ctx.Err()
		}
		cache.Define(stack, space)
		time.Sleep(time.Second)
		if calls := s.loads(); len(calls) != 1 || len(calls[0]) != 2 {
			t.Errorf("loads: %v", calls)
		}
		time.Sleep(2 * time.Minute)
		calls := s.loads()
		if last := calls[len(calls)-1]; len(last) != 1 || last[0] != 3 {
			t.Errorf("loads: %v", calls)
		}
		if st := stack.Stats()[0]; st.Hot != 1 || st.LoadErrors < 3 {
			t.Errorf("%d hot keys, %d errors", st.Hot, st.LoadErrors)
		}
		if n := len(calls); n < 4 {
			t.Errorf("without a new list the last one was loaded %d times in 2 minutes", n)
		}
	})
}
