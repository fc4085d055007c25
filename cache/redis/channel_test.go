package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// node listens, and remembers what it was told.
type node struct {
	mu     sync.Mutex
	keys   map[string]bool
	tags   map[string]uint64
	beat   cache.Beat
	sent   time.Time
	alive  bool
	alives int
	lost   int
}

func (n *node) Forget(keys ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range keys {
		n.keys[k] = true
	}
}

func (n *node) TagFenced(tag string, epoch uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tags[tag] = epoch
}

func (n *node) Alive(sent time.Time, beat cache.Beat) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive, n.sent, n.beat = true, sent, beat
	n.alives++
}

func (n *node) Lost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive = false
	n.lost++
}

// listen has a node listen to r, and waits for its first Alive.
func listen(t *testing.T, r *redis.Remote) *node {
	t.Helper()
	n := &node{keys: map[string]bool{}, tags: map[string]uint64{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Listen(ctx, n)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	n.await(t, "the first Alive", func() bool { return n.alive })
	return n
}

func (n *node) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		n.mu.Lock()
		done := ok()
		n.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// again waits for an Alive that was sent from now on, and returns its beat.
func (n *node) again(t *testing.T) cache.Beat {
	t.Helper()
	now := time.Now()
	n.await(t, "another Alive", func() bool { return n.alive && n.sent.After(now) })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.beat
}

func fence(t *testing.T, r *redis.Remote, keys ...string) {
	t.Helper()
	fences := make([]cache.Fence, len(keys))
	for i, k := range keys {
		fences[i] = cache.Fence{Key: k, TTL: time.Minute}
	}
	if err := r.Fence(t.Context(), fences); err != nil {
		t.Fatal(err)
	}
}

func TestARestartChangesTheGeneration(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always") // also where nothing seems to be lost
	n := listen(t, open(t, redis.Options{URL: "redis://" + server.Addr}))
	before := n.again(t).Generation
	server.Kill()
	n.await(t, "Lost", func() bool { return n.lost > 0 })
	server.Restart()
	if after := n.again(t).Generation; after == before {
		t.Error("the generation is the same after a restart")
	}
}

func TestARestartOfOneMasterChangesTheGeneration(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	n := listen(t, open(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true}))
	for i := range testenv.Size(1, 1, 3) { // a cluster takes seconds to be whole again
		before := n.again(t).Generation
		cluster.Masters[i].Restart()
		n.await(t, "another generation", func() bool { return n.alive && n.beat.Generation != before })
	}
}

func TestACutKeepsTheGeneration(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	n := listen(t, open(t, redis.Options{URL: "redis://" + relay.Addr}))
	other := listen(t, open(t, redis.Options{URL: "redis://" + server.Addr}))
	before := other.again(t).Generation
	relay.Cut()
	n.await(t, "Lost", func() bool { return n.lost > 0 })
	if after := n.again(t).Generation; after != before {
		t.Error("a cut changed the generation of the node that was cut off")
	}
	if after := other.again(t).Generation; after != before {
		t.Error("a cut changed the generation of another node")
	}
}

func TestAFlushChangesTheGeneration(t *testing.T) {
	server := testenv.StartRedis(t)
	n := listen(t, open(t, redis.Options{URL: "redis://" + server.Addr}))
	other := listen(t, open(t, redis.Options{URL: "redis://" + server.Addr}))
	before := n.again(t).Generation
	tell(t, raw(t, server.Addr), "FLUSHALL")
	for _, n := range []*node{n, other} {
		n.await(t, "Lost", func() bool { return n.lost > 0 })
		n.await(t, "another generation", func() bool { return n.alive && n.beat.Generation != before })
	}
	if a, b := n.again(t).Generation, other.again(t).Generation; a != b {
		t.Errorf("after a flush two nodes are told %s and %s", a, b)
	}
}

func TestAFlushOfAnyMasterChangesTheGeneration(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	n := listen(t, open(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true}))
	for _, addr := range cluster.Addrs() {
		before := n.again(t).Generation
		tell(t, raw(t, addr), "FLUSHALL")
		n.await(t, "another generation", func() bool { return n.alive && n.beat.Generation != before })
	}
}

// TestAnEpochThatVanishes: an evicted counter must not draw epochs again that nodes know already.
func TestAnEpochThatVanishes(t *testing.T) {
	server := testenv.StartRedis(t)
	r := open(t, redis.Options{URL: "redis://" + server.Addr})
	n := listen(t, r)
	last, err := r.FenceTags(t.Context(), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	n.await(t, "the epoch", func() bool { return n.beat.Epoch == last })
	before := n.again(t).Generation
	tell(t, raw(t, server.Addr), "DEL", "f:{tags}meta")
	n.await(t, "another generation", func() bool { return n.beat.Generation != before })
	if next, err := r.FenceTags(t.Context(), []string{"b"}); err != nil || next <= last {
		t.Errorf("after the counter has vanished epoch %d follows %d, %v", next, last, err)
	}
}

// TestAPausedConnection: nothing proves that what is in the connection was told, until it is.
func TestAPausedConnection(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	n := listen(t, open(t, redis.Options{URL: "redis://" + relay.Addr}))
	direct := open(t, redis.Options{URL: "redis://" + server.Addr})
	relay.Pause()
	paused := time.Now()
	fence(t, direct, "k")
	if err := direct.Confirm(t.Context()); err != nil {
		t.Error(err)
	}
	n.mu.Lock()
	if trusted := time.Since(n.sent); n.alive && trusted < redis.DefaultTrust {
		t.Errorf("confirmed while a paused node trusts its memory, %v after its last probe", trusted)
	}
	if n.keys["k"] || n.sent.After(paused) {
		t.Error("something came through a paused relay")
	}
	lost := n.lost
	n.mu.Unlock()
	relay.Resume()
	n.again(t)
	n.await(t, "the fence", func() bool { return n.keys["k"] || n.lost > lost })
}

// TestAHangingServer: whatever hangs, calls return with their context.
func TestAHangingServer(t *testing.T) {
	server := testenv.StartRedis(t)
	r := open(t, redis.Options{URL: "redis://" + server.Addr})
	server.Pause()
	defer server.Resume()
	for name, call := range map[string]func(context.Context) error{
		"get one":   func(ctx context.Context) error { return r.Get(ctx, []string{"k"}, make([]cache.Record, 1)) },
		"get two":   func(ctx context.Context) error { return r.Get(ctx, []string{"k", "l"}, make([]cache.Record, 2)) },
		"fence":     func(ctx context.Context) error { return r.Fence(ctx, []cache.Fence{{Key: "k"}}) },
		"beat":      func(ctx context.Context) error { return r.Beat(ctx, cache.ID{1}, time.Second) },
		"confirm":   r.Confirm,
		"tag fence": func(ctx context.Context) error { _, err := r.FenceTags(ctx, []string{"t"}); return err },
	} {
		// With a far deadline that is not waited for: what ends the call is that it was cancelled.
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(10*time.Millisecond, cancel)
		returned := make(chan error, 1)
		go func() { returned <- call(ctx) }()
		select {
		case err := <-returned:
			if err == nil {
				t.Errorf("%s: a server that hangs has answered", name)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s does not return with its context", name)
		}
		cancel()
	}
}

func TestTheLogIsBounded(t *testing.T) {
	server := testenv.StartRedis(t)
	r := open(t, redis.Options{URL: "redis://" + server.Addr})
	const batch, batches = 1_000, 12
	var epochs []uint64
	for i := range batches {
		tags := make([]string, batch)
		for j := range tags {
			tags[j] = fmt.Sprint(i, "/", j)
		}
		epoch, err := r.FenceTags(t.Context(), tags)
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, epoch)
	}
	n := listen(t, r)
	beat := n.again(t)
	if want := epochs[batches-10-1]; beat.Horizon != want || beat.Epoch != epochs[batches-1] {
		t.Errorf("the beat bears epoch %d and horizon %d, want %d and %d", beat.Epoch, beat.Horizon, epochs[batches-1], want)
	}
	if len(n.tags) != 10_000 {
		t.Errorf("a joining node is told %d tags, want 10,000", len(n.tags))
	}
	for i, epoch := range epochs {
		told, known := n.tags[fmt.Sprint(i, "/", 0)]
		if known != (epoch > beat.Horizon) || known && told != epoch {
			t.Errorf("the tag of epoch %d is told as %d, %v; horizon %d", epoch, told, known, beat.Horizon)
		}
	}
}

// TestANewMaster: slots may move to it at any moment, so that nothing is trusted until its fences are told as well.
func TestANewMaster(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	r := open(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true})
	n := listen(t, r)
	fourth := testenv.StartRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
	host, port, _ := strings.Cut(fourth.Addr, ":")
	tell(t, raw(t, cluster.Masters[0].Addr), "CLUSTER", "MEET", host, port)
	n.await(t, "Lost", func() bool { return n.lost > 0 })
	n.again(t)
	c := raw(t, fourth.Addr)
	for deadline := time.Now().Add(20 * time.Second); len(tracked(t, c)) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no node listens to the new master")
		}
	}
}

func TestForgottenScripts(t *testing.T) {
	server := testenv.StartRedis(t)
	r := open(t, redis.Options{URL: "redis://" + server.Addr})
	n := listen(t, r)
	for range 3 {
		tell(t, raw(t, server.Addr), "SCRIPT", "FLUSH")
		fence(t, r, "a", "b", "c")
		n.again(t)
		if err := r.Confirm(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n.lost > 0 {
		t.Errorf("the channel was lost %d times", n.lost)
	}
}

func TestClosedWhileListening(t *testing.T) {
	server := testenv.StartRedis(t)
	r := open(t, redis.Options{URL: "redis://" + server.Addr})
	n := &node{keys: map[string]bool{}, tags: map[string]uint64{}}
	ended := make(chan error, 1)
	go func() { ended <- r.Listen(t.Context(), n) }()
	n.await(t, "the first Alive", func() bool { return n.alive })
	r.Close()
	select {
	case err := <-ended:
		if err != redis.ErrClosed {
			t.Errorf("Listen returned %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Listen goes on after Close")
	}
}
