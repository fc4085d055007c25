package httpchannel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/httpchannel"
)

const boardKey = "!httpchannel:board"

// TestAPeerThatDoesNotAnswer: whoever beats may write fences, so whoever can't ask it trusts nothing; nothing is lost of what it
// wrote meanwhile.
func TestAPeerThatDoesNotAnswer(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b, c := f.join("a"), f.join("b"), f.join("c")
		f.trusting(a, b, c)
		lost := a.told().lost
		f.cutOff("a", "c")
		c.mustFence("k")
		time.Sleep(trust)
		for end := time.Now().Add(20 * trust); time.Now().Before(end); time.Sleep(trust / 10) {
			if a.told().trusts {
				t.Fatal("a trusts its memory while c, which may write fences, does not answer")
			}
			if !b.told().trusts {
				t.Fatal("b does not trust its memory, though all answer")
			}
		}
		f.heal()
		f.trusting(a)
		if !a.forgot("k") || a.told().lost != lost {
			t.Errorf("when c answers again: told of its fence %t, Lost %d times; want its fence and nothing lost", a.forgot("k"), a.told().lost-lost)
		}
	})
}

// TestAPeerThatCrashes is off the board in the end, and what it may have written last is taken for lost.
func TestAPeerThatCrashes(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b, c := f.join("a"), f.join("b"), f.join("c")
		f.trusting(a, b, c)
		lost := []int{a.told().lost, b.told().lost}
		c.crash()
		f.await("a to notice", func() bool { return !a.told().trusts })
		took := f.trusting(a, b)
		if took > 6*trust {
			t.Errorf("trust is back after %v", took)
		}
		if a.told().lost == lost[0] || b.told().lost == lost[1] {
			t.Error("nobody was told that fences of c may be lost")
		}
		if err := c.fence("k", trust/10); err == nil {
			t.Error("c, which is off the board, wrote a fence")
		}
	})
}

// TestANodeInAnothersPlace: another process answers at the address of one that was killed.
func TestANodeInAnothersPlace(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b := f.join("a"), f.join("b")
		f.trusting(a, b)
		lost := a.told().lost
		b.crash()
		f.mu.Lock()
		clear(f.cut)
		f.mu.Unlock()
		again := f.join("b")
		f.await("a to notice", func() bool { return a.told().lost > lost })
		f.trusting(a, again)
		again.mustFence("k")
		f.await("the fence of the new one", func() bool { return a.forgot("k") })
		b.close()
	})
}

// TestTwoNodesWithOneURL: the one that came first says so, and writes nothing.
func TestTwoNodesWithOneURL(t *testing.T) {
	inFleet(t, func(f *fleet) {
		first := f.join("a")
		f.trusting(first)
		second := f.join("a")
		f.trusting(second)
		time.Sleep(3 * trust)
		if said := fmt.Sprint(first.told().broken); !strings.Contains(said, "another node has URL http://a/") {
			t.Errorf("the first was told %s", said)
		}
		if first.fence("k", trust) == nil || first.told().trusts {
			t.Error("the first still writes fences, or trusts its memory")
		}
		second.mustFence("k")
		first.close()
	})
}

// TestANodeThatLeaves costs nobody a moment of trust.
func TestANodeThatLeaves(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b, c := f.join("a"), f.join("b"), f.join("c")
		f.trusting(a, b, c)
		lost := a.told().lost
		c.mustFence("last")
		c.close()
		if err := c.fence("later", trust); !errors.Is(err, httpchannel.ErrClosed) {
			t.Errorf("a fence after Close: %v", err)
		}
		f.mu.Lock()
		delete(f.hosts, "c")
		f.mu.Unlock()
		for end := time.Now().Add(5 * trust); time.Now().Before(end); time.Sleep(trust / 20) {
			if s := a.told(); !s.trusts || s.lost != lost || !a.forgot("last") {
				t.Fatalf("after c has left: trusts %t, Lost %d times, its last fence told %t", s.trusts, s.lost-lost, a.forgot("last"))
			}
		}
	})
}

// TestANodeThatCannotReadTheBoard must not write fences any more: the others may cease to ask it.
func TestANodeThatCannotReadTheBoard(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b := f.join("a"), f.join("b")
		f.trusting(a, b)
		b.mustFence("before")
		lost := b.told().lost
		b.way.set(func(key string) bool { return key == boardKey }, false)
		time.Sleep(trust + trust/4)
		if err := b.fence("k", trust/10); !errors.Is(err, httpchannel.ErrLapsed) {
			t.Errorf("a fence by a node that has not read the board for %v: %v, want %v", trust, err, httpchannel.ErrLapsed)
		}
		ctx, cancel := context.WithTimeout(f.Context(), trust/10)
		defer cancel()
		if _, err := b.FenceTags(ctx, []string{"t"}); !errors.Is(err, httpchannel.ErrLapsed) {
			t.Errorf("it draws epochs all the same: %v", err)
		}
		if s := b.told(); s.trusts || s.lost == lost {
			t.Error("it trusts its memory, or was not told that tags may be lost")
		}
		f.heal()
		b.mustFence("after")
		f.await("the fence", func() bool { return a.forgot("after") })
	})
}

// TestANodeThatJoins writes no fence before all others know it, or can't trust their memory.
func TestANodeThatJoins(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b := f.join("a"), f.join("b")
		f.trusting(a, b)

		began := time.Now()
		c := f.join("c")
		c.mustFence("k")
		if took := time.Since(began); took > trust/10 {
			t.Errorf("a fence of a node that all others know took %v", took)
		}
		if err := c.Confirm(f.Context()); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{a, b} {
			if n.told().trusts && !n.forgot("k") {
				t.Errorf("confirmed, and %s trusts its memory without having been told", n.host)
			}
		}

		f.cutOff("d", "a")
		began = time.Now()
		d := f.join("d")
		d.mustFence("l")
		if took := time.Since(began); took < trust {
			t.Errorf("a fence of a node that a does not know took %v, and a may trust its memory for %v", took, trust)
		}
		if a.told().trusts && !a.forgot("l") {
			t.Error("a trusts its memory and was not told")
		}
	})
}

// TestALostBoard: another generation, which nobody uses while others may still go by the one before, and higher epochs.
func TestALostBoard(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b := f.join("a"), f.join("b")
		f.trusting(a, b)
		var last uint64
		for range 5 {
			epoch, err := a.FenceTags(f.Context(), []string{"t"})
			if err != nil {
				t.Fatal(err)
			}
			last = epoch
		}
		f.await("the epoch", func() bool { return b.told().beat.Epoch == last })
		before, lost := b.told().beat.Generation, b.told().lost
		began := time.Now()
		if err := f.layer.Fence(f.Context(), []cache.Fence{{Key: boardKey, TTL: time.Millisecond}}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{a, b} {
			f.await("another generation", func() bool { return n.told().beat.Generation != before })
		}
		if took := time.Since(began); took < trust {
			t.Errorf("the new generation is used after %v; others may go by the old one for %v", took, trust)
		}
		f.trusting(a, b)
		if x, y := a.told().beat.Generation, b.told().beat.Generation; x != y {
			t.Errorf("two nodes are told %s and %s", x, y)
		}
		if b.told().lost == lost {
			t.Error("another generation without Lost")
		}
		if epoch, err := b.FenceTags(f.Context(), []string{"t"}); err != nil || epoch <= last {
			t.Errorf("epoch %d, %v after %d of the generation before", epoch, err, last)
		}
	})
}

// TestEpochsAreDrawnInOneOrder by all nodes at the same time.
func TestEpochsAreDrawnInOneOrder(t *testing.T) {
	inFleet(t, func(f *fleet) {
		nodes := []*node{f.join("a"), f.join("b"), f.join("c")}
		f.trusting(nodes...)
		var mu sync.Mutex
		drawn := make(map[uint64]string)
		var all sync.WaitGroup
		for _, n := range nodes {
			n.way.slow(time.Millisecond)
			all.Go(func() {
				var last uint64
				for i := range 20 {
					tag := fmt.Sprint(n.host, i)
					epoch, err := n.FenceTags(f.Context(), []string{tag})
					mu.Lock()
					if other, twice := drawn[epoch]; err != nil || twice || epoch <= last {
						t.Errorf("epoch %d of %s, %v: after %d, and drawn for %q as well", epoch, tag, err, last, other)
					}
					drawn[epoch], last = tag, epoch
					mu.Unlock()
				}
			})
		}
		all.Wait()
		f.await("the last epoch", func() bool { return nodes[0].told().beat.Epoch == uint64(len(drawn)) })
		for epoch, tag := range drawn {
			nodes[0].mu.Lock()
			if nodes[0].tags[tag] != epoch {
				t.Errorf("tag %s was told with epoch %d, want %d", tag, nodes[0].tags[tag], epoch)
			}
			nodes[0].mu.Unlock()
		}
	})
}

// TestMoreTagsThanTheBoardHas: what it does not name is below the horizon.
func TestMoreTagsThanTheBoardHas(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a := f.join("a")
		f.trusting(a)
		var tags []string
		for i := range 900 {
			tags = append(tags, fmt.Sprint(i))
		}
		for range 3 {
			if _, err := a.FenceTags(f.Context(), tags); err != nil {
				t.Fatal(err)
			}
		}
		f.await("the epochs", func() bool { return a.told().beat.Epoch == 3 })
		if h := a.told().beat.Horizon; h != 0 && h != 2 {
			t.Errorf("a node that was told of all knows a horizon of %d", h)
		}
		b := f.join("b")
		f.trusting(b)
		if s := b.told(); s.beat.Horizon != 2 || s.beat.Epoch != 3 || b.tags["7"] != 3 {
			t.Errorf("a node that joins is told horizon %d and epoch %d, and of a tag %d; want 2, 3, 3", s.beat.Horizon, s.beat.Epoch, b.tags["7"])
		}
	})
}

// TestAFollowerThatFellBehind is told that it has.
func TestAFollowerThatFellBehind(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b := f.join("a"), f.join("b")
		f.trusting(a, b)
		for _, keys := range [][]string{many(1<<16 + 10), {strings.Repeat("k", 1<<16+1)}} {
			lost := a.told().lost
			f.cutOff("a", "b")
			fences := make([]cache.Fence, len(keys))
			for i, key := range keys {
				fences[i] = cache.Fence{Key: key, TTL: time.Minute}
			}
			if err := b.Fence(f.Context(), fences); err != nil {
				t.Fatal(err)
			}
			time.Sleep(trust / 2)
			f.heal()
			f.await("Lost", func() bool { return a.told().lost > lost })
			f.trusting(a, b)
		}
	})
}

func many(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	return keys
}

// TestConfirm returns at once when all have been told, whoever wrote, and when trust has run out where one does not answer.
func TestConfirm(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a, b, c := f.join("a"), f.join("b"), f.join("c")
		f.trusting(a, b, c)
		a.mustFence("k")
		began := time.Now()
		if err := b.Confirm(f.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > trust/10 {
			t.Errorf("a confirmation took %v", took)
		}
		if !c.forgot("k") || !b.forgot("k") {
			t.Error("b confirmed what a has fenced, and not all were told")
		}

		f.cutOff("a", "c")
		a.mustFence("l")
		for _, n := range []*node{b, a} {
			if err := n.Confirm(f.Context()); err != nil {
				t.Fatal(err)
			}
			if c.told().trusts && !c.forgot("l") {
				t.Errorf("%s confirmed while c trusts its memory and was not told", n.host)
			}
		}
		ctx, cancel := context.WithTimeout(f.Context(), trust/10)
		defer cancel()
		if err := c.Confirm(ctx); err == nil {
			t.Error("confirmed without an answer of a, before trust has run out")
		}
	})
}

// TestAnotherSecret: such a node can neither read the board nor ask anybody, and the others do not notice.
func TestAnotherSecret(t *testing.T) {
	inFleet(t, func(f *fleet) {
		a := f.join("a")
		f.trusting(a)
		x := f.start("x", "a secret of some other length")
		time.Sleep(2 * trust)
		if s := x.told(); len(s.broken) != 1 || !errors.Is(s.broken[0], httpchannel.ErrSecret) {
			t.Errorf("it was told %v, want %v", s.broken, httpchannel.ErrSecret)
		}
		if x.fence("k", trust) == nil {
			t.Error("it wrote a fence")
		}
		if !a.told().trusts {
			t.Error("the node with the right secret does not trust its memory")
		}
	})
}
