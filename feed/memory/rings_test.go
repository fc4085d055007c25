package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// crowd has users 11 to 10+n follow an author, who thereby becomes one whose posts are merged.
func (n *network) crowd(author freshet.ID, count int) (readers []freshet.ID) {
	for i := range count {
		r := freshet.ID(11 + i)
		n.Follow(r, author)
		readers = append(readers, r)
	}
	return readers
}

func TestALargeAuthorIsMerged(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 3})
	readers := n.crowd(alice, 3)
	n.check(reader)
	n.publishAll(bob, 1)
	n.publishAll(alice, 2)
	n.check(reader)
	if s := n.Stats(); s.Delivered != 1 {
		t.Errorf("%d deliveries, want that of bob's post to the one who reads", s.Delivered)
	}
	n.fromMemory(reader)
	for _, r := range readers {
		n.check(r)
		n.fromMemory(r)
	}
}

// A post that is not fanned out yet is in the ring from Publish on.
func TestARingHasAPostBeforeItsFanOut(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	n.check(reader)
	post := n.publish(alice)
	n.fromMemory(reader)
	n.delete(post.ID)
	n.fromMemory(reader)
}

// A ring is filled while its author posts.
func TestAPostWhileItsRingIsFilled(t *testing.T) {
	for _, mode := range []feed.Mode{feed.Pull, feed.Hybrid} {
		n := newNetwork(t, memory.Options{Mode: mode, Threshold: 1})
		n.afterByAuthor = func() { n.publishAll(alice, 1); n.publishAll(bob, 1) }
		n.page(feed.Query{Reader: reader, Limit: 1})
		n.check(reader)
		n.fromMemory(reader)
	}
}

// Everything is dropped while a ring is filled.
func TestADropWhileARingIsFilled(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	n.afterByAuthor = func() {
		n.Model.Delete(1) // behind the engine's back, as a restore would
		n.VoidAll()
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.check(reader)
}

// An author who has become large is delivered no more; who was reading goes on to see all of the posts.
func TestAnAuthorBecomesLarge(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 4})
	readers := append(n.crowd(alice, 2), reader)
	for _, r := range readers {
		n.check(r)
	}
	n.publishAll(alice, 2) // pushed to three
	late := freshet.ID(20)
	n.Follow(late, alice)
	n.page(feed.Query{Reader: late, Limit: 1}) // merges her: she has four followers
	n.Follow(late+1, alice)
	before := n.Stats().Delivered
	n.publishAll(alice, 3)
	if got := n.Stats().Delivered - before; got != 9 {
		t.Errorf("%d deliveries to those who had her pushed, want 9", got)
	}
	for _, r := range append(readers, late, late+1) {
		n.check(r)
	}
}

// A timeline is dropped as a page begins, and filled by another plan.
func TestATimelineIsDroppedDuringAPage(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 2, Length: 300})
	n.check(reader)
	for range 40 {
		n.publishAll(alice, 2)
		n.publishAll(bob, 2)
	}
	n.check(reader)
	n.crowd(alice, 2)
	n.relations = func(r *freshet.Relations) *freshet.Relations {
		n.relations = nil
		n.Void(reader) // the page that has just asked for relations finds no timeline
		return r
	}
	n.check(reader)
	n.publishAll(alice, 70)
	n.check(reader)
}

// More rings than a read fills are answered by the source, and then found.
func TestManyColdRings(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	for i := range freshet.ID(100) {
		n.Follow(carol, 100+i)
		n.Model.Post(100+i, "old")
		n.Model.Post(100+i, "older")
	}
	n.page(feed.Query{Reader: carol, Limit: 3})
	if pulled := n.Stats().Pulled; pulled != 17 {
		t.Errorf("a page of 100 cold rings read the source %d times, want 16 for rings and once for the rest", pulled)
	}
	n.check(carol)
	n.fromMemory(carol)
	n.publishAll(100, 80) // more than a ring keeps
	n.publishAll(101, 3)
	n.check(carol)
}

// Readers who come and go do not make an audience grow without end.
func TestAudiencesAreBounded(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	for range 1000 {
		n.Void(reader)
		n.page(feed.Query{Reader: reader, Limit: 1})
	}
	if size := n.Stats().Audience; size > 3*32 {
		t.Errorf("one reader of three authors is in audiences %d times", size)
	}
	n.check(reader)
	n.Unfollow(reader, alice)
	n.Void(reader)
	n.check(reader)
	n.publishAll(alice, 40)
	n.publishAll(bob, 40)
	n.check(reader)
	if got := n.Stats().Delivered; got > 40+40 {
		t.Errorf("%d deliveries", got)
	}
}

// The newest posts of the authors whose turn is first are gone: what shows is another's.
func TestOfManyAuthorsTheNewestAreMergedFirst(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	n.Follow(reader, carol)
	n.check(reader)
	n.publish(carol)
	for _, post := range []freshet.PostRef{n.publish(alice), n.publish(bob)} {
		n.delete(post.ID)
	}
	n.fromMemory(reader)
}

// A page looks at two posts of an author, both of which are gone, before another's older one.
func TestAnAuthorWithMorePostsThanAPage(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	n.check(reader)
	n.publish(alice)
	for _, post := range []freshet.PostRef{n.publish(alice), n.publish(alice)} {
		n.delete(post.ID)
	}
	n.fromMemory(reader)
}

// An author's ring has lost posts that are newer than all of another's.
func TestARingLosesItsLowest(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull, Ring: 3})
	n.check(reader)
	n.publishAll(alice, 5)
	n.check(reader)
}

func TestADropDropsRings(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull})
	n.check(reader)
	n.VoidAll()
	if held := n.Stats().Rings; held != 0 {
		t.Errorf("%d rings are kept", held)
	}
}

// A ring that is read is not dropped, however often it is written.
func TestARingThatIsReadIsKept(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull, Ring: 2, Rings: 3})
	for range 4 {
		n.page(feed.Query{Reader: reader, Limit: 1})
		n.publishAll(alice, 31)
	}
	if held := n.Stats().Rings; held != 3 {
		t.Errorf("%d rings are kept, want those of three authors", held)
	}
	n.Follow(carol, alice)
	n.page(feed.Query{Reader: carol, Limit: 1}) // for hers that of the reader or of bob goes
	pulled := n.Stats().Pulled
	n.page(feed.Query{Reader: alice, Limit: 1})
	if got := n.Stats().Pulled; got != pulled {
		t.Error("the ring that was read last was dropped")
	}
}
