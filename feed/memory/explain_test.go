package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

func (n *network) explain(user freshet.ID, post freshet.PostRef) feed.Explanation {
	n.t.Helper()
	x, err := n.Explain(n.t.Context(), user, post)
	if err != nil {
		n.t.Fatal(err)
	}
	return x
}

func TestExplain(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Hybrid, Threshold: 2})
	n.crowd(bob, 1) // bob has two followers
	n.check(reader)
	says := func(what string, post freshet.PostRef, want feed.Explanation) {
		t.Helper()
		if got := n.explain(reader, post); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	post := n.publish(alice)
	says("published", post, feed.Explanation{InFeed: true, Relation: feed.Followed, Edge: feed.Pushed, Found: feed.InFlight})
	n.fanOut(post)
	says("delivered", post, feed.Explanation{InFeed: true, Relation: feed.Followed, Edge: feed.Pushed, Found: feed.InTimeline})
	large := n.publishAll(bob, 1)[0]
	says("of a large author", large, feed.Explanation{InFeed: true, Relation: feed.Followed, Edge: feed.Merged, Found: feed.InRing})
	stranger := n.publishAll(carol, 1)[0]
	says("of a stranger", stranger, feed.Explanation{Relation: feed.Stranger})
	n.Void(reader)
	says("of who has no timeline", post, feed.Explanation{InFeed: true, Relation: feed.Followed, Edge: feed.Merged, Found: feed.InStore})
	n.delete(post.ID)
	says("deleted", post, feed.Explanation{Relation: feed.Followed})
	n.Mute(reader, bob)
	says("muted", large, feed.Explanation{Relation: feed.Hidden})
}
