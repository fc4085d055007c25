package redis_test

import (
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// open opens a node that is closed with its test.
func open(t testing.TB, o redis.Options) *redis.Remote {
	t.Helper()
	o.Broken = func(err error) { t.Logf("the channel: %v", err) }
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
	cachetest.Channel(t, func(t *testing.T) cachetest.Node {
		relay := testenv.StartRelay(t, server.Addr)
		r := open(t, redis.Options{URL: "redis://" + relay.Addr})
		return cachetest.Node{Remote: r, Channel: r, Cut: relay.Cut, Trust: redis.DefaultTrust}
	})
}

func TestChannelOnCluster(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	next := 0
	cachetest.Channel(t, func(t *testing.T) cachetest.Node {
		r := open(t, redis.Options{URL: "redis-cluster://" + strings.Join(cluster.Addrs(), ",")})
		cut := func() { // one master after the other
			killTracked(t, cluster.Masters[next%3].Addr)
			next++
		}
		return cachetest.Node{Remote: r, Channel: r, Cut: cut, Trust: redis.DefaultTrust}
	})
}

// raw is a client of its own, for what the remote layer has no words for.
func raw(t *testing.T, addr string) rueidis.Client {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func tell(t *testing.T, c rueidis.Client, words ...string) string {
	t.Helper()
	m, err := c.Do(t.Context(), c.B().Arbitrary(words...).Build()).ToMessage()
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	text, _ := m.ToString()
	return text
}

// tracked lists the connections that broadcasts go to, by their ids.
func tracked(t *testing.T, c rueidis.Client) (ids []string) {
	t.Helper()
	for line := range strings.Lines(tell(t, c, "CLIENT", "LIST")) {
		_, flags, _ := strings.Cut(line, " flags=")
		flags, _, _ = strings.Cut(flags, " ")
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if strings.Contains(flags, "B") {
			ids = append(ids, id)
		}
	}
	return ids
}

func killTracked(t *testing.T, addr string) {
	c := raw(t, addr)
	for _, id := range tracked(t, c) {
		tell(t, c, "CLIENT", "KILL", "ID", id)
	}
}
