package redis_test

import (
	"testing"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

func TestRaces(t *testing.T) {
	server := testenv.StartRedis(t)
	cachetest.Races(t, cachetest.Backend{
		Open:    func(t *testing.T) cache.Remote { return open(t, redis.Options{URL: "redis://" + server.Addr}) },
		Restart: func(t *testing.T) { server.Restart() },
		Evict:   func(t *testing.T, key string) { evict(t, key, server.Addr) },
	})
}

func TestRacesOnCluster(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	cachetest.Races(t, cachetest.Backend{
		Open: func(t *testing.T) cache.Remote {
			return open(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true})
		},
		Evict: func(t *testing.T, key string) { evict(t, key, cluster.Addrs()...) },
	})
}

// TestFailedOver loses the last fences at a failover: behind a sentinel and on a cluster, with primaries that are dead and
// with primaries that hang.
func TestFailedOver(t *testing.T) {
	for name, hang := range map[string]bool{"Dead": false, "Hanging": true} {
		t.Run("Sentinel"+name, func(t *testing.T) {
			t.Parallel()
			s := testenv.StartRedisSentinel(t)
			cachetest.FailedOver(t, cachetest.Backend{
				Open: func(t *testing.T) cache.Remote {
					return open(t, redis.Options{Addrs: []string{s.Sentinel.Addr}, Sentinel: "main"})
				},
			}, cachetest.Replicas{Cut: s.Cut, FailOver: func() { s.FailOver(hang) }})
		})
		t.Run("Cluster"+name, func(t *testing.T) {
			t.Parallel()
			c := testenv.StartReplicatedRedisCluster(t)
			cachetest.FailedOver(t, cachetest.Backend{
				Open: func(t *testing.T) cache.Remote {
					return open(t, redis.Options{Addrs: c.Addrs(), Cluster: true})
				},
			}, cachetest.Replicas{Cut: c.Cut, FailOver: func() { c.FailOver(hang) }})
		})
	}
}

func TestHistories(t *testing.T) {
	server := testenv.StartRedis(t)
	cachetest.Histories(t, cachetest.Backend{
		Open: func(t *testing.T) cache.Remote { return open(t, redis.Options{URL: "redis://" + server.Addr}) },
	}, testenv.Size(2000, 25_000, 1_000_000))
}

// evict takes what lies under a key, and its tombstone, from the servers that have it.
func evict(t *testing.T, key string, servers ...string) {
	t.Helper()
	gone := int64(0)
	for _, addr := range servers {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := c.Do(t.Context(), c.B().Keys().Pattern("*"+key+"*").Build()).AsStrSlice()
		for _, k := range keys {
			n, err := c.Do(t.Context(), c.B().Del().Key(k).Build()).AsInt64()
			if err != nil {
				t.Fatal(err)
			}
			gone += n
		}
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if gone == 0 {
		t.Fatalf("nothing lies under %s", key)
	}
}
