package cache_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/testenv"
)

// TestNearNeverOutlivesTheEngine has readers keep keys near while others invalidate them: after Invalidate has returned, a read
// never sees what was there before.
func TestNearNeverOutlivesTheEngine(t *testing.T) {
	var mu sync.Mutex
	source := map[string]int64{}
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	c := cache.Define(stack, cache.Space[string, int64]{
		Name: "near", Policy: cache.Policy{TTL: time.Hour, MaxEntries: 4}, // few places, so that they are fought for
		LoadMany: func(_ context.Context, ks []string) (map[string]int64, error) {
			mu.Lock()
			defer mu.Unlock()
			m := make(map[string]int64, len(ks))
			for _, k := range ks {
				m[k] = source[k]
			}
			return m, nil
		},
	})
	keys := []string{"a", "b", "c"}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Get(t.Context(), keys[i%len(keys)]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range int64(testenv.Size(500, 3000, 100_000)) {
		k := keys[i%3]
		mu.Lock()
		source[k] = i
		mu.Unlock()
		if err := c.Invalidate(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if v, err := c.Get(t.Context(), k); err != nil || v != i {
				t.Fatalf("key %s is %d, %v after %d was written", k, v, err, i)
			}
		}
	}
	close(stop)
	readers.Wait()
}
