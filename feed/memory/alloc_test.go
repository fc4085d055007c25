//go:build !race

package memory_test

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// TestHotPageAllocates pins what a page from memory costs the collector:
// nothing, or its refs where the caller brings no memory for them.
func TestHotPageAllocates(t *testing.T) {
	e := newStatic(1_000, 0, 800).engine(memory.Options{})
	warm(t, e, 1)
	for i := range 20 {
		e.Publish(freshet.PostRef{ID: freshet.ID(1000 + i), Author: author(i)})
	}
	e.Remove(1001)
	into := make([]freshet.PostRef, 0, 50)
	for _, c := range []struct {
		name string
		into []freshet.PostRef
		want float64
	}{{"into", into, 0}, {"nil", nil, 1}} {
		got := testing.AllocsPerRun(200, func() {
			page, err := e.Page(t.Context(), feed.Query{Reader: follower(0), Limit: 50, Into: c.into})
			if err != nil || len(page.Refs) != 50 {
				t.Fatal(page, err)
			}
		})
		if got != c.want {
			t.Errorf("%s: a page allocates %v times, want %v", c.name, got, c.want)
		}
	}
}

// TestDeliveryAllocates pins that a fan-out to full timelines costs no memory
// per reader beyond the window that each moves over.
func TestDeliveryAllocates(t *testing.T) {
	const readers = 1_000
	e := newStatic(10, readers, 40).engine(memory.Options{Length: 40})
	warm(t, e, readers)
	post := freshet.PostRef{ID: 1000, Author: author(0)}
	got := testing.AllocsPerRun(100, func() {
		post.ID++
		e.Publish(post)
		if err := e.FanOut(t.Context(), post, new(progress)); err != nil {
			t.Fatal(err)
		}
	})
	if got > readers/4 {
		t.Errorf("a delivery to %d readers allocates %v times", readers, got)
	}
}
