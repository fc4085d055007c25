package cachetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Node is one node of a layer that has a channel.
type Node struct {
	cache.Remote
	cache.Channel
	// Cut breaks the connections that the channel has; they may be made again at once. Nil where there are none.
	Cut func()
	// Trust is how long after Alive's sent a node trusts its memory: what Confirm waits for at most.
	Trust time.Duration
}

// Channel checks every promise of [cache.Channel]. Each call of open returns another node on one layer; open has it closed
// when t ends.
func Channel(t *testing.T, open func(t *testing.T) Node) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func(*testing.T) Node)
	}{
		{"FencesAreTold", fencesAreTold},
		{"AliveComesAfterWhatWasBefore", aliveComesAfter},
		{"OneGenerationForAll", oneGeneration},
		{"ListenEndsWithItsContext", listenEnds},
		{"LostWhenCut", lostWhenCut},
		{"ConfirmWhenAllWereTold", confirmWhenTold},
		{"ConfirmWaitsForASlowNode", confirmWaits},
		{"ConfirmGivesUpWithTheTrust", confirmGivesUp},
		{"ConfirmWithoutListeners", confirmWithoutListeners},
		{"ConfirmUnderItsContext", confirmUnderContext},
		{"TagsAreTold", tagsAreTold},
		{"EpochsRise", epochsRise},
		{"EpochIsToldBeforeItsAlive", epochBeforeAlive},
		{"JoiningNodeIsToldTheLog", joiningNode},
		{"AppliedIsTold", appliedIsTold},
		{"AppliedDoesNotFall", appliedDoesNotFall},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// fenceKeys fences keys of an own prefix, with leases or without, and returns them.
func fenceKeys(t *testing.T, n Node, count int) []string {
	t.Helper()
	prefix := newID().text()
	fences := make([]cache.Fence, count)
	keys := make([]string, count)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s{/}\x00%d", prefix, i)
		fences[i] = cache.Fence{Key: keys[i], At: at(1, 1, uint64(i)), TTL: long}
		if i%2 == 1 {
			fences[i].Lease, fences[i].Holder = newLease(), newLease()
		}
	}
	if err := n.Fence(deadline(t), fences); err != nil {
		t.Fatal(err)
	}
	return keys
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func fencesAreTold(t *testing.T, open func(*testing.T) Node) {
	a, b := listening(t, open(t)), listening(t, open(t))
	for _, keys := range [][]string{fenceKeys(t, a.Node, 1), fenceKeys(t, b.Node, 100)} {
		a.await("the fences", func(s *seen) bool { return s.forgot(keys...) }) // its own as well: another caller's memory may be meant
		b.await("the fences", func(s *seen) bool { return s.forgot(keys...) })
	}

	// The second fence of a key is told as well as the first, though position and tombstone may be the same.
	key := newID().text()
	for i := range 3 {
		b.reset(key)
		if err := a.Fence(deadline(t), []cache.Fence{{Key: key, At: at(1, 1, 1), TTL: long}}); err != nil {
			t.Fatal(err)
		}
		b.await(fmt.Sprintf("fence %d of one key", i), func(s *seen) bool { return s.forgot(key) })
	}
}

// aliveComesAfter: whatever was fenced before a probe was sent has been told when that probe is.
func aliveComesAfter(t *testing.T, open func(*testing.T) Node) {
	a, b := open(t), listening(t, open(t))
	for range size(3, 10) {
		keys := fenceKeys(t, a, 200)
		after := time.Now()
		b.check(func(*seen) {
			b.atAlive = func(s *seen) {
				if s.sent.After(time.Now()) {
					t.Error("Alive tells of a probe that is yet to be sent")
				}
				if s.sent.After(after) && !s.forgot(keys...) {
					t.Error("Alive came before fences that were written before its probe was sent")
				}
			}
		})
		b.await("Alive", func(s *seen) bool { return s.alive && s.sent.After(after) })
	}
}

func oneGeneration(t *testing.T, open func(*testing.T) Node) {
	a, b := listening(t, open(t)), listening(t, open(t))
	var of [2]string
	for i, n := range []*listener{a, b} {
		n.check(func(s *seen) { of[i] = s.beat.Generation })
	}
	if of[0] == "" || of[0] != of[1] {
		t.Errorf("two nodes of one layer are told the generations %q and %q", of[0], of[1])
	}
	after := time.Now()
	a.await("another Alive", func(s *seen) bool { return s.sent.After(after) })
	a.check(func(s *seen) {
		if s.beat.Generation != of[0] {
			t.Errorf("the generation went from %q to %q by itself", of[0], s.beat.Generation)
		}
	})
}

func listenEnds(t *testing.T, open func(*testing.T) Node) {
	n := listening(t, open(t))
	n.cancel()
	select {
	case err := <-n.ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Listen returned %v, want its context's error", err)
		}
		n.ended <- err
	case <-time.After(within):
		t.Fatal("Listen does not end with its context")
	}
}

func lostWhenCut(t *testing.T, open func(*testing.T) Node) {
	a, b := open(t), listening(t, open(t))
	if b.Cut == nil {
		return // nothing to be cut: the layer is in this process
	}
	for range size(2, 3) {
		before := b.losses()
		b.Cut()
		b.await("Lost", func(s *seen) bool { return s.lost > before })
		keys := fenceKeys(t, a, 10)
		after := time.Now()
		b.await("the channel again", func(s *seen) bool { return s.alive && s.sent.After(after) })
		more := fenceKeys(t, a, 10)
		b.await("fences after the cut", func(s *seen) bool { return s.forgot(more...) })
		_ = keys // between the cut and the new connection: Lost has told of them
	}
}

func appliedIsTold(t *testing.T, open func(*testing.T) Node) {
	a, b := open(t), listening(t, open(t))
	one, two := uint64(newID()[0])<<32|7, uint64(newID()[0])<<32|8
	for i, token := range []position.Token{
		position.Token{}.Raise(at(one, 1, 5)),
		position.Token{}.Raise(at(one, 1, 6)).Raise(at(two, 3, 1<<63)),
		position.Token{}.Raise(at(two, 3, 1<<63+1)),
	} {
		if err := a.Advance(deadline(t), token); err != nil {
			t.Fatal(err)
		}
		b.await(fmt.Sprintf("token %d", i), func(s *seen) bool {
			return slices.Equal(s.beat.Applied.Merge(token), s.beat.Applied)
		})
	}
	b.check(func(s *seen) {
		if s.beat.Applied.At(one) != at(one, 1, 6) {
			t.Errorf("advancing one system took another's position: %v", s.beat.Applied)
		}
	})
}

func appliedDoesNotFall(t *testing.T, open func(*testing.T) Node) {
	a, b := open(t), listening(t, open(t))
	system := uint64(newID()[0])<<32 | 9
	high, marker := at(system, 2, 9), at(system+1<<40, 1, 1)
	for _, p := range []position.Position{high, at(system, 2, 8), at(system, 1, 10), marker} {
		if err := a.Advance(deadline(t), position.Token{p}); err != nil {
			t.Fatal(err)
		}
	}
	b.await("the marker", func(s *seen) bool { return s.beat.Applied.At(marker.System) == marker })
	b.check(func(s *seen) {
		if got := s.beat.Applied.At(system); got != high {
			t.Errorf("applied fell from %v to %v", high, got)
		}
	})
}
