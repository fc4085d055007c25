package cachetest_test

import (
	"context"
	"testing"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
)

// openLayer stands for the constructor of the layer under test.
var openLayer func(ctx context.Context, addr string) (interface {
	cache.Remote
	cache.Channel
}, error)

// A layer's test opens one more node on the same server each time it is asked.
func ExampleRemote() {
	_ = func(t *testing.T, addr string) { // TestRemote
		cachetest.Remote(t, func(t *testing.T) cache.Remote {
			r, err := openLayer(t.Context(), addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return r
		}, cachetest.Options{})
	}
	// Output:
}
