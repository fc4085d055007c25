package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// Posts that no timeline holds leave the table to others.
func TestPostTableIsSwept(t *testing.T) {
	n := newNetwork(t, memory.Options{Posts: 20, Length: 6})
	n.check(reader)
	for range 200 {
		n.publishAll(alice, 1)
		n.publishAll(carol, 2)
		n.check(bob)
		n.Void(bob)
		n.fromMemory(reader)
	}
	n.fromMemory(reader)
	if voided := n.Stats().Voided; voided != 0 {
		t.Errorf("dropped everything %d times, want never", voided)
	}
}

// Several timelines hold more posts than there is room for.
func TestPostTableOverflow(t *testing.T) {
	n := newNetwork(t, memory.Options{Posts: 8})
	n.check(reader)
	n.publishAll(alice, 10)
	n.check(reader)
	n.publishAll(bob, 10)
	n.check(reader)
	if voided := n.Stats().Voided; voided == 0 {
		t.Error("more posts than there is room for were delivered")
	}
}

func TestPostTableOverflowsBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{Posts: 3})
	n.check(reader)
	if held := n.Stats().Timelines; held != 0 {
		t.Errorf("%d timelines of 4 posts are kept where there is room for 3", held)
	}
	n.Unfollow(reader, bob)
	n.Void(reader)
	n.check(reader)
	n.fromMemory(reader)
}

// The table is given away many times over while a fan-out holds its post.
func TestSweepDuringFanOut(t *testing.T) {
	n := newNetwork(t, memory.Options{Posts: 20, Length: 6})
	n.check(reader)
	post := n.publish(alice)
	n.fanOutAfter(post, 0, func() { n.publishAll(carol, 100) })
	n.fromMemory(reader)
}

// The slot of a timeline that is dropped while it is built is not given to
// another for as long as the build may fill it.
func TestBuildHoldsItsSlot(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 10})
	entered, release, done := make(chan bool), make(chan bool), make(chan error)
	n.afterHome = func() {
		n.Void(reader)
		n.afterHome = func() { entered <- true; <-release }
		go func() {
			_, err := n.Page(t.Context(), feed.Query{Reader: carol, Limit: 10})
			done <- err
		}()
		<-entered // carol's build is on its way
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.check(carol)
	release <- true
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	n.fromMemory(carol)
	n.check(reader)
}

// Readers come and go in every order, so that slots and places are used again.
func TestSlotsAreUsedAgain(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 100, Length: 8})
	readers := make([]freshet.ID, 300)
	for i := range readers {
		readers[i] = freshet.ID(100 + i*7)
		n.Follow(readers[i], alice)
	}
	for i := range 2_000 {
		r := readers[i*i*31%len(readers)]
		n.page(feed.Query{Reader: r, Limit: 5})
		switch i % 5 {
		case 0:
			n.Void(readers[i*17%len(readers)])
		case 1:
			n.publishAll(alice, i%40/39)
		}
	}
	for _, r := range readers {
		n.check(r)
	}
	if s := n.Stats(); s.Timelines != 100 || s.Entries > 800 {
		t.Errorf("holds %d timelines and %d entries, want 100 of up to 8", s.Timelines, s.Entries)
	}
}

// What rings hold stays in the table, too.
func TestPostTableIsSweptOfWhatRingsLost(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull, Posts: 20, Ring: 6})
	n.check(reader)
	for range 60 {
		n.publishAll(bob, 1)
		n.check(reader)
	}
	n.fromMemory(alice)
	if s := n.Stats(); s.Voided != 0 {
		t.Errorf("dropped everything %d times, want never", s.Voided)
	}
}
