package cache

import (
	"sync"
	"time"
)

// A fence says that something has changed, and mostly not at which position: a node that hears of one may ask a replica that does
// not have the change yet. The change feed tells the position, some milliseconds later. In between the primary is asked:
//
//	channel    ── key 7 is fenced ──▶│
//	a load of 7                      │  need = applied = 41: a replica at 41 may lack the change, so the primary
//	change feed                      │      ── question sent ── 42, no more ──▶ applied = 42
//	a load of 7                      │                                          a replica at 42 has it
//
// Where a lease is taken, the layer tells the position of the key's fence, so that a replica that has reached it will do.
type told struct {
	fences uint64 // tickets up to here are of fences whose changes lie below applied
	tags   uint64 // and tags.fences
	known  bool   // the feed has been followed
}

// feedTold is what was fenced before the last question to the change feed that was answered.
type feedTold struct {
	mu    sync.Mutex
	at    told
	next  told      // what had been fenced at since; the answer to whatever is asked from then on covers it
	since time.Time // zero: nothing was asked yet
}

// followed says that the feed has told all that was committed at sent, and that applied says so.
func (f *feedTold) followed(s *Stack, sent time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.since.IsZero() && !sent.Before(f.since) {
		f.at = f.next
	}
	f.next, f.since = told{s.fence.last.Load(), s.tags.fences.Load(), true}, time.Now()
}

func (f *feedTold) get() told {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// doubts reports whether a key may have changed above applied: it was fenced since, or fences may have been missed.
func (c *Cache[K, V]) doubts(hash uint64, t told) bool {
	return !t.known || c.trust.until.Load() <= c.clock.NowNano() || c.trust.floor.Load() > t.fences || c.floor.Load() > t.fences ||
		!c.stack.fence.open(hash, t.fences)
}

// doubtsTags reports whether a replica's answer bears a tag that was fenced since.
func (c *Cache[K, V]) doubtsTags(got answer[K, V], t told) bool {
	if c.tags == nil || !got.replica || !t.known || c.stack.tags.fences.Load() == t.tags {
		return false
	}
	for key, value := range got.values {
		for _, tag := range c.stack.tags.intern(c.tagsOf(key, value, true)) {
			if tag.seq.Load() > t.tags {
				return true
			}
		}
	}
	return false
}
