package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// delivers fails unless an author's next posts are new to so many timelines.
func (n *network) delivers(author freshet.ID, posts int, want int64) {
	n.t.Helper()
	before := n.Stats().Delivered
	n.publishAll(author, posts)
	if got := n.Stats().Delivered - before; got != want {
		n.t.Errorf("%d posts of %s were delivered %d times, want %d", posts, author, got, want)
	}
}

// The timeline's slot has another's timeline now, who does not follow alice.
func TestASlotThatChangedHandsGetsNothing(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 10})
	n.check(reader)
	n.Void(reader)
	n.check(carol)
	n.delivers(alice, 1, 0)
	n.check(carol)
}

// Everything was dropped, so that slots are counted from the first again.
func TestAnAudienceEndsWithItsGeneration(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 10})
	n.check(reader)
	n.VoidAll()
	n.check(carol)
	n.delivers(alice, 1, 0)
	n.check(alice)
	n.delivers(alice, 1, 1) // to her own timeline
}

// Who has gone is left out of an audience once posts have come for nobody.
func TestAnAudienceIsMadeAnewAfterDeliveriesInVain(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	readers := n.crowd(alice, 8)
	for _, r := range readers {
		n.check(r)
	}
	n.Void(readers...)
	n.delivers(alice, 1, 0)
	if size := n.Stats().Audience; size != len(readers) {
		t.Errorf("audiences have %d entries, want those %d of everybody in their own", size, len(readers))
	}
}

// The reader follows carol after the page has asked whom, and before it opens a timeline.
func TestFollowBeforeBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.relations = func(r *freshet.Relations) *freshet.Relations {
		n.relations = nil
		n.Follow(reader, carol)
		n.Void(reader)
		return r
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.delivers(carol, 1, 1)
	n.fromMemory(reader)
}

// A timeline that is written 16 times over without being read is dropped.
func TestATimelineThatNobodyReadsIsDropped(t *testing.T) {
	n := newNetwork(t, memory.Options{Length: 3})
	n.check(reader)
	n.publishAll(alice, 40)
	n.page(feed.Query{Reader: reader, Limit: 1})
	n.publishAll(alice, 47)
	if held := n.Stats().Timelines; held != 1 {
		t.Errorf("%d timelines are kept after 47 deliveries since the last read, want 1", held)
	}
	n.publishAll(alice, 1)
	if held := n.Stats().Timelines; held != 0 {
		t.Errorf("%d timelines are kept after 48 deliveries since the last read, want none", held)
	}
	n.check(reader)
}

// Two followers and the author are as many as the threshold: the followers merge her from now on.
func TestAFanOutToManyEndsDeliveries(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 3})
	readers := n.crowd(carol, 2)
	for _, r := range readers {
		n.check(r)
	}
	n.delivers(carol, 1, 2)
	n.check(carol)
	n.delivers(carol, 3, 3) // to her own timeline
	for _, r := range append(readers, carol) {
		n.check(r)
		n.fromMemory(r)
	}
}

// The build has entered audiences, and then its timeline is dropped.
func TestADroppedBuildGetsNothing(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() {
		n.Void(reader)
		n.delivers(alice, 1, 0)
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.check(reader)
}
