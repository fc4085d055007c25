package memory_test

import (
	"testing"
	"time"

	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// adaptiveNetwork is one in mode Adaptive with a clock that stands still. By its
// costs a reader of two authors is pushed to as long as there are fewer than four
// posts to three pages.
func adaptiveNetwork(t *testing.T) (n *network, pass func(time.Duration)) {
	now := time.Unix(1_800_000_000, 0)
	return newNetwork(t, memory.Options{
		Mode:  feed.Adaptive,
		Costs: feed.Costs{Push: 30, Read: 20, Pull: 20, PullAuthor: 20},
		Now:   func() time.Time { return now },
	}), func(d time.Duration) { now = now.Add(d) }
}

// reads reads the first page again and again.
func (n *network) reads(times int) {
	n.t.Helper()
	for range times {
		n.page(feed.Query{Reader: reader, Limit: 3})
	}
}

// merges fails if anything is delivered to the reader or kept for them.
func (n *network) merges() {
	n.t.Helper()
	if entries := n.Stats().Entries; entries != 0 {
		n.t.Errorf("%d entries are kept for who merges all authors", entries)
	}
	n.delivers(alice, 5, 0)
	n.fromMemory(reader)
}

// Who reads often is pushed to, and then reads rarely while authors post much.
func TestAPlanIsMadeAnewForWhoReadsLess(t *testing.T) {
	n, pass := adaptiveNetwork(t)
	n.reads(60)
	pass(11 * time.Minute)
	n.reads(1)
	n.delivers(alice, 2, 2)
	pass(3 * time.Hour)
	n.delivers(alice, 400, 400)
	n.reads(1)
	n.merges()
}

// Who reads rarely merges, and then reads often.
func TestAPlanIsMadeAnewForWhoReadsMore(t *testing.T) {
	n, pass := adaptiveNetwork(t)
	n.publishAll(alice, 20)
	n.reads(1)
	n.merges()
	n.reads(200)
	n.delivers(alice, 1, 0) // too soon to look
	pass(11 * time.Minute)
	n.reads(1)
	n.delivers(alice, 1, 1)
	n.check(reader)
}

// The reader reads as before, but authors post more.
func TestAPlanIsMadeAnewInAnyCase(t *testing.T) {
	n, pass := adaptiveNetwork(t)
	n.reads(10)
	pass(11 * time.Minute)
	n.reads(1)
	for range 23 { // about as many an hour as when the plan was made
		pass(time.Hour)
		n.reads(9)
	}
	n.delivers(alice, 600, 600)
	n.reads(1)
	n.delivers(alice, 1, 1)
	pass(time.Hour)
	n.reads(1)
	n.merges()
}

// A plan that is of age and still as good as any is kept: nothing is built anew.
func TestAPlanThatStillFitsIsKept(t *testing.T) {
	n, pass := adaptiveNetwork(t)
	n.reads(10)
	pass(11 * time.Minute)
	n.reads(1)
	pulled := n.Stats().Pulled
	for range 20 {
		pass(25 * time.Hour)
		n.reads(1)
	}
	if got := n.Stats().Pulled - pulled; got != 0 {
		t.Errorf("the source was read %d times", got)
	}
	n.delivers(alice, 1, 1)
}
