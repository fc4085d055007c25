package memory_test

import (
	"math/rand/v2"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// Many authors, some of whom write most, on one shard and on several: each page is
// the model's.
func TestPagesOfManyAuthors(t *testing.T) {
	for _, o := range []memory.Options{
		{Mode: feed.Pull, Rings: 900, Ring: 8},
		{Mode: feed.Hybrid, Threshold: 1, Rings: 900, Ring: 64},
		{Mode: feed.Hybrid, Threshold: 1, Rings: 10_000, Ring: 64},
	} {
		n := newNetwork(t, o)
		random := rand.New(rand.NewPCG(1, 2))
		const authors = 200
		for i := range freshet.ID(authors) {
			n.Follow(carol, 100+i)
		}
		for range 1_000 {
			n.Model.Post(100+freshet.ID(random.IntN(authors)*random.IntN(authors)/authors), "old")
		}
		for range authors/16 + 2 { // so many rings are filled by a page
			n.page(feed.Query{Reader: carol, Limit: 1})
		}
		n.fromMemory(carol)
		for range 100 {
			post := n.publish(100 + freshet.ID(random.IntN(5)))
			if random.IntN(3) == 0 {
				n.delete(post.ID)
			}
		}
		n.check(carol)
	}
}

// Among many, a ring that pages look at stays, though it was filled first.
func TestARingThatIsLookedAtIsKept(t *testing.T) {
	const rings = 1_000
	n := newNetwork(t, memory.Options{Mode: feed.Pull, Rings: rings})
	read := func(user freshet.ID) (pulled int64) {
		before := n.Stats().Pulled
		n.page(feed.Query{Reader: user, Limit: 1})
		return n.Stats().Pulled - before
	}
	for i := range freshet.ID(rings) { // who follows nobody reads one ring, the own one
		read(1_000 + i)
	}
	read(1_000)
	for i := range freshet.ID(100) { // each takes somebody's place
		read(10_000 + i)
		if i%10 == 0 && read(1_000) != 0 {
			t.Fatalf("the ring that is read was dropped for number %d", i)
		}
	}
	if pulled := read(1_001); pulled == 0 {
		t.Error("a ring that nobody read was kept")
	}
}

// Where most of what a page gathers of an author is gone, it goes on below that.
func TestAnAuthorWhoseNewestPostsAreGone(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 1, Ring: 300})
	n.check(reader)
	for i, post := range n.publishAll(alice, 200) {
		if i >= 130 {
			n.delete(post.ID)
		}
	}
	n.fromMemory(reader)
}
