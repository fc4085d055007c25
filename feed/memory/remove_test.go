package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

func TestRemove(t *testing.T) {
	for _, mode := range []feed.Mode{feed.Push, feed.Pull} {
		t.Run(string(mode), func(t *testing.T) {
			n := newNetwork(t, memory.Options{Mode: mode})
			n.check(reader)
			landed, flying := n.publishAll(alice, 1)[0], n.publish(bob)
			n.check(reader)
			for _, post := range []freshet.ID{landed.ID, flying.ID, 1} {
				n.delete(post)
				n.check(reader)
			}
			n.fanOut(flying)
			n.fanOut(landed)
			n.check(reader)
			n.check(alice)
		})
	}
}

func TestRemoveBeforePublish(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(reader)
	post := freshet.PostRef{ID: n.Model.Post(alice, "short-lived"), Author: alice}
	n.delete(post.ID)
	n.Publish(post)
	n.check(reader)
	n.fanOut(post)
	n.check(reader)
}

// The build has read the post, then it is deleted, then the timeline is kept.
func TestRemoveDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() { n.delete(1) }
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.fromMemory(reader)
}

// removeOthers makes an engine of three tombstones forget what was removed before.
func (n *network) removeOthers() {
	for id := freshet.ID(1001); id <= 1004; id++ {
		n.Remove(id)
	}
}

func TestTombstoneOverflow(t *testing.T) {
	n := newNetwork(t, memory.Options{Tombstones: 3})
	n.check(reader)
	post := n.publish(alice)
	n.delete(post.ID)
	n.delete(1)
	n.removeOthers()
	if voided := n.Stats().Voided; voided != 1 {
		t.Fatalf("dropped everything %d times, want once", voided)
	}
	n.check(reader)
	n.fromMemory(reader)
}

func TestTombstoneOverflowInOneCall(t *testing.T) {
	n := newNetwork(t, memory.Options{Tombstones: 3})
	n.check(reader)
	posts := n.publishAll(alice, 10)
	var ids []freshet.ID
	for _, p := range append(posts, posts...) {
		n.Model.Delete(p.ID)
		ids = append(ids, p.ID)
	}
	n.Remove(ids...)
	n.check(reader)
}

func TestTombstoneOverflowDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{Tombstones: 3})
	n.afterHome = func() {
		n.delete(1)
		n.removeOthers()
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.check(reader)
}

// Nothing here remembers any more that the post was deleted; the store does.
func TestFanOutOfForgotten(t *testing.T) {
	n := newNetwork(t, memory.Options{Tombstones: 3})
	post := n.publish(alice)
	n.delete(post.ID)
	n.removeOthers()
	n.check(reader)
	n.fanOut(post)
	n.check(reader)
}

// The post is deleted and that forgotten while its fan-out is on its way.
func TestForgottenDuringFanOut(t *testing.T) {
	n := newNetwork(t, memory.Options{Tombstones: 3})
	n.check(reader)
	post := n.publish(alice)
	n.fanOutAfter(post, 0, func() {
		n.delete(post.ID)
		n.removeOthers()
		n.check(reader)
	})
	n.fromMemory(reader)
}
