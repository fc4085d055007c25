package redis_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
)

// gated is a connection whose answers can be held back once it is tracked: everything else of its client goes on.
type gated struct {
	net.Conn
	tracked atomic.Bool
	gate    *sync.RWMutex
}

func (g *gated) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("BCAST")) {
		g.tracked.Store(true)
	}
	return g.Conn.Write(b)
}

func (g *gated) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if g.tracked.Load() {
		g.gate.RLock()
		defer g.gate.RUnlock()
	}
	return n, err
}

// TestPushesAndProbesShareAConnection: while pushes are held back, no probe says that they were delivered.
func TestPushesAndProbesShareAConnection(t *testing.T) {
	server := testenv.StartRedis(t)
	var gate sync.RWMutex
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{server.Addr}, ForceSingleClient: true, DisableCache: true,
		DialCtxFn: func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			return &gated{Conn: conn, gate: &gate}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	n := listen(t, open(t, redis.Options{Client: c, Heartbeat: 10 * time.Millisecond}))

	gate.Lock()
	unlock := sync.OnceFunc(gate.Unlock)
	t.Cleanup(unlock)
	fence(t, open(t, redis.Options{URL: "redis://" + server.Addr}), "k")
	fenced := time.Now()
	time.Sleep(100 * time.Millisecond) // ten heartbeats
	n.mu.Lock()
	if n.sent.After(fenced) && !n.keys["k"] {
		t.Error("Alive came before a fence that was written before its probe was sent")
	}
	n.mu.Unlock()
	unlock()
	n.again(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.keys["k"] {
		t.Error("Alive came before the fence")
	}
}

// TestAdvanceDoesNotWaitForTheHeartbeat has a heartbeat that does not come.
func TestAdvanceDoesNotWaitForTheHeartbeat(t *testing.T) {
	server := testenv.StartRedis(t)
	o := redis.Options{URL: "redis://" + server.Addr, Heartbeat: time.Hour, Trust: 2 * time.Hour}
	r := open(t, o)
	n := listen(t, open(t, o))
	for i := range uint64(5) {
		p := position.Position{System: 1, Timeline: 1, Offset: i + 1}
		if err := r.Advance(t.Context(), position.Token{p}); err != nil {
			t.Fatal(err)
		}
		n.await(t, "what was advanced", func() bool { return n.beat.Applied.At(1) == p })
	}
}
