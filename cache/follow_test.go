package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/position"
)

// A fed is a stack that follows a feed, over a source that others change behind its back.
type fed struct {
	*testing.T
	stack  *cache.Stack
	source *source
	rows   *cache.Cache[int, int]
}

func newFed(t *testing.T, options cache.Options) *fed {
	t.Helper()
	options.Feed = true
	f := &fed{T: t, stack: newStack(t, options), source: newSource(map[int]int{1: 1})}
	f.rows = cache.Define(f.stack, cache.Space[int, int]{
		Name: "row", Policy: cache.Policy{TTL: time.Hour, HardTimeout: time.Minute}, LoadMany: f.source.LoadMany,
	})
	return f
}

// read reads row 1 twice, and reports how often the source was asked.
func (f *fed) read(want int) (n int) {
	f.Helper()
	before := f.count()
	wantGet(f.T, f.rows, 1, want)
	wantGet(f.T, f.rows, 1, want)
	return f.count() - before
}

func (f *fed) count() int { return len(f.source.loads()) }

func (f *fed) expect(what string, want, loads int) {
	f.Helper()
	if got := f.read(want); got != loads {
		f.Errorf("%s: two reads make %d loads, want %d", what, got, loads)
	}
}

func (f *fed) followed(sent time.Time, offset uint64) { f.stack.Followed(sent, at(offset)) }

func at(offset uint64) position.Token {
	return position.Token{{System: 1, Timeline: 1, Offset: offset}}
}

func TestMemoryIsTrustedFromTheHeadOfTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFed(t, cache.Options{})
		f.expect("at the start", 1, 2)
		f.source.set(1, 2) // which no feed tells, as it was not followed yet
		f.followed(time.Now(), 1)
		f.expect("at the head", 2, 1)
		f.expect("and from then on", 2, 0)

		time.Sleep(900 * time.Millisecond)
		f.expect("within MaxStale", 2, 0)
		time.Sleep(100 * time.Millisecond)
		f.expect("MaxStale after the last question", 2, 2)
		if f.stack.Health().Trusted {
			t.Error("a node whose feed stalls says that it trusts its memory")
		}

		f.source.set(1, 3)
		if err := f.rows.Invalidate(t.Context(), 1); err != nil { // the consumer goes on
			t.Fatal(err)
		}
		f.expect("before the head is reached again", 3, 2)
		f.followed(time.Now(), 2)
		f.expect("what was read meanwhile, once it is", 3, 0)

		asked := time.Now()
		time.Sleep(600 * time.Millisecond)
		f.followed(asked, 2)
		time.Sleep(400 * time.Millisecond)
		f.expect("trust counts from the question", 3, 2)
	})
}

func TestMemoryOfALostFeedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFed(t, cache.Options{})
		f.followed(time.Now(), 1)
		f.expect("followed", 1, 1)
		before := time.Now()
		time.Sleep(time.Millisecond)
		f.stack.FeedLost()
		f.expect("lost", 1, 2)
		f.source.set(1, 2) // which is lost too
		f.followed(before, 2)
		if f.stack.Health().Trusted {
			t.Error("an answer from before the loss is trusted")
		}
		f.followed(time.Now(), 2)
		f.expect("followed again", 2, 1)
	})
}

func TestFeedAnswersTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFed(t, cache.Options{})
		f.followed(time.Now(), 1)
		f.expect("followed", 1, 1)
		f.source.set(1, 2) // by another node, at 5
		if v, err := f.rows.Get(cache.At(t.Context(), at(5)), 1); v != 2 || err != nil {
			t.Errorf("who bears the token of a write reads %d, %v", v, err)
		}
		f.followed(time.Now(), 7)
		loads := f.count()
		if v, err := f.rows.Get(cache.At(t.Context(), at(6)), 1); v != 2 || err != nil || f.count() != loads {
			t.Errorf("a token that the feed has reached: %d, %v, after %d loads", v, err, f.count()-loads)
		}
	})
}

// A load that a stalled node began before a change answers nobody who asks when that is confirmed.
func TestLoadsOlderThanTheTrustAreNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFed(t, cache.Options{})
		f.followed(time.Now(), 1)
		defer f.source.holdBack()()
		go func() { _, _ = f.rows.Get(t.Context(), 1) }()
		synctest.Wait()
		if joined := f.asks(); joined != 0 {
			t.Errorf("who asks at once makes %d loads", joined)
		}

		f.source.set(1, 2) // by another node, which confirms it
		other := newFed(t, cache.Options{})
		began := time.Now()
		if err := other.rows.InvalidateConfirmed(t.Context(), 1); err != nil || time.Since(began) < time.Second {
			t.Errorf("confirmed after %v, %v, while another node may be trusting its memory", time.Since(began), err)
		}
		if made := f.asks(); made != 1 {
			t.Errorf("who asks when a change is confirmed makes %d loads", made)
		}
	})
}

// asks begins a read and reports how many loads it made, which are held.
func (f *fed) asks() int {
	before := f.count()
	go func() { _, _ = f.rows.Get(context.Background(), 1) }()
	synctest.Wait()
	return f.count() - before
}

// A layer without a channel is read while the feed is followed, and memory holds what it brings beyond MaxStale.
func TestFeedBesideALayerWithoutChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := memory.New(memory.Options{})
		remote := struct{ cache.Remote }{layer}
		t.Cleanup(func() { layer.Close() })
		a, b := newFed(t, cache.Options{Remote: remote}), newFed(t, cache.Options{Remote: remote})
		follow := func() { a.followed(time.Now(), 1); b.followed(time.Now(), 1) }
		follow()
		a.expect("the first node", 1, 1)
		b.expect("the other one, from the layer", 1, 0)
		for range 8 {
			time.Sleep(250 * time.Millisecond)
			follow()
		}
		a.expect("memory, MaxStale later", 1, 0)
		if hits := a.stack.Stats()[0].RemoteHits; hits != 0 {
			t.Errorf("memory was not trusted: %d reads of the layer", hits)
		}

		b.source.set(1, 2)
		if err := a.rows.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		a.expect("fenced", 1, 1)
		time.Sleep(time.Second)
		b.expect("stalled, past the layer", 2, 2)
		b.followed(time.Now(), 2)
		b.stack.FeedLost()
		b.followed(time.Now(), 2)
		if h := b.stack.Health(); !h.Trusted || h.Usable {
			t.Errorf("after a loss: %+v", h)
		}
		if err := b.rows.InvalidateConfirmed(t.Context(), 1); err != nil {
			t.Errorf("who reads the layer no more can't fence there: %v", err)
		}
	})
}

func TestFeedIsRefusedBesideAChannel(t *testing.T) {
	layer := memory.New(memory.Options{})
	defer layer.Close()
	if stack, err := cache.NewStack(cache.Options{Remote: layer, Feed: true}); err == nil {
		stack.Close()
		t.Error("a stack with two things to trust")
	}
}

// The only node needs no feed to trust its memory, and takes positions from it.
func TestFeedOfTheOnlyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFed(t, cache.Options{OnlyNode: true})
		f.expect("at the start", 1, 1)
		f.followed(time.Now(), 3)
		f.stack.FeedLost()
		time.Sleep(time.Hour / 2)
		f.expect("unfed", 1, 0)
		if v, err := f.rows.Get(cache.At(t.Context(), at(3)), 1); v != 1 || err != nil || f.count() != 1 {
			t.Errorf("a token that was reached: %d, %v, after %d loads", v, err, f.count())
		}
	})
}

// What a node owes to the layer is not told to others as fenced.
func TestAdvanceWaitsForWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := newCutOff(t)
		stack := newStack(t, cache.Options{Remote: layer})
		rows := cache.Define(stack, cache.Space[int, int]{Name: "row", LoadMany: newSource(nil).LoadMany})
		time.Sleep(time.Second)
		layer.down.Store(true)
		if err := rows.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := stack.Advance(t.Context(), at(1)); err == nil {
			t.Error("others are told that a fence is written that is owed")
		}
		layer.down.Store(false)
		time.Sleep(time.Second)
		if err := stack.Advance(t.Context(), at(1)); err != nil {
			t.Error(err)
		}
	})
}
