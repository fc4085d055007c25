package memory

import (
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
)

// TestTagsCoincide gives timelines to two readers of one tag.
func TestTagsCoincide(t *testing.T) {
	inverse := mix(1) // Newton: each step doubles the bits that are right
	for range 6 {
		inverse *= 2 - mix(1)*inverse
	}
	one := freshet.ID(1)
	var two freshet.ID
	for bit := uint64(2); ; bit <<= 1 {
		if two = freshet.ID((mix(one) ^ bit) * inverse); two > 0 {
			break
		}
	}
	if tag(one) != tag(two) || one == two {
		t.Fatalf("the tags of %s and %s are %x and %x", one, two, tag(one), tag(two))
	}
	g := newRig(t, 100, 100)
	ofOne, ofTwo, other := g.post(), g.post(), g.post()
	g.build(one, ofOne)
	g.build(two, ofTwo)
	o, _ := g.posts.pin(other)
	h := &g.shards[0]
	for _, reader := range []freshet.ID{one, two} {
		h.deliverTo(reader, o, other, 0, 10)
		if n := h.find(reader).count; n != 2 {
			t.Errorf("the timeline of %s holds %d entries, want 2", reader, n)
		}
	}
	h.remove(one)
	if h.find(one) != nil || h.find(two) == nil {
		t.Error("the wrong one was removed")
	}
}

// TestSlotsAreBounded builds and drops timelines in every way.
func TestSlotsAreBounded(t *testing.T) {
	g := newRig(t, 100, 10)
	h := &g.shards[0]
	for i := range freshet.ID(1_000) {
		g.build(1+i%20, freshet.PostRef{ID: 1 + i%30, Author: 1})
		h.mu.Lock()
		held := h.open(500, 0)
		h.mu.Unlock()
		h.remove(500)
		h.abandon(held)
	}
	if h.slots > 12 {
		t.Errorf("10 readers took %d slots", h.slots)
	}
}

// A build of an ended generation comes late to an audience of the next.
func TestAnAudienceIsOfOneGeneration(t *testing.T) {
	a := newAudiences(func(handle, freshet.ID, uint64) bool { return true })
	const author = 7
	first, second := newHandle(0, 1, 1), newHandle(0, 2, 1)
	a.enter(first, 1, author)
	a.enter(second, 0, author)
	if of := a.of(author, 1); len(of) != 1 || of[0] != first {
		t.Errorf("the audience is %v, want %v alone", of, first)
	}
}

// A read that began before everything was dropped fills a ring after, which posts
// since then do not enter.
func TestARingOfAnEndedGenerationIsNotRead(t *testing.T) {
	var store feedtest.Model
	e := New(Options{Mode: feed.Pull, Source: &store, Graph: &store})
	const author = 7
	e.VoidAll()
	if ok, err := e.fillRing(t.Context(), author, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	post := freshet.PostRef{ID: store.Post(author, "new"), Author: author}
	e.Publish(post)
	if page, err := e.Page(t.Context(), feed.Query{Reader: author, Limit: 1}); err != nil || len(page.Refs) != 1 {
		t.Errorf("the page is %v (%v), want %v", page, err, post)
	}
}
