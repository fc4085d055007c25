package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

func TestWrongOptionsGiveAHint(t *testing.T) {
	for name, o := range map[string]redis.Options{
		"no server":         {},
		"no scheme":         {URL: "localhost:6379"},
		"another scheme":    {URL: "http://localhost"},
		"no host":           {URL: "redis://"},
		"an empty host":     {URL: "redis-cluster://a,,b"},
		"a wrong port":      {URL: "redis://localhost:six"},
		"a wrong database":  {URL: "redis://localhost/users"},
		"cluster database":  {URL: "redis-cluster://a,b/1"},
		"bad escapes":       {URL: "redis://user:s%zzcret@localhost"},
		"several servers":   {URL: "redis://a,b"},
		"both":              {URL: "redis://a", Addrs: []string{"b:1"}},
		"cluster, sentinel": {Addrs: []string{"a:1"}, Cluster: true, Sentinel: "m"},
		"braces":            {URL: "redis://a", Prefix: "{a}:"},
	} {
		_, err := redis.Open(t.Context(), o)
		if !errors.Is(err, redis.ErrOptions) || !strings.Contains(err.Error(), "\nhint: ") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: the password is in %q", name, err)
		}
	}
}

func TestOpenFailsWhereNobodyAnswers(t *testing.T) {
	for name, o := range map[string]redis.Options{
		"single":  {URL: "redis://user:secret@127.0.0.1:1"},
		"cluster": {URL: "redis-cluster://user:secret@127.0.0.1:1,127.0.0.1:2"},
	} {
		_, err := redis.Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:") || !strings.Contains(err.Error(), "hint: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPasswordsAndDatabases(t *testing.T) {
	server := testenv.StartRedis(t)
	tell(t, raw(t, server.Addr), "CONFIG", "SET", "requirepass", "s/e:c@r,et")
	_, err := redis.Open(t.Context(), redis.Options{URL: "redis://" + server.Addr})
	if err == nil || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("without a password: %v", err)
	}
	zero := open(t, redis.Options{URL: "redis://:s%2Fe%3Ac%40r,et@" + server.Addr})
	three := open(t, redis.Options{URL: "redis://default:s%2Fe%3Ac%40r%2Cet@" + server.Addr + "/3"})
	byField := open(t, redis.Options{Addrs: []string{server.Addr}, Password: "s/e:c@r,et"})
	ask := []cache.LeaseAsk{{Key: "k", Lease: cache.ID{1}, TTL: time.Minute}}
	out := make([]cache.LeaseAnswer, 1)
	if err := zero.Lease(t.Context(), ask, out); err != nil || !out[0].Granted {
		t.Fatal(err)
	}
	for r, want := range map[*redis.Remote]cache.State{three: cache.Absent, byField: cache.Leased} {
		got := make([]cache.Record, 1)
		if err := r.Get(t.Context(), []string{"k"}, got); err != nil || got[0].State != want {
			t.Errorf("state %v, %v; want %v", got[0].State, err, want)
		}
	}
	listen(t, byField)
}

func TestAClientThatExists(t *testing.T) {
	server := testenv.StartRedis(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := open(t, redis.Options{Client: c, Prefix: "own:"})
	n := listen(t, r)
	fence(t, r, "k")
	n.await(t, "the fence", func() bool { return n.keys["k"] })
	r.Close()
	if err := c.Do(context.Background(), c.B().Exists().Key("any").Build()).Error(); err != nil {
		t.Errorf("a client that was given was closed: %v", err)
	}
}

func TestPrefixesKeepApart(t *testing.T) {
	server := testenv.StartRedis(t)
	a := open(t, redis.Options{URL: "redis://" + server.Addr, Prefix: "a:"})
	b := open(t, redis.Options{URL: "redis://" + server.Addr, Prefix: "b:"})
	n, m := listen(t, a), listen(t, b)
	fence(t, a, "k")
	n.await(t, "the fence", func() bool { return n.keys["k"] })
	m.again(t)
	if m.keys["k"] {
		t.Error("a fence under one prefix was told under another")
	}
}

// TestNow: the clock is the server's, though the local one is another machine's (here it is the same).
func TestNow(t *testing.T) {
	r := open(t, redis.Options{URL: "redis://" + testenv.StartRedis(t).Addr})
	if off := time.Since(r.Now()); off > 5*time.Second || off < -5*time.Second {
		t.Errorf("on one machine the clocks are apart by %v", off)
	}
}

func Example() {
	var scope testenv.Scope // a Redis for this example; yours runs already
	defer scope.Close()
	server := testenv.StartRedis(&scope)

	ctx := context.Background()
	remote, err := redis.Open(ctx, redis.Options{URL: "redis://" + server.Addr})
	if err != nil {
		panic(err)
	}
	defer remote.Close()

	ask := cache.LeaseAsk{Key: "user/42", Lease: cache.ID{1}, Holder: cache.ID{2}, TTL: time.Second}
	answer := make([]cache.LeaseAnswer, 1)
	if err := remote.Lease(ctx, []cache.LeaseAsk{ask}, answer); err != nil {
		panic(err)
	}
	if err := remote.Fence(ctx, []cache.Fence{{Key: "user/42", TTL: time.Minute}}); err != nil { // the source has changed
		panic(err)
	}
	filled := make([]bool, 1)
	fill := cache.Fill{Key: "user/42", Lease: ask.Lease, Value: []byte("sixteen bytes of stamp, and the old name"), TTL: time.Minute}
	if err := remote.Fill(ctx, []cache.Fill{fill}, filled); err != nil {
		panic(err)
	}
	fmt.Println("granted:", answer[0].Granted)
	fmt.Println("filled after the fence:", filled[0])
	// Output:
	// granted: true
	// filled after the fence: false
}
