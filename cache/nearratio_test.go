//go:build !race

package cache_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/freshet/freshet/cache"
)

// TestNearKeepsTheHitRatio reads keys as unevenly as people do, of which an eighth fits, through a space and through the bare
// engine: that the engine sees one in eight of the hits that are near must not spoil what it keeps.
func TestNearKeepsTheHitRatio(t *testing.T) {
	const keys, room, reads = 1 << 15, 1 << 12, 600_000
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	c := cache.Define(stack, cache.Space[int64, int64]{
		Name: "zipf", Policy: cache.Policy{TTL: time.Hour, MaxEntries: room},
		LoadMany: func(_ context.Context, ks []int64) (map[int64]int64, error) {
			m := make(map[int64]int64, len(ks))
			for _, k := range ks {
				m[k] = k
			}
			return m, nil
		},
	})
	bare := otter.Must(&otter.Options[int64, int64]{MaximumSize: room})
	defer bare.StopAllGoroutines()
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, keys-1)
	hits := 0
	for i := range reads {
		k := int64(zipf.Uint64())
		if _, ok := bare.GetIfPresent(k); ok {
			hits++
		} else {
			bare.Set(k, k)
		}
		if v, err := c.Get(t.Context(), k); err != nil || v != k {
			t.Fatalf("read %d: key %d is %d, %v", i, k, v, err)
		}
	}
	s := stack.Stats()[0]
	ours, theirs := 100*float64(s.Hits)/reads, 100*float64(hits)/reads
	t.Logf("%.2f %% of reads are hits, %.2f %% of the bare engine", ours, theirs)
	if ours < theirs-1 {
		t.Error("more than a point of hits is lost")
	}
}
