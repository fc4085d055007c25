package memory

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// sweep finds out which ordinals the timelines hold, a few timelines at a time,
// each time that somebody fans out or builds. When it has seen all, the others
// are free.
//
// Why nobody reads an ordinal that was given away: one gets into a timeline in
// two ways only, and stays in the slot that it got into.
//
//	build:    shard locked ── enter: in use ── in the ring ── unlocked
//	fan-out:  pin: in use ─── [shard locked ── in a ring ── unlocked] … ── unpin
//
// What was entered or pinned since the sweep began is marked by that. What was
// pinned before and still is was marked as it began. What was in a timeline as
// it began, or was entered before and got there under a lock of its shard that
// was still held, is marked as the sweep passes its slot, unless the timeline
// was dropped before; and nobody reads a dropped one. So all that can be read
// is marked, and only what is not is given away. Timelines of an ended
// generation are like others until they are dropped.
type sweep struct {
	running atomic.Bool // changes under posts.mu
	step    sync.Mutex  // held by the one who marks

	// Where it stands: its own while it is running, of who begins it before.
	shard int
	slot  uint32
}

// sweepStep is how many timelines a step passes, a fraction of a millisecond.
const sweepStep = 128

// begin starts a sweep unless one is under way. posts.mu is held.
func (p *posts) begin() {
	if p.sweep.running.Load() {
		return
	}
	for _, c := range p.chunks {
		for i := 0; c != nil && i < len(c.marked); i++ {
			c.marked[i].Store(0)
		}
	}
	for o := range p.pinned {
		p.mark(o)
	}
	p.sweep.shard, p.sweep.slot = 0, 0
	p.sweep.running.Store(true)
}

func (p *posts) mark(o ordinal) {
	word, bit := &p.chunks[o>>chunkBits].marked[o%chunkSize/64], uint64(1)<<(o%64)
	if word.Load()&bit == 0 {
		word.Or(bit)
	}
}

// help makes a step of the sweep that is under way, if one is and nobody else
// does. No lock is held.
func (p *posts) help(shards []shard) {
	if p.sweep.running.Load() && p.sweep.step.TryLock() {
		defer p.sweep.step.Unlock()
		p.advance(shards)
	}
}

// reclaim ends the sweep that is under way.
func (p *posts) reclaim(shards []shard) {
	p.sweep.step.Lock()
	defer p.sweep.step.Unlock()
	for p.advance(shards) {
	}
}

// advance reports whether the sweep goes on.
func (p *posts) advance(shards []shard) bool {
	s := &p.sweep
	if !s.running.Load() {
		return false
	}
	for left := uint32(sweepStep); left > 0 && s.shard < len(shards); {
		passed := shards[s.shard].mark(s.slot, left)
		if s.slot += passed; passed < left {
			s.shard, s.slot = s.shard+1, 0
		}
		left -= passed
	}
	if s.shard < len(shards) {
		return true
	}
	p.finish()
	return false
}

// finish frees what was not marked.
func (p *posts) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = 0
	for _, c := range p.chunks {
		for i := 0; c != nil && i < len(c.marked); i++ {
			c.inUse[i] = c.marked[i].Load()
			p.used += bits.OnesCount64(c.inUse[i])
		}
	}
	p.cursor, p.goal = 0, p.nextGoal(p.used)
	p.sweep.running.Store(false)
}

// mark marks what timelines hold, of at most n slots after one, and gives how
// many there were.
func (h *shard) mark(after, n uint32) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, h.slots-min(after, h.slots))
	for slot := after + 1; slot <= after+n; slot++ {
		t := h.at(slot)
		for i := range t.count {
			h.posts.mark(t.ring[t.at(i)])
		}
	}
	return n
}
