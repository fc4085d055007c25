package memory

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
)

// ordinal is a post's number in the post table, from 1 on: a quarter of a
// [freshet.PostRef]. Ordinals say nothing about the order of posts.
type ordinal uint32

// posts is the table of the posts that timelines hold. A timeline's shard lock
// is enough to read the posts of its entries; see sweep.go for why these are
// not given to others.
type posts struct {
	bound  int      // posts at most
	chunks []*chunk // by ordinal; one that is there never moves

	mu     sync.Mutex // guards everything below, and the chunks' writes
	parts  [1 << partBits]index
	cursor ordinal         // the last one given in this cycle
	used   int             // ordinals in use in this cycle
	goal   int             // of used: then a sweep begins
	pinned map[ordinal]int // how many fan-outs are on their way with it
	sweep  sweep
}

const (
	partBits  = 6 // so that growing an index is soon done
	chunkBits = 12
	chunkSize = 1 << chunkBits
	firstGoal = 1 << 16
)

// chunk is a piece of the table. What is in use was entered in this cycle or
// found by the sweep that began it; all else is free to be given away.
type chunk struct {
	refs   [chunkSize]freshet.PostRef // zero: never given
	inUse  [chunkSize / 64]uint64
	marked [chunkSize / 64]atomic.Uint64 // by the sweep under way
}

func newPosts(bound int) *posts {
	p := &posts{
		bound:  bound,
		chunks: make([]*chunk, bound>>chunkBits+1),
		pinned: make(map[ordinal]int),
	}
	p.goal = p.nextGoal(0)
	return p
}

// nextGoal lets the table double, and else leaves a quarter of what is free for
// what comes while a sweep is under way.
func (p *posts) nextGoal(live int) int {
	return min(max(2*live, firstGoal), live+(p.bound-live)*3/4)
}

// ref is the post of an ordinal that an entry of a timeline holds, whose
// shard's lock the caller holds.
func (p *posts) ref(o ordinal) *freshet.PostRef {
	return &p.chunks[o>>chunkBits].refs[o%chunkSize]
}

// pin gives a post's ordinal to a fan-out, which enters it into timelines until
// it calls unpin. ok is false if there is no room.
func (p *posts) pin(post freshet.PostRef) (o ordinal, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o = p.intern(post); o == 0 {
		return 0, false
	}
	p.pinned[o]++
	return o, true
}

func (p *posts) unpin(o ordinal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pinned[o]--; p.pinned[o] == 0 {
		delete(p.pinned, o)
	}
}

// enter writes the ordinals of posts into a ring, the other way round. The ring
// must be that of a timeline whose shard's lock the caller holds. It reports
// false if there is no room.
func (p *posts) enter(pulled []freshet.PostRef, ring []ordinal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, post := range pulled {
		o := p.intern(post)
		if o == 0 {
			return false
		}
		ring[len(pulled)-1-i] = o
	}
	return true
}

// intern gives a post's ordinal, or 0 if there is no room for it. A post that
// still has an ordinal of an earlier cycle keeps it.
func (p *posts) intern(post freshet.PostRef) ordinal {
	part, tag := p.part(post.ID), tag(post.ID)
	n, next := part.first(tag)
	for n != 0 && p.ref(ordinal(n)).ID != post.ID {
		n, next = part.next(tag, next)
	}
	o := ordinal(n)
	if o == 0 {
		if o = p.free(); o == 0 {
			return 0
		}
		*p.ref(o) = post
		part.add(tag, uint32(o))
	}
	p.use(o)
	return o
}

func (p *posts) part(id freshet.ID) *index { return &p.parts[mix(id)>>(64-partBits)] }

// free gives the next ordinal that is not in use, and forgets its post.
func (p *posts) free() ordinal {
	for int(p.cursor) < p.bound {
		p.cursor++
		c := p.chunks[p.cursor>>chunkBits]
		if c == nil {
			c = new(chunk)
			p.chunks[p.cursor>>chunkBits] = c
		}
		i := p.cursor % chunkSize
		word := c.inUse[i/64] >> (i % 64)
		if word&1 != 0 { // go on to the last of those in use that follow, in this word
			p.cursor += ordinal(bits.TrailingZeros64(^word)) - 1
			continue
		}
		if id := c.refs[i].ID; id != 0 {
			p.part(id).remove(tag(id), uint32(p.cursor))
		}
		return p.cursor
	}
	p.cursor = ordinal(p.bound)
	p.begin()
	return 0
}

// use keeps an ordinal in this cycle, and in the next if a sweep is under way.
func (p *posts) use(o ordinal) {
	c, i := p.chunks[o>>chunkBits], o%chunkSize
	if bit := uint64(1) << (i % 64); c.inUse[i/64]&bit == 0 {
		c.inUse[i/64] |= bit
		if p.used++; p.used >= p.goal {
			p.begin()
		}
	}
	if p.sweep.running.Load() {
		p.mark(o)
	}
}
