package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

func modes(t *testing.T, o memory.Options, test func(t *testing.T, n *network)) {
	for _, o.Mode = range []feed.Mode{feed.Push, feed.Pull} {
		t.Run(string(o.Mode), func(t *testing.T) { test(t, newNetwork(t, o)) })
	}
}

func TestTimelineLosesItsLowest(t *testing.T) {
	n := newNetwork(t, memory.Options{Length: 3})
	n.check(alice)
	for range 20 {
		n.check(reader)
		n.publishAll(alice, 1)
	}
	n.check(reader)
	n.check(alice) // whose timeline was whole at first
	if s := n.Stats(); s.Entries != 6 {
		t.Errorf("two timelines of 3 hold %d posts", s.Entries)
	}
}

func TestOwnPostsReachTheAuthor(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.check(carol)
	n.publishAll(carol, 2)
	n.fromMemory(carol)
}

func TestDormantReadersGetNothing(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.publishAll(alice, 3)
	if s := n.Stats(); s.Delivered != 0 || s.Timelines != 0 || s.InFlight != 0 {
		t.Errorf("a fan-out to nobody awake leaves %+v", s)
	}
	n.check(reader)
}

func TestLeastRecentlyReadGoesFirst(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 2})
	n.check(reader)
	n.check(alice)
	n.fromMemory(reader)
	n.check(bob)
	if held := n.Stats().Timelines; held != 2 {
		t.Errorf("%d timelines are kept, want 2", held)
	}
	n.publishAll(alice, 1)
	n.fromMemory(reader)
	n.fromMemory(bob)
	n.check(alice) // built again
	n.fromMemory(alice)
}

func TestEvictedWhileBuilt(t *testing.T) {
	n := newNetwork(t, memory.Options{Readers: 1})
	n.afterHome = func() {
		n.check(bob)
		n.publishAll(alice, 1)
	}
	n.page(feed.Query{Reader: reader, Limit: 10})
	n.fromMemory(bob)
	n.check(reader)
}

func TestHiddenAuthors(t *testing.T) {
	modes(t, memory.Options{Length: 30}, func(t *testing.T, n *network) {
		n.check(reader)
		for range 20 {
			n.publish(alice)
			n.publishAll(alice, 1)
			n.publishAll(bob, 1)
		}
		n.check(reader)
		n.Mute(reader, alice)
		n.check(reader)
		n.Unmute(reader, alice)
		n.Block(bob, reader)
		n.Void(bob, reader)
		n.check(reader)
	})
}

// Pages end after 10 x limit candidates, at the same place in either mode.
func TestScanIsCut(t *testing.T) {
	modes(t, memory.Options{}, func(t *testing.T, n *network) {
		n.Mute(reader, bob)
		n.check(reader)
		n.publishAll(bob, 25)
		for range 25 {
			n.publish(bob)
		}
		for limit := 1; limit <= 6; limit++ {
			page := n.page(feed.Query{Reader: reader, Limit: limit})
			if short := limit <= 5; short != (len(page.Refs) == 0 && page.Scanned != 0) {
				t.Errorf("with 50 hidden posts above, a page of %d is %v", limit, page)
			}
		}
		n.check(reader)
	})
}

func TestLongPages(t *testing.T) {
	modes(t, memory.Options{Length: 300}, func(t *testing.T, n *network) {
		n.check(reader)
		for i := range 400 {
			post := n.publish([]freshet.ID{alice, bob}[i%2])
			if i%7 != 0 {
				n.fanOut(post)
			}
		}
		for _, limit := range []int{63, 64, 65, 128, 200, 299, 300, 350, 500} {
			q := feed.Query{Reader: reader, Limit: limit}
			got := n.page(q)
			want, _ := n.Model.Page(t.Context(), q)
			if !equal(got, want) {
				t.Errorf("a page of %d: got %v, want %v", limit, got, want)
			}
		}
		n.check(reader)
	})
}

func equal(a, b feed.Page) bool {
	if len(a.Refs) != len(b.Refs) || a.Scanned != b.Scanned {
		return false
	}
	for i := range a.Refs {
		if a.Refs[i] != b.Refs[i] {
			return false
		}
	}
	return true
}

func TestOddRelations(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	n.publishAll(reader, 2)
	n.relations = func(r *freshet.Relations) *freshet.Relations {
		r.Hidden = append([]freshet.ID{reader}, r.Hidden...)
		return r
	}
	n.check(reader) // nobody hides oneself
	n.relations = func(*freshet.Relations) *freshet.Relations { return nil }
	if page := n.page(feed.Query{Reader: reader, Limit: 10}); len(page.Refs) != 2 || page.Refs[0].Author != reader {
		t.Errorf("without relations the page is %v, want one's own two posts", page)
	}
}

func TestSourceFails(t *testing.T) {
	down := errors.New("down")
	modes(t, memory.Options{}, func(t *testing.T, n *network) {
		n.homeErr = down
		if _, err := n.Page(t.Context(), feed.Query{Reader: reader, Limit: 1}); !errors.Is(err, down) {
			t.Errorf("a page without a source gives %v", err)
		}
		if held := n.Stats().Timelines; held != 0 {
			t.Errorf("%d timelines stay open for ever", held)
		}
		n.homeErr = nil
		n.check(reader)
		n.fromMemory(reader)
	})
}

func TestCanceled(t *testing.T) {
	n := newNetwork(t, memory.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	post := n.publish(alice)
	if err := n.FanOut(ctx, post, new(progress)); !errors.Is(err, context.Canceled) {
		t.Errorf("a fan-out whose context ended gives %v", err)
	}
	if n.Stats().InFlight != 1 {
		t.Error("a post that was not delivered has landed")
	}
	if _, err := n.Page(ctx, feed.Query{Reader: reader, Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a page whose context ended gives %v", err)
	}
	n.check(reader)
}

func TestUnknownMode(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an engine of no known mode was made")
		}
	}()
	memory.New(memory.Options{Mode: "guess"})
}
