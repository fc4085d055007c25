package cachetest

import (
	"fmt"
	"testing"

	"github.com/freshet/freshet/cache"
)

func fenceTags(t *testing.T, n Node, tags ...string) uint64 {
	t.Helper()
	epoch, err := n.FenceTags(deadline(t), tags)
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

func tagsAreTold(t *testing.T, open func(*testing.T) Node) {
	a, b := listening(t, open(t)), listening(t, open(t))
	for _, tag := range []string{newID().text(), "{" + newID().text() + "}\x00\r\n", newID().text() + "}"} {
		other := tag + "x"
		epoch := fenceTags(t, a.Node, tag)
		for _, n := range []*listener{a, b} {
			n.await("the tag's epoch", func(s *seen) bool { return s.tags[tag] == epoch })
			n.check(func(s *seen) {
				if _, told := s.tags[other]; told {
					t.Errorf("tag %q was told, and %q fenced", other, tag)
				}
			})
		}
		next := fenceTags(t, b.Node, other, tag)
		for _, n := range []*listener{a, b} {
			n.await("both tags' epoch", func(s *seen) bool { return s.tags[tag] == next && s.tags[other] == next })
		}
	}
}

func epochsRise(t *testing.T, open func(*testing.T) Node) {
	nodes := []Node{open(t), open(t)}
	var last uint64
	for i := range 10 {
		epoch := fenceTags(t, nodes[i%2], "tag")
		if epoch <= last || epoch == cache.Unknown {
			t.Errorf("epoch %d came after %d", epoch, last)
		}
		last = epoch
	}
}

// epochBeforeAlive: no beat bears an epoch whose tag is still to be told.
func epochBeforeAlive(t *testing.T, open func(*testing.T) Node) {
	a, b := open(t), listening(t, open(t))
	prefix := newID().text()
	var last uint64
	b.check(func(*seen) {
		b.atAlive = func(s *seen) {
			for epoch, tag := range s.drawn {
				if epoch <= s.beat.Epoch && epoch > s.beat.Horizon && s.tags[tag] < epoch {
					t.Errorf("a beat bears epoch %d, and the tag of %d has not been told", s.beat.Epoch, epoch)
				}
			}
		}
	})
	for i := range size(50, 500) {
		tag := fmt.Sprint(prefix, i)
		last = fenceTags(t, a, tag)
		b.check(func(s *seen) { s.drawn[last] = tag })
	}
	b.await("a beat with the last epoch", func(s *seen) bool { return s.beat.Epoch >= last })
}

func joiningNode(t *testing.T, open func(*testing.T) Node) {
	a := open(t)
	tags := make([]string, 50)
	epochs := make([]uint64, len(tags))
	prefix := newID().text()
	for i := range tags {
		tags[i] = fmt.Sprint(prefix, i)
		epochs[i] = fenceTags(t, a, tags[i])
	}
	b := listening(t, open(t))
	b.check(func(s *seen) {
		for i, tag := range tags {
			if s.tags[tag] < epochs[i] && s.beat.Horizon < epochs[i] {
				t.Errorf("at its first Alive a node knows tag %d by epoch %d, want %d", i, s.tags[tag], epochs[i])
			}
		}
		if s.beat.Epoch < epochs[len(epochs)-1] {
			t.Errorf("the first beat bears epoch %d, want %d", s.beat.Epoch, epochs[len(epochs)-1])
		}
	})
}
