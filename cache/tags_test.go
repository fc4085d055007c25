package cache

import (
	"fmt"
	"testing"
)

// A node that was told of nothing before it knows tags must take them for fenced up to the horizon.
func TestHorizonHoldsForTagsThatAreKnownAlready(t *testing.T) {
	tags := newTags()
	early := tags.intern([]string{"early"})
	tags.told(10, 7)
	late := tags.intern([]string{"late"})
	for epoch, valid := range map[uint64]bool{6: false, 7: true, 10: true} {
		if tagged(early, epoch) != valid || tagged(late, epoch) != valid {
			t.Errorf("epoch %d: early %t, late %t, want %t", epoch, tagged(early, epoch), tagged(late, epoch), valid)
		}
	}
}

// Of more fenced tags than are kept by name the oldest make the horizon.
func TestFencedTagsAreBounded(t *testing.T) {
	tags := newTags()
	const n = tagsKept + 100
	for i := range n {
		tags.draw([]string{fmt.Sprint(i)})
	}
	if len(tags.fenced) > tagsKept || tags.horizon != n-tagsKept {
		t.Errorf("%d tags are kept, the horizon is %d", len(tags.fenced), tags.horizon)
	}
	if again := tags.intern([]string{"0"}); tagged(again, 0) || !tagged(again, n) {
		t.Error("a tag that was dropped is taken for one that was never fenced")
	}
	if last := tags.intern([]string{fmt.Sprint(n - 1)}); tagged(last, n-1) || !tagged(last, n) {
		t.Error("a tag that is kept has another epoch than it was given")
	}
}

// A fence that is owed holds against every epoch that is older than its own, and ends with that.
func TestOwedTagsStayFenced(t *testing.T) {
	tags := newTags()
	one := tags.intern([]string{"one"})
	tags.fence("one", 6)
	tags.owe("one")
	tags.fence("one", 6) // told again
	tags.fence("one", 7) // another node's
	if tagged(one, 7) {
		t.Error("another node's epoch stands for a fence that is owed")
	}
	tags.pay("one", 8)
	if tagged(one, 7) || !tagged(one, 8) {
		t.Error("a fence that was paid has not the epoch it was given")
	}
}
