package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet/cache"
)

func TestStackByName(t *testing.T) {
	s := newSource(map[int]int{1: 1})
	stack := newStack(t, cache.Options{})
	b := cache.Define(stack, cache.Space[int, int]{Name: "b", LoadMany: s.LoadMany})
	cache.Define(stack, cache.Space[int, int]{Name: "a", LoadMany: s.LoadMany})
	if diff := cmp.Diff([]string{"a", "b"}, stack.Names()); diff != "" {
		t.Error(diff)
	}
	wantGet(t, b, 1, 1)
	s.set(1, 2)
	if err := stack.InvalidateAll(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	wantGet(t, b, 1, 2)
	if err := stack.InvalidateAll(t.Context(), "c"); !errors.Is(err, cache.ErrUnknownSpace) {
		t.Errorf("err = %v, want ErrUnknownSpace", err)
	}
}

func TestDefinePanics(t *testing.T) {
	s := newSource(nil)
	closed, err := cache.NewStack(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	stack := newStack(t, cache.Options{})
	cache.Define(stack, cache.Space[int, int]{Name: "taken", LoadMany: s.LoadMany})
	for name, define := range map[string]func(){
		"no name":    func() { cache.Define(stack, cache.Space[int, int]{LoadMany: s.LoadMany}) },
		"no loader":  func() { cache.Define(stack, cache.Space[int, int]{Name: "x"}) },
		"name taken": func() { cache.Define(stack, cache.Space[int, int]{Name: "taken", LoadMany: s.LoadMany}) },
		"bad policy": func() {
			cache.Define(stack, cache.Space[int, int]{Name: "x", LoadMany: s.LoadMany, Policy: cache.Policy{TTL: -1}})
		},
		"stack closed": func() { cache.Define(closed, cache.Space[int, int]{Name: "x", LoadMany: s.LoadMany}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Define did not panic")
				}
			}()
			define()
		})
	}
}

// watcher is an observer that remembers.
type watcher struct {
	mu    sync.Mutex
	loads []string
	late  []time.Duration
}

func (w *watcher) Loaded(keys int, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	outcome := "ok"
	if err != nil {
		outcome = err.Error()
	}
	w.loads = append(w.loads, time.Duration(keys).String()+" "+took.String()+" "+outcome)
}

func (w *watcher) ServedStale(late time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = append(w.late, late)
}

func TestStatsAndObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		stack := newStack(t, cache.Options{Observe: func(space string) cache.Observer {
			if space != "row" {
				t.Errorf("observer asked for space %q", space)
			}
			return w
		}})
		s := newSource(map[int]int{1: 1, 2: 2})
		c := cache.Define(stack, cache.Space[int, int]{
			Name:   "row",
			Policy: cache.Policy{TTL: time.Minute, Jitter: -1, StaleFor: time.Hour},
			LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
				time.Sleep(time.Second)
				return s.LoadMany(ctx, keys)
			},
		})
		ctx := t.Context()
		c.GetMany(ctx, []int{1, 2, 3}) // 3 misses, 1 load
		c.GetMany(ctx, []int{1, 2, 3}) // 3 hits, an absence among them
		c.Get(ctx, 1)                  // 1 hit
		time.Sleep(2 * time.Minute)
		s.fail(errors.New("down"))
		c.Get(ctx, 1) // 1 miss, 1 failed load, served stale
		synctest.Wait()

		want := []cache.Stats{{Name: "row", Entries: 2, Hits: 4, Misses: 4, Loads: 2, LoadErrors: 1, StaleServed: 1}}
		want[0].LoadTime = cache.Histogram{Count: 2, Sum: 2 * time.Second}
		want[0].LoadTime.Buckets[12] = 2 // up to 1 s
		if diff := cmp.Diff(want, stack.Stats()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"3ns 1s ok", "1ns 1s down"}, w.loads); diff != "" {
			t.Error(diff)
		}
		// The value was confirmed when the first load began; the second failed 1 s + 2 min + 1 s later.
		if want := time.Minute + 2*time.Second; len(w.late) != 1 || (w.late[0]-want).Abs() > tick {
			t.Errorf("served stale, late by %v, want %v", w.late, want)
		}
	})
}

func TestHitsOfManyGoroutinesAreAllCounted(t *testing.T) {
	s := newSource(map[int]int{1: 1})
	stack := newStack(t, cache.Options{})
	c := cache.Define(stack, cache.Space[int, int]{Name: "row", LoadMany: s.LoadMany})
	wantGet(t, c, 1, 1)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 100 {
				c.Get(t.Context(), 1)
			}
		})
	}
	wg.Wait()
	if hits := stack.Stats()[0].Hits; hits != 5000 {
		t.Errorf("%d hits counted, want 5000", hits)
	}
}

func TestBounds(t *testing.T) {
	for name, space := range map[string]cache.Space[int, int]{
		"MaxEntries": {Policy: cache.Policy{MaxEntries: 100}},
		"MaxBytes":   {Policy: cache.Policy{MaxBytes: 100 << 10}, Weigh: func(int, int) int { return 1024 - cache.EntryBytes }},
		"absences":   {Policy: cache.Policy{MaxBytes: 100 * cache.EntryBytes}, Weigh: func(int, int) int { return 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stack := newStack(t, cache.Options{})
				space.Name, space.LoadMany = name, newSource(nil).LoadMany
				c := cache.Define(stack, space)
				for key := range 1000 {
					if name == "absences" {
						c.Get(t.Context(), key)
					} else if err := c.Put(t.Context(), key, key); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait() // eviction is not done by the caller
				stats := stack.Stats()[0]
				if stats.Entries > 100 || stats.Entries < 90 {
					t.Errorf("%d entries in memory, want about 100", stats.Entries)
				}
				if stats.Evictions != uint64(1000-stats.Entries) {
					t.Errorf("%d evictions counted of %d", stats.Evictions, 1000-stats.Entries)
				}
			})
		})
	}
}

// The bubble of synctest fails the test if Close leaves a goroutine behind.
func TestCloseWaitsForLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1, 2: 2})
		stack, err := cache.NewStack(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := cache.Define(stack, cache.Space[int, int]{Name: "row", LoadMany: s.LoadMany})
		release := s.holdBack()
		waiting := goGet(t.Context(), c, 1)
		synctest.Wait()
		time.AfterFunc(2*time.Second, release)
		start := time.Now()
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("Close took %v, want the 2s that the load took", waited)
		}
		if r := <-waiting; r.value != 1 || r.err != nil {
			t.Errorf("Get = %d, %v; want 1", r.value, r.err)
		}
		wantGet(t, c, 1, 1)
		if _, err := c.Get(t.Context(), 2); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("err = %v, want ErrClosed", err)
		}
		if err := stack.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestCloseReportsLoaderThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		stack, err := cache.NewStack(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := cache.Define(stack, cache.Space[int, int]{Name: "row", Policy: cache.Policy{HardTimeout: time.Second}, LoadMany: s.LoadMany})
		release := s.holdBack()
		defer release()
		waiting := goGet(t.Context(), c, 1)
		synctest.Wait()
		if err := stack.Close(); err == nil {
			t.Error("Close has seen no running loader")
		}
		if r := <-waiting; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", r.err)
		}
	})
}

func TestFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, asked := errors.New("down"), 0
		c := cache.Func(newStack(t, cache.Options{}), "square", cache.Policy{}, func(_ context.Context, n int) (int, error) {
			asked++
			switch n {
			case 13:
				return 0, down
			case 7:
				return 0, cache.ErrNotFound
			}
			return n * n, nil
		})
		for range 2 {
			wantGet(t, c, 3, 9)
			if _, err := c.Get(t.Context(), 7); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("err = %v, want ErrNotFound", err)
			}
		}
		if _, err := c.Get(t.Context(), 13); !errors.Is(err, down) {
			t.Errorf("err = %v, want %v", err, down)
		}
		m, err := c.GetMany(t.Context(), []int{2, 3, 7})
		if diff := cmp.Diff(map[int]int{2: 4, 3: 9}, m); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if asked != 4 { // 3, 7, 13, 2
			t.Errorf("the function was called %d times, want 4", asked)
		}
	})
}
