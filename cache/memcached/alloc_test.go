//go:build !race

package memcached_test

import (
	"testing"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/internal/testenv"
)

// TestGetAllocates is a count: the value is all that a hit allocates.
func TestGetAllocates(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.lease("k", 1)
	c.fill("k", 1, aValue)
	keys, out, ctx := []string{"k"}, make([]cache.Record, 1), t.Context()
	n := testing.AllocsPerRun(testenv.Size(200, 2_000, 20_000), func() {
		if err := c.Get(ctx, keys, out); err != nil || out[0].State != cache.Filled {
			t.Fatal(err)
		}
	})
	if n != 1 {
		t.Errorf("a hit makes %v allocations, want 1", n)
	}
}
