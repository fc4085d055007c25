package memory

import (
	"testing"

	"github.com/freshet/freshet"
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
