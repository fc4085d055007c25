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

// So many are delivered to that a fan-out has them merge from now on.
func TestAFanOutFlips(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 3})
	var readers []freshet.ID
	for i := range 4 {
		r := freshet.ID(11 + i)
		n.Follow(r, bob)
		n.check(r) // follows bob alone, who is not large yet, or merges him
		readers = append(readers, r)
	}
	sizes := n.Stats().Delivered
	posts := n.publishAll(bob, 3)
	if got := n.Stats().Delivered - sizes; got > int64(2*len(posts)) {
		t.Errorf("%d deliveries of %d posts, want those to two readers at most", got, len(posts))
	}
	for _, r := range append(readers, reader) {
		n.check(r)
	}
}

// A timeline is dropped and filled by another plan between two parts of one page.
func TestAPlanChangesDuringAPage(t *testing.T) {
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
