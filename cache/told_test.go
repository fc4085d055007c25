package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// What was fenced is read from the primary until the feed has been asked after it: only then it is known where replicas have the
// change. Other keys may be read from replicas meanwhile.
func TestWhatWasFencedAMomentAgoIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := newStack(t, cache.Options{Feed: true})
		latest := false
		rows := cache.Define(stack, cache.Space[int, int]{
			Name: "row", LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
				latest = position.ReadingOf(ctx).Latest()
				return map[int]int{keys[0]: 1}, nil
			},
		})
		next := 0
		wants := func(what string, want bool, key int) {
			t.Helper()
			wantGet(t, rows, key, 1)
			if latest != want {
				t.Errorf("%s: asks for the latest: %t", what, latest)
			}
		}
		fresh := func() int { next++; return next } // a key that nobody has read
		ask := func() { sent := time.Now(); time.Sleep(time.Millisecond); stack.Followed(sent, at(uint64(next))) }
		wants("before the feed is followed", true, fresh())
		ask()
		ask()
		wants("once it is", false, fresh())
		k := fresh()
		if err := rows.Invalidate(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		wants("after the fence of its key", true, k)
		wants("after that of another", false, fresh())
		k = fresh()
		if err := rows.Invalidate(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		ask() // which may have been on its way before the fence
		ask()
		wants("once the feed was asked after it", false, k)
	})
}

// Of a list that replicas answer the same is known by its tags.
func TestAListThatWasFencedAMomentAgoIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := newStack(t, cache.Options{Feed: true})
		var asked []bool
		list := cache.DefineQuery(stack, cache.Query[int, int]{
			Name: "list", Run: func(ctx context.Context, of int) (int, error) {
				r := position.ReadingOf(ctx)
				if asked = append(asked, r.Latest()); !r.Latest() {
					cache.ReadAt(ctx, at(100))
				}
				return of, nil
			},
			Reads: func(int, int) []cache.Dependency { return []cache.Dependency{{Table: "t", Key: "1"}} },
		})
		for range 2 {
			sent := time.Now()
			time.Sleep(time.Millisecond)
			stack.Followed(sent, at(1))
		}
		wantGet(t, list, 1, 1)
		if err := stack.Changed(t.Context(), cache.Dependency{Table: "t", Key: "1"}); err != nil {
			t.Fatal(err)
		}
		wantGet(t, list, 1, 1)
		if len(asked) != 3 || asked[0] || asked[1] || !asked[2] {
			t.Errorf("asked for the latest: %v", asked)
		}
	})
}

// Whoever reads is told how far what was shown may go, whether a load has brought it or memory has it.
func TestAReadTellsHowFarItGoes(t *testing.T) {
	rows := cache.Define(newStack(t, cache.Options{OnlyNode: true}), cache.Space[int, int]{
		Name: "row", LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
			cache.ReadAt(ctx, at(7))
			return map[int]int{keys[0]: 1}, nil
		},
	})
	for _, what := range []string{"a load", "memory"} {
		ctx, reading := position.WithReading(t.Context(), nil)
		if _, err := rows.Get(cache.At(ctx, nil), 1); err != nil {
			t.Fatal(err)
		}
		if got := reading.High().At(1).Offset; got != 7 {
			t.Errorf("%s: told %d, want 7", what, got)
		}
	}
}

// A page of many keys waits for its token once.
func TestAPageWaitsForItsTokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := cache.Define(newStack(t, cache.Options{OnlyNode: true}), cache.Space[int, int]{
			Name: "row", LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
				found := make(map[int]int)
				for _, k := range keys {
					found[k] = k
				}
				return found, nil
			},
		})
		keys := []int{1, 2, 3, 4, 5, 6, 7, 8}
		if _, err := rows.GetMany(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := rows.GetMany(cache.At(t.Context(), at(9)), keys); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}
