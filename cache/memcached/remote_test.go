package memcached_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
)

func Example() {
	var scope testenv.Scope
	defer scope.Close()
	server := testenv.StartMemcached(&scope)

	ctx := context.Background()
	options, err := memcached.ParseURL("memcached://" + server.Addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	remote, err := memcached.Open(ctx, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remote.Close()

	answers, filled := make([]cache.LeaseAnswer, 1), make([]bool, 1)
	lease := cache.ID{1}
	if err := remote.Lease(ctx, []cache.LeaseAsk{{Key: "user:42", Lease: lease, TTL: time.Minute}}, answers); err != nil {
		fmt.Println(err)
		return
	}
	if err := remote.Fence(ctx, []cache.Fence{{Key: "user:42", TTL: time.Minute}}); err != nil {
		fmt.Println(err)
		return
	}
	err = remote.Fill(ctx, []cache.Fill{{Key: "user:42", Lease: lease, Value: []byte("read before the fence"), TTL: time.Minute}}, filled)
	fmt.Println(answers[0].Granted, filled[0], err)
	// Output: true false <nil>
}

// client is a layer with calls of one key, which fail the test.
type client struct {
	*memcached.Remote
	t testing.TB
}

func open(t testing.TB, options memcached.Options) client {
	t.Helper()
	r, err := memcached.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return client{r, t}
}

func (c client) lease(key string, id byte) cache.LeaseAnswer {
	c.t.Helper()
	out := make([]cache.LeaseAnswer, 1)
	if err := c.Lease(c.t.Context(), []cache.LeaseAsk{{Key: key, Lease: cache.ID{id}, TTL: time.Minute}}, out); err != nil {
		c.t.Fatal(err)
	}
	return out[0]
}

func (c client) fill(key string, id byte, value []byte) bool {
	c.t.Helper()
	out := make([]bool, 1)
	if err := c.Fill(c.t.Context(), []cache.Fill{{Key: key, Lease: cache.ID{id}, Value: value, TTL: time.Minute}}, out); err != nil {
		c.t.Fatal(err)
	}
	return out[0]
}

func (c client) fence(key string, offset uint64) {
	c.t.Helper()
	at := position.Position{System: 1, Offset: offset}
	if err := c.Fence(c.t.Context(), []cache.Fence{{Key: key, At: at, TTL: time.Minute}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) get(key string) cache.Record {
	c.t.Helper()
	out := make([]cache.Record, 1)
	if err := c.Get(c.t.Context(), []string{key}, out); err != nil {
		c.t.Fatal(err)
	}
	return out[0]
}

var aValue = []byte("stamp-of-value-1:one")

// raw makes an exchange with a server past the client, and returns what came until it paused.
func raw(t testing.TB, addr, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, command+"mn\r\n")
	var got []byte
	for b := make([]byte, 4096); !bytes.HasSuffix(got, []byte("MN\r\n")); {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	return strings.TrimSuffix(string(got), "MN\r\n")
}

func TestRemote(t *testing.T) {
	server := testenv.StartMemcached(t)
	cachetest.Remote(t, func(t *testing.T) cache.Remote {
		return open(t, memcached.Options{Servers: []string{server.Addr}}).Remote
	}, cachetest.Options{Tick: time.Second})
}

func TestRemoteOnThreeServers(t *testing.T) {
	servers := []string{testenv.StartMemcached(t).Addr, testenv.StartMemcached(t).Addr, testenv.StartMemcached(t).Addr}
	c := open(t, memcached.Options{Servers: servers, Prefix: "test:"})
	const n = 300
	asks, answers := make([]cache.LeaseAsk, n), make([]cache.LeaseAnswer, n)
	fills, filled := make([]cache.Fill, n), make([]bool, n)
	keys, out := make([]string, n), make([]cache.Record, n)
	for i := range n {
		keys[i] = fmt.Sprint("key", i)
		asks[i] = cache.LeaseAsk{Key: keys[i], Lease: cache.ID{1}, TTL: time.Minute}
		fills[i] = cache.Fill{Key: keys[i], Lease: cache.ID{1}, Value: append(bytes.Clone(aValue), keys[i]...), TTL: time.Minute}
	}
	if err := errors.Join(c.Lease(t.Context(), asks, answers), c.Fill(t.Context(), fills, filled), c.Get(t.Context(), keys, out)); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if !answers[i].Granted || !filled[i] || !bytes.Equal(out[i].Value, fills[i].Value) {
			t.Errorf("%s: granted %t, filled %t, %q", keys[i], answers[i].Granted, filled[i], out[i].Value)
		}
	}
	for _, server := range servers {
		one := open(t, memcached.Options{Servers: []string{server}, Prefix: "test:"})
		if err := one.Get(t.Context(), keys, out); err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, r := range out {
			if r.State == cache.Filled {
				held++
			}
		}
		if held < n/6 || held > n/2 {
			t.Errorf("of %d keys server %s has %d", n, server, held)
		}
	}
}

// TestATombstoneIsStored: a deletion would leave nothing that says so to a loader who comes after it.
func TestATombstoneIsStored(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	for _, key := range []string{"never", "leased", "filled"} {
		if key != "never" {
			c.lease(key, 1)
		}
		if key == "filled" {
			c.fill(key, 1, aValue)
		}
		c.fence(key, 7)
		if got := raw(t, server.Addr, "mg "+key+" t\r\n"); !strings.HasPrefix(got, "HD t6") {
			t.Errorf("%s: after a fence the server has %q", key, got)
		}
		if c.fill(key, 1, aValue) || c.lease(key, 2).Fence.Offset != 7 {
			t.Errorf("%s: the fence is not there", key)
		}
	}
}

func TestRestartInTheMiddleOfAFill(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.lease("k", 1)
	server.Restart()
	c.await("k")
	if c.fill("k", 1, aValue) {
		t.Error("filled under a lease of the server's last life")
	}
	if got := c.lease("k", 2); !got.Granted {
		t.Errorf("after the restart: %+v", got)
	}
}

// await waits until the connections are there again.
func (c client) await(key string) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := c.Get(c.t.Context(), []string{key}, make([]cache.Record, 1))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatal(err)
		}
	}
}

func TestServerDown(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	server.Kill()
	for {
		err := c.Get(t.Context(), []string{"k"}, make([]cache.Record, 1))
		if err != nil && strings.Contains(err.Error(), "not connected") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	server.Restart()
	c.await("k")
}

// TestServerHangs: a call ends with its context, and without one with the timeout; when the server goes on nothing of the
// past is taken for an answer.
func TestServerHangs(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}, Timeout: 300 * time.Millisecond})
	c.lease("k", 1)
	c.fill("k", 1, aValue)
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, []string{"k"}, make([]cache.Record, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call with a context ended with %v", err)
	}
	if err := c.Fence(t.Context(), []cache.Fence{{Key: "k", TTL: time.Minute}}); err == nil {
		t.Error("a fence on a server that hangs was acknowledged")
	}
	server.Resume()
	c.await("k")
	for i := range 100 {
		key := fmt.Sprint(i)
		c.lease(key, 1)
		if got := c.get(key); got.State != cache.Leased {
			t.Fatalf("key %d: %v", i, got)
		}
	}
}

// TestFromBeforeARestart: what a server kept over a restart (memcached -e) is void, but for fences.
func TestFromBeforeARestart(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	for _, key := range []string{"leased", "filled"} {
		c.fence(key, 7)
		c.lease(key, 1)
	}
	c.fill("filled", 1, aValue)
	c.PretendRestart(1)
	if c.fill("leased", 1, aValue) {
		t.Error("filled under a lease from before the restart")
	}
	for _, key := range []string{"leased", "filled"} {
		if got := c.get(key); got.State != cache.Absent {
			t.Errorf("%s: from before the restart there is %v", key, got)
		}
		if got := c.lease(key, 2); !got.Granted || got.Fence.Offset != 7 {
			t.Errorf("%s: leased with %+v", key, got)
		}
	}
}

func TestForeignItems(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	raw(t, server.Addr, "ms k 3 T0\r\nabc\r\n")
	if got := c.get("k"); got.State != cache.Absent {
		t.Errorf("a foreign item is %+v", got)
	}
	if got := c.lease("k", 1); !got.Granted || !c.fill("k", 1, aValue) {
		t.Errorf("in place of a foreign item: %+v", got)
	}
}

func TestAHashedKeyIsCompared(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.CollideKeys()
	one, two := strings.Repeat("k", 300)+"1", strings.Repeat("k", 300)+"2"
	c.lease(one, 1)
	c.fill(one, 1, aValue)
	if got := c.get(one); got.State != cache.Filled {
		t.Errorf("the long key holds %v", got.State)
	}
	if got := c.get(two); got.State != cache.Absent {
		t.Errorf("another key of the same hash holds %v %q", got.State, got.Value)
	}
}

func TestLongTTL(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	for _, ttl := range []time.Duration{time.Millisecond, 29 * 24 * time.Hour, 31 * 24 * time.Hour, 10_000 * 24 * time.Hour} {
		key := ttl.String()
		c.lease(key, 1)
		fill := []cache.Fill{{Key: key, Lease: cache.ID{1}, Value: aValue, TTL: ttl}}
		if err := c.Fill(t.Context(), fill, make([]bool, 1)); err != nil {
			t.Fatal(err)
		}
		var left int
		got := raw(t, server.Addr, "mg "+key+" t\r\n")
		if _, err := fmt.Sscanf(got, "HD t%d", &left); err != nil {
			t.Errorf("after a fill for %v the server has %q", ttl, got)
		}
		if want := min(int(ttl/time.Second), 4000*24*3600); left < want-1 || left > int(ttl/time.Second)+3 {
			t.Errorf("a fill for %v is kept for %d s", ttl, left)
		}
	}
}

// TestTooLarge: the server must not be asked, since it would remove the tombstone that is there.
func TestTooLarge(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.fence("large", 7)
	c.lease("large", 1)
	c.lease("small", 1)
	large := append(bytes.Clone(aValue), make([]byte, 1<<20)...)
	fills := []cache.Fill{
		{Key: "large", Lease: cache.ID{1}, Value: large, TTL: time.Minute},
		{Key: "small", Lease: cache.ID{1}, Value: aValue, TTL: time.Minute},
		{Key: "small", Lease: cache.ID{9}, Value: large, TTL: time.Minute},
	}
	out := make([]bool, len(fills))
	err := c.Fill(t.Context(), fills, out)
	var tooLarge *memcached.TooLargeError
	if !errors.As(err, &tooLarge) || len(tooLarge.Keys) != 1 || tooLarge.Keys[0] != "large" {
		t.Errorf("fill of a large value: %v", err)
	}
	if out[0] || !out[1] || out[2] {
		t.Errorf("filled %v", out)
	}
	if got := c.lease("large", 2); !got.Granted || got.Fence.Offset != 7 {
		t.Errorf("after it the key is leased with %+v", got)
	}
}

func TestTooLargeToRenew(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.lease("k", 1)
	c.fill("k", 1, aValue)
	ask := []cache.LeaseAsk{{Key: "k", Lease: cache.ID{2}, Renew: cache.Stamp(aValue), TTL: time.Minute}}
	if err := c.Lease(t.Context(), ask, make([]cache.LeaseAnswer, 1)); err != nil {
		t.Fatal(err)
	}
	fill := []cache.Fill{{Key: "k", Lease: cache.ID{2}, Value: make([]byte, 2<<20), TTL: time.Minute}}
	if err := c.Fill(t.Context(), fill, make([]bool, 1)); err == nil {
		t.Error("no error")
	}
	if got := c.get("k"); got.State != cache.Absent {
		t.Errorf("the old value is still there: %v", got.State)
	}
}

// TestEvictedUnderALease: there are more leases than the server has room for. Those that it evicted are held no more, and
// what was filled under the others is what is read, as long as it is not evicted too.
func TestEvictedUnderALease(t *testing.T) {
	server := testenv.StartMemcached(t, "-m", "2")
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	const n = 30_000
	asks, answers := make([]cache.LeaseAsk, n), make([]cache.LeaseAnswer, n)
	fills, filled := make([]cache.Fill, n), make([]bool, n)
	keys, out := make([]string, n), make([]cache.Record, n)
	for i := range n {
		keys[i] = fmt.Sprint(i)
		asks[i] = cache.LeaseAsk{Key: keys[i], Lease: cache.ID{1}, TTL: time.Minute}
		fills[i] = cache.Fill{Key: keys[i], Lease: cache.ID{1}, Value: append(bytes.Clone(aValue), keys[i]...), TTL: time.Minute}
	}
	if err := errors.Join(c.Lease(t.Context(), asks, answers), c.Fill(t.Context(), fills, filled), c.Get(t.Context(), keys, out)); err != nil {
		t.Fatal(err)
	}
	var held, read int
	for i := range n {
		if filled[i] {
			held++
		}
		switch {
		case out[i].State == cache.Filled && filled[i] && bytes.Equal(out[i].Value, fills[i].Value):
			read++
		case out[i].State != cache.Absent && filled[i], out[i].State == cache.Filled:
			t.Errorf("key %d: filled %t, and then %v %q", i, filled[i], out[i].State, out[i].Value)
		}
	}
	t.Logf("of %d leases in 2 MB %d were held to the fill, and %d values to the read", n, held, read)
	if held == 0 || held == n || read == 0 {
		t.Errorf("of %d leases %d were held and %d values read: the test tests nothing", n, held, read)
	}
}

// hooked is a connection that calls before before it stores in place of something.
type hooked struct {
	net.Conn
	before func()
}

func (h hooked) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("ms k ")) && !bytes.Contains(b, []byte(" ME")) {
		h.before()
	}
	return h.Conn.Write(b)
}

// TestAFenceBetweenReadAndFill: the fill has read that its lease is held, and then comes the fence.
func TestAFenceBetweenReadAndFill(t *testing.T) {
	server := testenv.StartMemcached(t)
	other := open(t, memcached.Options{Servers: []string{server.Addr}})
	var fences sync.Once
	c := open(t, memcached.Options{
		Servers: []string{server.Addr},
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			return hooked{conn, func() { fences.Do(func() { other.fence("k", 7) }) }}, err
		},
	})
	c.lease("k", 1)
	if c.fill("k", 1, aValue) {
		t.Error("a fill won over a fence")
	}
	if got := c.lease("k", 2); !got.Granted || got.Fence.Offset != 7 {
		t.Errorf("after the fence the key is leased with %+v", got)
	}
}

// TestFenceAgainstFill: whichever comes first, after the fence nothing is there that was leased before.
func TestFenceAgainstFill(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}, Conns: 4})
	for i := range testenv.Size(50, 500, 50_000) {
		key := fmt.Sprint(i)
		c.lease(key, 1)
		var both sync.WaitGroup
		both.Go(func() { c.fill(key, 1, aValue) })
		both.Go(func() {
			c.fence(key, 7)
			if got := c.get(key); got.State != cache.Absent {
				t.Errorf("key %d: after the fence there is %v", i, got.State)
			}
		})
		both.Wait()
		if got := c.lease(key, 2); !got.Granted || got.Fence.Offset != 7 {
			t.Fatalf("key %d: %+v", i, got)
		}
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	server := testenv.StartMemcached(t)
	before := runtime.NumGoroutine()
	r, err := memcached.Open(t.Context(), memcached.Options{Servers: []string{server.Addr}, Conns: 8})
	if err != nil {
		t.Fatal(err)
	}
	c := client{r, t}
	c.fence("k", 1)
	r.Close()
	if err := r.Get(t.Context(), []string{"k"}, make([]cache.Record, 1)); !errors.Is(err, memcached.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d", runtime.NumGoroutine(), before)
		}
	}
}
