package memcached_test

import (
	"testing"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/internal/testenv"
)

func TestRaces(t *testing.T) {
	server := testenv.StartMemcached(t)
	cachetest.Races(t, cachetest.Backend{
		Open: func(t *testing.T) cache.Remote {
			r, err := memcached.Open(t.Context(), memcached.Options{Servers: []string{server.Addr}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return r
		},
		Restart: func(t *testing.T) { server.Restart() },
	})
}
