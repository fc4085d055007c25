package redis_test

import (
	"testing"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// open opens a node that is closed with its test.
func open(t testing.TB, o redis.Options) *redis.Remote {
	t.Helper()
	r, err := redis.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRemote(t *testing.T) {
	server := testenv.StartRedis(t)
	cachetest.Remote(t, func(t *testing.T) cache.Remote {
		return open(t, redis.Options{URL: "redis://" + server.Addr})
	}, cachetest.Options{})
}

func TestRemoteOnCluster(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	cachetest.Remote(t, func(t *testing.T) cache.Remote {
		return open(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true})
	}, cachetest.Options{})
}

func TestChannel(t *testing.T) {
	server := testenv.StartRedis(t)
	cachetest.Channel(t, func(t *testing.T) cachetest.Node { return node(t, server.Addr) })
}

// node comes to a server by a relay of its own, which can be cut.
func node(t *testing.T, addr string) cachetest.Node {
	relay := testenv.StartRelay(t, addr)
	o := redis.Options{URL: "redis://" + relay.Addr}
	r := open(t, o)
	return cachetest.Node{Remote: r, Channel: r, Cut: relay.Cut, Trust: redis.DefaultTrust}
}
