package cache

import (
	"math/bits"
	"sync/atomic"
)

// near is a table in front of the engine, with one place for each key, which many keys share. A hit there costs one load of
// the place and one of the entry; the engine takes a bucket, a node and the entry, and notes the read.
//
// An entry that is near is one that the engine holds or held. The engine tells when it lets go of one, under the lock of its
// bucket, and the entry is dead from then on, wherever it is still found:
//
//	reader                          writer
//	  finds e in the engine
//	                                  the engine lets go of e: e is dead, its place is emptied
//	  lays e into its place
//	  e is dead: empties it again
//
// The engine chooses what to evict by the reads that it sees: of each eight one goes to it all the same, and one in eight that
// it answers takes the place of what was near. Else keys that share a place would chase each other.
type near struct {
	places []atomic.Pointer[entry]
	shift  uint8
}

// nearMost bounds the places of a space: 256 KiB.
const nearMost = 1 << 15

// newNear makes a table for so many entries.
func newNear(entries int) near {
	width := bits.Len(uint(min(entries, nearMost) - 1))
	return near{make([]atomic.Pointer[entry], 1<<width), uint8(64 - width)}
}

// at is the place of a hash whose bits are well mixed.
func (n *near) at(mixed uint64) *atomic.Pointer[entry] { return &n.places[mixed>>n.shift] }

// keep lays e, which the engine has just given, into its place, unless another is well there.
func keep(place *atomic.Pointer[entry], e *entry, chosen bool) {
	if old := place.Load(); old == e || old != nil && !chosen && !old.dead.Load() {
		return
	}
	place.Store(e)
	if e.dead.Load() {
		place.CompareAndSwap(e, nil)
	}
}

// die is what the engine calls when it lets go of e.
func (e *entry) die() {
	e.dead.Store(true)
	if e.place != nil {
		e.place.CompareAndSwap(e, nil)
	}
}
