package cache

import "sync/atomic"

// A fence keeps a value that was read before a change from being stored after it. It hands out tickets in
// ascending order. A load takes one before it asks the source; an invalidation takes one and raises the stripe
// of its key to it. What a load brings is stored only while the stripe is below the load's ticket:
//
//	loader                        writer
//	  ticket 7
//	  read source -> v1
//	                                source = v2
//	                                ticket 8, stripe = 8
//	                                remove the entry
//	  7 < 8: drop v1
//
// The check and the store happen under the lock of the entry's hash bucket, which the removal takes as well: a
// fill that passes the check before the stripe is raised is in the table before the removal looks.
//
// Many keys share a stripe, so a fill may be dropped for the sake of another key; that costs one load. With
// 65,536 stripes, 1,000 invalidations a second and loads of 5 ms, it befalls 8 fills in 100,000.
//
// The zero fence is ready. One is shared by all spaces of a stack and takes 512 KiB.
type fence struct {
	last    atomic.Uint64
	stripes [fenceStripes]atomic.Uint64
}

const fenceStripes = 1 << 16

// ticket returns a number higher than any before it, and never zero.
func (f *fence) ticket() uint64 { return f.last.Add(1) }

// raise closes the stripe of hash to loads with a ticket below t.
func (f *fence) raise(hash, t uint64) { raise(&f.stripes[hash%fenceStripes], t) }

// open reports whether nothing has closed the stripe of hash since ticket t was taken.
func (f *fence) open(hash, t uint64) bool { return f.stripes[hash%fenceStripes].Load() <= t }

// raise sets a to t unless it is higher already.
func raise(a *atomic.Uint64, t uint64) {
	for old := a.Load(); old < t; old = a.Load() {
		if a.CompareAndSwap(old, t) {
			return
		}
	}
}
