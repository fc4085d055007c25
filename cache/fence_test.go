package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
)

// changes are the ways to tell the cache that key 1 has become version 2.
var changes = map[string]func(context.Context, *cache.Cache[int, int]) error{
	"Invalidate":    func(ctx context.Context, c *cache.Cache[int, int]) error { return c.Invalidate(ctx, 1) },
	"InvalidateAll": func(ctx context.Context, c *cache.Cache[int, int]) error { return c.InvalidateAll(ctx) },
	"Put":           func(ctx context.Context, c *cache.Cache[int, int]) error { return c.Put(ctx, 1, 2) },
}

// eachChange runs a test for each way to change a row, in a bubble of its own.
func eachChange(t *testing.T, test func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error)) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, change) })
		})
	}
}

// A loader reads version 1 and pauses; version 2 is written and the cache told; the loader goes on.
func TestFillBegunBeforeChangeIsDropped(t *testing.T) {
	eachChange(t, func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{})
		release := s.holdBack()
		before := goGet(t.Context(), c, 1)
		synctest.Wait()
		s.goOn()
		s.set(1, 2)
		if err := change(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		release()
		if r := <-before; r.err != nil {
			t.Fatal(r.err) // version 1 or 2: it overlaps the change
		}
		synctest.Wait()
		wantGet(t, c, 1, 2)
	})
}

// As before, but somebody reads while the old loader still pauses.
func TestReadAfterChangeJoinsNoOlderLoad(t *testing.T) {
	eachChange(t, func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{})
		release := s.holdBack()
		defer release()
		goGet(t.Context(), c, 1)
		synctest.Wait()
		s.goOn()
		s.set(1, 2)
		if err := change(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		after := goGet(t.Context(), c, 1)
		synctest.Wait()
		select {
		case r := <-after:
			if r.value != 2 || r.err != nil {
				t.Fatalf("Get after the change = %d, %v; want 2", r.value, r.err)
			}
		default:
			t.Fatal("Get after the change waits for the load that began before it")
		}
		release()
		synctest.Wait()
		wantGet(t, c, 1, 2)
	})
}

// The change is announced after the loader has its answer and before the answer is stored: the order in which a message from
// another node overtakes a reply (case E in research/cache.md, 4e).
func TestChangeOvertakesFill(t *testing.T) {
	eachChange(t, func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error) {
		s := newSource(map[int]int{1: 1})
		var c *cache.Cache[int, int]
		first := true
		c = cache.Define(newStack(t, cache.Options{}), cache.Space[int, int]{
			Name: "row",
			LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
				rows, err := s.LoadMany(ctx, keys)
				if first {
					first = false
					s.set(1, 2)
					err = change(ctx, c)
				}
				return rows, err
			},
		})
		if _, err := c.Get(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantGet(t, c, 1, 2)
	})
}

// A Put fences off older loads for longer than its own entry lives.
func TestPutIsAFenceAfterItsEntryHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: time.Second, HardTimeout: time.Minute})
		release := s.holdBack()
		defer release()
		goGet(t.Context(), c, 1)
		synctest.Wait()
		s.goOn()
		s.set(1, 2)
		if err := c.Put(t.Context(), 1, 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		after := goGet(t.Context(), c, 1)
		synctest.Wait()
		select {
		case r := <-after:
			if r.value != 2 || r.err != nil {
				t.Fatalf("Get = %d, %v; want 2", r.value, r.err)
			}
		default:
			t.Fatal("Get waits for a load that began before the Put")
		}
	})
}

// Another writer changes the row and invalidates it while a Put of the version before is on its way to memory.
func TestPutOvertakenByInvalidate(t *testing.T) {
	s := newSource(map[int]int{1: 1})
	var c *cache.Cache[int, int]
	overtake := func() {
		s.set(1, 2)
		if err := c.Invalidate(t.Context(), 1); err != nil {
			t.Error(err)
		}
	}
	c = cache.Define(newStack(t, cache.Options{}), cache.Space[int, int]{
		Name:     "row",
		LoadMany: s.LoadMany,
		Weigh: func(int, int) int { // is called by Put when it has begun
			if overtake != nil {
				overtake()
				overtake = nil
			}
			return 0
		},
	})
	if err := c.Put(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	wantGet(t, c, 1, 2)
}

func TestStaleValueIsGoneAfterChange(t *testing.T) {
	eachChange(t, func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: time.Minute, StaleFor: time.Hour})
		wantGet(t, c, 1, 1)
		time.Sleep(2 * time.Minute)
		s.fail(errors.New("down"))
		wantGet(t, c, 1, 1) // stale
		if err := change(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if v, err := c.Get(t.Context(), 1); err == nil && v == 1 {
			t.Fatal("served the old value as stale after the change")
		}
	})
}

// A caller who waits with a stale value in reserve must not fall back on it once it has been invalidated.
func TestStaleValueIsGoneForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: time.Second})
		wantGet(t, c, 1, 1)
		time.Sleep(2 * time.Minute)
		s.fail(errors.New("down"))
		release := s.holdBack()
		waiting := goGet(t.Context(), c, 1)
		synctest.Wait()
		if err := c.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		release()
		if r := <-waiting; r.err == nil {
			t.Fatalf("got %d, which was invalidated while we waited", r.value)
		}
	})
}

func TestAbsenceIsForgottenAfterChange(t *testing.T) {
	eachChange(t, func(t *testing.T, change func(context.Context, *cache.Cache[int, int]) error) {
		s := newSource(map[int]int{})
		c := define(t, s, cache.Policy{NegativeTTL: time.Hour})
		if _, err := c.Get(t.Context(), 1); !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("err = %v, want ErrNotFound", err)
		}
		s.set(1, 2)
		if err := change(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wantGet(t, c, 1, 2)
	})
}

func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{StaleFor: time.Hour})
		wantGet(t, c, 1, 1)
		s.set(1, 2)
		wantGet(t, c, 1, 1) // nobody has told the cache
		if v, err := c.Get(cache.Fresh(t.Context()), 1); v != 2 || err != nil {
			t.Fatalf("fresh Get = %d, %v; want 2", v, err)
		}
		wantGet(t, c, 1, 2)
		s.wantLoads(t, 2)

		s.fail(errors.New("down"))
		if v, err := c.Get(cache.Fresh(t.Context()), 1); err == nil {
			t.Fatalf("fresh Get = %d from a source that is down", v)
		}
		wantGet(t, c, 1, 2)
	})
}

// A load that began before a fresh read answers neither the fresh read nor, by filling memory after it, those who follow.
func TestFreshAndOlderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{})
		release := s.holdBack()
		defer release()
		goGet(t.Context(), c, 1)
		synctest.Wait()
		s.goOn()
		s.set(1, 2)
		fresh := goGet(cache.Fresh(t.Context()), c, 1)
		synctest.Wait()
		select {
		case r := <-fresh:
			if r.value != 2 || r.err != nil {
				t.Fatalf("fresh Get = %d, %v; want 2", r.value, r.err)
			}
		default:
			t.Fatal("fresh Get joined a load that began before it")
		}
		release()
		synctest.Wait()
		wantGet(t, c, 1, 2)
		s.wantLoads(t, 2)
	})
}
