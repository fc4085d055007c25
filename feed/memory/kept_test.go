package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/position"
)

// A worker is quicker than Publish, and a replica has not got the post.
func TestAFanOutIsNotBehind(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(reader)
	post := freshet.PostRef{ID: n.Model.Post(alice, "new"), Author: alice}
	n.behind = 1
	ctx, _ := position.WithReading(t.Context(), nil)
	if err := n.FanOut(ctx, post, new(progress)); err != nil {
		t.Fatal(err)
	}
	n.behind = 0
	n.Publish(post)
	n.check(reader)
}

// The answer to a commit is lost, so that nobody publishes the post; the job that
// was committed with it fans it out.
func TestAPostThatNobodyPublished(t *testing.T) {
	for _, mode := range []feed.Mode{feed.Push, feed.Hybrid} {
		t.Run(string(mode), func(t *testing.T) {
			n := newNetwork(t, memory.Options{Mode: mode, Threshold: 1})
			n.check(reader)
			n.fanOut(freshet.PostRef{ID: n.Model.Post(alice, "answer lost"), Author: alice})
			n.publishAll(alice, 1)
			n.check(reader)
		})
	}
}

// Readers come once, and follow authors who never post.
func TestAudiencesOfTheGoneAreFew(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 1})
	for i := range freshet.ID(3_000) {
		n.Follow(100+i, 1_000_000+i)
		n.page(feed.Query{Reader: 100 + i, Limit: 1})
	}
	if size := n.Stats().Audience; size > 1000 {
		t.Errorf("one timeline, but %d places in audiences", size)
	}
	n.VoidAll()
	if size := n.Stats().Audience; size > 0 {
		t.Errorf("no timeline, but %d places in audiences", size)
	}
}

// Who merges more than there is room for takes the source's pages, and room from nobody.
func TestMoreRingsThanRoom(t *testing.T) {
	n := newNetwork(t, memory.Options{Mode: feed.Pull, Rings: 80})
	for i := range freshet.ID(18) {
		n.Follow(reader, 1000+i)
	}
	for i := range freshet.ID(90) {
		n.page(feed.Query{Reader: 5000 + i, Limit: 1}) // fills the room
	}
	n.page(feed.Query{Reader: reader, Limit: 1})
	before := n.Stats().Pulled
	n.page(feed.Query{Reader: reader, Limit: 1})
	if pulled := n.Stats().Pulled - before; pulled != 1 {
		t.Errorf("a page reads the source %d times, want 1", pulled)
	}
}
