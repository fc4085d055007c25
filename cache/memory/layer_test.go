package memory_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/position"
)

func Example() {
	ctx := context.Background()
	layer := memory.New(memory.Options{})
	defer layer.Close()

	lease := cache.ID{1}
	answers := make([]cache.LeaseAnswer, 1)
	if err := layer.Lease(ctx, []cache.LeaseAsk{{Key: "user:42", Lease: lease, TTL: time.Second}}, answers); err != nil {
		fmt.Println(err)
		return
	}
	if err := layer.Fence(ctx, []cache.Fence{{Key: "user:42", TTL: time.Minute}}); err != nil {
		fmt.Println(err)
		return
	}
	filled := make([]bool, 1)
	err := layer.Fill(ctx, []cache.Fill{{Key: "user:42", Lease: lease, Value: []byte("read before the fence"), TTL: time.Minute}}, filled)
	fmt.Println(answers[0].Granted, filled[0], err)
	// Output: true false <nil>
}

// node is one of several on a layer, which outlives each.
type node struct{ *memory.Layer }

func (node) Close() error { return nil }

func TestRemote(t *testing.T) {
	layer := memory.New(memory.Options{})
	defer layer.Close()
	cachetest.Remote(t, func(*testing.T) cache.Remote { return node{layer} }, cachetest.Options{})
}

func TestChannel(t *testing.T) {
	const trust = 200 * time.Millisecond
	layer := memory.New(memory.Options{Beat: 10 * time.Millisecond, Trust: trust})
	defer layer.Close()
	cachetest.Channel(t, func(*testing.T) cachetest.Node {
		return cachetest.Node{Remote: node{layer}, Channel: layer, Trust: trust}
	})
}

func lease(t *testing.T, l *memory.Layer, key string, id byte, ttl time.Duration) cache.LeaseAnswer {
	t.Helper()
	out := make([]cache.LeaseAnswer, 1)
	if err := l.Lease(t.Context(), []cache.LeaseAsk{{Key: key, Lease: cache.ID{id}, TTL: ttl}}, out); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func fill(t *testing.T, l *memory.Layer, key string, id byte, size int) bool {
	t.Helper()
	out := make([]bool, 1)
	if err := l.Fill(t.Context(), []cache.Fill{{Key: key, Lease: cache.ID{id}, Value: make([]byte, size), TTL: time.Hour}}, out); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func fence(t *testing.T, l *memory.Layer, key string, offset uint64) {
	t.Helper()
	at := position.Position{System: 1, Offset: offset}
	if err := l.Fence(t.Context(), []cache.Fence{{Key: key, At: at, TTL: time.Minute}}); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, l *memory.Layer, key string) cache.State {
	t.Helper()
	out := make([]cache.Record, 1)
	if err := l.Get(t.Context(), []string{key}, out); err != nil {
		t.Fatal(err)
	}
	return out[0].State
}

func TestTimeIsTheClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{})
		defer l.Close()
		lease(t, l, "k", 1, time.Second)
		time.Sleep(time.Second - time.Nanosecond)
		if got := state(t, l, "k"); got != cache.Leased {
			t.Errorf("just before its end a lease is %v", got)
		}
		time.Sleep(time.Nanosecond)
		if got := state(t, l, "k"); got != cache.Absent {
			t.Errorf("at its end a lease is %v", got)
		}
		fence(t, l, "k", 9)
		time.Sleep(time.Minute - time.Nanosecond)
		if got := lease(t, l, "k", 2, time.Hour).Fence.Offset; got != 9 {
			t.Errorf("just before its end the fence is at %d", got)
		}
		time.Sleep(time.Nanosecond)
		if got := lease(t, l, "k", 3, time.Hour).Fence.Offset; got != 0 {
			t.Errorf("at its end the fence is at %d", got)
		}
	})
}

// told keeps the latest generation.
type told struct {
	generation atomic.Value
	lost       atomic.Int32
	hangs      chan struct{} // Forget waits for it
}

func (n *told) Forget(...string)                { <-n.hangs }
func (n *told) TagFenced(string, uint64)        {}
func (n *told) Alive(_ time.Time, b cache.Beat) { n.generation.Store(b.Generation) }
func (n *told) Lost()                           { n.lost.Add(1) }

// listen starts a listener in a bubble and returns after its first beat.
func listen(t *testing.T, l *memory.Layer) *told {
	n := &told{hangs: make(chan struct{})}
	go func() { _ = l.Listen(t.Context(), n) }()
	synctest.Wait()
	return n
}

// settle lets time pass, and all be done that is due by then.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestEvictionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{MaxBytes: 100_000})
		defer l.Close()
		const n = 1_000
		kept := 0
		for i := range n {
			lease(t, l, fmt.Sprint(i), 1, time.Hour)
			fill(t, l, fmt.Sprint(i), 1, 1_000)
		}
		for i := range n {
			if state(t, l, fmt.Sprint(i)) == cache.Filled {
				kept++
			}
		}
		if kept < 50 || kept > 100 {
			t.Errorf("of 1,000 values of 1,000 bytes %d are kept in 100,000", kept)
		}
		lease(t, l, "large", 1, time.Hour)
		if fill(t, l, "large", 1, 100_000) || state(t, l, "large") != cache.Absent {
			t.Error("a value larger than the layer was stored")
		}
	})
}

// TestEvictedValueLeavesItsFence: the next to load has to read as late as the last.
func TestEvictedValueLeavesItsFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{MaxBytes: 10_000})
		defer l.Close()
		n := listen(t, l)
		close(n.hangs)
		before := n.generation.Load()
		fence(t, l, "k", 9)
		lease(t, l, "k", 1, time.Hour)
		fill(t, l, "k", 1, 1_000)
		for i := range 20 {
			lease(t, l, fmt.Sprint(i), 1, time.Hour)
			fill(t, l, fmt.Sprint(i), 1, 1_000)
		}
		if got := lease(t, l, "k", 2, time.Hour); !got.Granted || got.Fence.Offset != 9 {
			t.Errorf("after the eviction of its value a key is leased with %+v", got)
		}
		settle(time.Second)
		if n.generation.Load() != before {
			t.Error("the eviction of values changed the generation")
		}
	})
}

func TestEvictedTombstoneChangesTheGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{MaxBytes: 10_000})
		defer l.Close()
		n := listen(t, l)
		close(n.hangs)
		before := n.generation.Load()
		for i := range 100 {
			fence(t, l, fmt.Sprint(i), 9)
		}
		settle(time.Second)
		if n.generation.Load() == before {
			t.Error("tombstones were evicted, and the generation is the same")
		}
		after := n.generation.Load()
		time.Sleep(time.Hour)
		for i := range 20 { // in the place of those that have ended
			fence(t, l, fmt.Sprint("later", i), 9)
		}
		settle(time.Second)
		if n.generation.Load() != after {
			t.Error("tombstones that had ended changed the generation")
		}
	})
}

func TestAListenerThatFallsBehindIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{})
		n := listen(t, l)
		fence(t, l, "k", 1)
		synctest.Wait() // it hangs in Forget
		for range 1<<16 + 1 {
			fence(t, l, "k", 1)
		}
		close(n.hangs)
		settle(time.Second)
		if n.lost.Load() != 2 { // once when it came
			t.Errorf("it was told Lost %d times, want 2", n.lost.Load())
		}
		l.Close()
		synctest.Wait()
		if n.lost.Load() != 3 {
			t.Error("the end of the layer was not told as Lost")
		}
	})
}

// TestAdvanceDoesNotWaitForTheHeartbeat has a heartbeat that does not come.
func TestAdvanceDoesNotWaitForTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New(memory.Options{Beat: time.Hour, Trust: 2 * time.Hour})
		heard := make(applied, 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(ctx, heard) }()
		<-heard // the first Alive
		want := position.Token{{System: 1, Timeline: 1, Offset: 7}}
		began := time.Now()
		if err := l.Advance(ctx, want); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; !slices.Equal(got, want) || time.Since(began) > 0 {
			t.Errorf("%v is told %v after Advance, want %v at once", got, time.Since(began), want)
		}
		stop()
		<-ended
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// applied is told how far changes were fenced.
type applied chan position.Token

func (applied) Forget(...string)                     {}
func (applied) TagFenced(string, uint64)             {}
func (a applied) Alive(_ time.Time, beat cache.Beat) { a <- beat.Applied }
func (applied) Lost()                                {}
