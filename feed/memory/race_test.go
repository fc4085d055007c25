package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/position"
)

func TestFollowDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() {
		n.Follow(reader, carol)
		n.Void(reader)
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	if held := n.Stats().Timelines; held != 0 {
		t.Errorf("%d timelines are kept of follows that have changed", held)
	}
	n.check(reader)
	n.fromMemory(reader)
}

func TestFanOutDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() { n.publishAll(alice, 2) }
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.fromMemory(reader)
}

func TestFanOutOverflowsBuild(t *testing.T) {
	const dave, erin freshet.ID = 5, 6
	for name, follower := range map[string]freshet.ID{"of a feed": reader, "of an empty feed": erin} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, memory.Options{Length: 3})
			n.Follow(reader, dave)
			n.Follow(erin, dave)
			n.afterHome = func() { n.publishAll(dave, 5) }
			n.page(feed.Query{Reader: follower, Limit: 10})
			n.check(follower)
		})
	}
}

func TestSecondBuildDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() {
		n.Follow(reader, carol)
		n.Void(reader)
		n.check(reader) // builds, and keeps
		n.publishAll(carol, 1)
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.fromMemory(reader)
}

func TestReadDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() {
		n.publish(bob)
		n.check(reader) // waits for nobody
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.fromMemory(reader)
}

func TestImportDuringBuild(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.afterHome = func() {
		n.Model.Post(alice, "imported")
		n.VoidAll()
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.check(reader)
}

func TestInFlightOverflow(t *testing.T) {
	for name, during := range map[string]bool{"during build": true, "between reads": false} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, memory.Options{InFlight: 2})
			overflow := func() {
				for range 4 {
					n.publish(alice)
				}
			}
			if during {
				n.afterHome = overflow
				n.page(feed.Query{Reader: reader, Limit: 10})
			} else {
				n.check(reader)
				overflow()
			}
			n.check(reader)
			n.fromMemory(reader)
			if s := n.Stats(); s.Voided != 1 || s.InFlight != 1 {
				t.Errorf("dropped everything %d times and holds %d in flight, want 1 and 1", s.Voided, s.InFlight)
			}
		})
	}
}

func TestLandsOutOfOrder(t *testing.T) {
	n := newNetwork(t, memory.Options{Length: 6})
	n.check(reader)
	var posts []freshet.PostRef
	for i := range 9 {
		posts = append(posts, n.publish([]freshet.ID{alice, bob}[i%2]))
	}
	n.check(reader)
	for _, i := range []int{8, 2, 5, 0, 7, 7, 1, 6, 3, 4, 4} {
		n.fanOut(posts[i])
		n.check(reader)
	}
	if s := n.Stats(); s.InFlight != 0 || s.Entries != 6 {
		t.Errorf("%d in flight and %d in the timeline, want 0 and 6", s.InFlight, s.Entries)
	}
}

func TestFanOutBeforePublish(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(reader)
	post := freshet.PostRef{ID: n.Model.Post(alice, "new"), Author: alice}
	n.fanOut(post)
	n.check(reader)
	n.Publish(post)
	n.fromMemory(reader)
	if held := n.Stats().InFlight; held != 0 {
		t.Errorf("%d posts are in flight for ever", held)
	}
}

func TestFanOutInterrupted(t *testing.T) {
	n := newNetwork(t, memory.Options{Chunk: 2})
	readers := []freshet.ID{reader, 11, 12, 13, 14}
	for _, r := range readers {
		n.Follow(r, alice)
		n.check(r)
	}
	post := n.publish(alice)
	ending := &asked{Context: context.Background(), left: 2}
	if err := n.FanOut(ending, post, new(progress)); !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted fan-out gives %v", err)
	}
	for _, r := range readers {
		n.fromMemory(r) // in the timeline or in flight or both
	}
	if s := n.Stats(); s.InFlight != 1 {
		t.Errorf("%d in flight, want 1", s.InFlight)
	}
	n.fanOut(post)
	for _, r := range readers {
		n.fromMemory(r)
	}
	if s := n.Stats(); s.Delivered != 5 || s.InFlight != 0 {
		t.Errorf("%d delivered and %d in flight, want 5 and 0", s.Delivered, s.InFlight)
	}
}

func TestUnfollowDuringFanOut(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(reader)
	post := n.publish(alice)
	n.fanOutAfter(post, 0, func() {
		n.Unfollow(reader, alice)
		n.Void(reader)
		n.check(reader) // a timeline without alice, into which the post is then delivered
	})
	n.fromMemory(reader)
}

func TestFollowDuringFanOut(t *testing.T) {
	n := newNetwork(t, memory.Options{Chunk: 1})
	n.check(reader)
	n.check(carol)
	post := n.publish(alice)
	n.fanOutAfter(post, 1, func() {
		n.Follow(carol, alice)
		n.Void(carol)
		n.check(carol)
	})
	n.fromMemory(carol)
}

func TestVoidSparesOthers(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(reader)
	n.check(carol)
	n.Void(carol)
	n.fromMemory(reader)
}

// A timeline and a ring are built for a reader who may be served by a replica,
// which has not got the last posts; nobody delivers those again.
func TestWhatIsKeptIsNotBehind(t *testing.T) {
	for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid} {
		t.Run(string(mode), func(t *testing.T) {
			n := newNetwork(t, memory.Options{Mode: mode, Threshold: 1})
			n.publishAll(alice, 2)
			n.behind = 1
			ctx, _ := position.WithReading(t.Context(), nil)
			for range 2 { // the second fills the rings of authors who are merged
				if _, err := n.Page(ctx, feed.Query{Reader: reader, Limit: 3}); err != nil {
					t.Fatal(err)
				}
			}
			n.fromMemory(reader)
		})
	}
}
