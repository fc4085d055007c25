package memory

import (
	"math"

	"github.com/freshet/freshet"
)

// heads notes the newest candidate of each author, or from where on there is
// none, and who has no ring: in g.heads, g.cold and the floor.
//
// What a page of many authors costs is the memory that it waits for: the word of
// the index and the ring itself, which lie anywhere. So authors are sorted by
// their shards, each shard is locked once, and the memory of many authors is asked
// for at once, as by deliveries (shard.look).
func (e *Engine) heads(s *page, authors []freshet.ID, generation uint64, g *gathered) {
	if len(e.rings) == 1 || len(authors) == 1 {
		e.ring(authors[0]).heads(authors, s.Last, generation, g)
		return
	}
	var ends [shardCount]int
	for _, author := range authors {
		ends[shardOf(e.rings, author)]++
	}
	sum := 0
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	if cap(g.byShard) < len(authors) {
		g.byShard = make([]freshet.ID, len(authors))
	}
	sorted := g.byShard[:len(authors)]
	for _, author := range authors {
		i := shardOf(e.rings, author)
		sorted[ends[i]] = author
		ends[i]++
	}
	begin := 0
	for i, end := range ends {
		if begin < end {
			e.rings[i].heads(sorted[begin:end], s.Last, generation, g)
		}
		begin = end
	}
}

// heads is that of authors whose rings are here, if anywhere.
func (h *shard) heads(authors []freshet.ID, before freshet.ID, generation uint64, g *gathered) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var (
		slots  [64]uint32
		window [len(slots)]*timeline
	)
	for len(authors) > 0 {
		part := authors[:min(len(authors), len(slots))]
		authors = authors[len(part):]
		for i, author := range part {
			slots[i], _ = h.readers.first(tag(author))
		}
		for i, author := range part {
			if window[i] = h.at(slots[i]); window[i].reader != author {
				window[i] = h.find(author) // another with its tag comes first, or there is none
			}
		}
		for i, author := range part {
			h.headOf(window[i], author, before, generation, g)
		}
	}
}

// headOf notes one author's.
func (h *shard) headOf(t *timeline, author, before freshet.ID, generation uint64, g *gathered) {
	if !t.readable(generation) {
		g.cold = append(g.cold, author)
		return
	}
	t.unread = 0
	if h.readers.used <= nearby {
		h.touch(t)
	} else {
		t.looked = true
	}
	if t.count > 0 && t.newest < before { // a first page's: nothing else need be looked at
		g.heads = append(g.heads, freshet.PostRef{ID: t.newest, Author: author})
		return
	}
	var one [1]freshet.PostRef
	if t.below(before, h.posts, one[:]) == 0 {
		g.until(min(before, t.floor(h.posts)), true)
		return
	}
	g.heads = append(g.heads, one[0])
}

// readable reports whether what a ring holds answers reads. It is false of nil.
func (t *timeline) readable(generation uint64) bool {
	return t != nil && !t.open && t.generation == generation
}

// nearby is how many rings of a shard the processor has at hand, so that their
// exact order costs nothing.
const nearby = 512

// keepNewest brings the n newest of refs to the front, of these the oldest first:
// a heap that most of the others only look at.
func keepNewest(refs []freshet.PostRef, n int) {
	top := refs[:n]
	for i := n/2 - 1; i >= 0; i-- {
		sink(top, i)
	}
	for i, post := range refs[n:] {
		if post.ID > top[0].ID {
			top[0], refs[n+i] = post, top[0]
			sink(top, 0)
		}
	}
}

// sink restores the order of a heap, whose oldest is on top, below i.
func sink(heap []freshet.PostRef, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if next := child + 1; next < len(heap) && heap[next].ID < heap[child].ID {
			child = next
		}
		if heap[i].ID <= heap[child].ID {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// secondChances is how many rings that were looked at are passed over before one
// is dropped all the same.
const secondChances = 64

// coldest gives what makes room: the least recently read, unless it was looked at
// since. Looking at a ring only leaves a mark, for many are looked at by each
// page, and their neighbours in the order lie anywhere (the CLOCK algorithm).
func (h *shard) coldest() *timeline {
	for range secondChances {
		t := h.at(h.ends.newer)
		if !t.looked {
			break
		}
		t.looked = false
		h.touch(t)
	}
	return h.at(h.ends.newer)
}

// few is how many posts of each author are gathered before it is known how far
// down the page goes.
const few = 4

// newest adds an author's posts from below an id down to another, as many as into
// has room for. It gives the number, and the id down to which that is complete;
// below that, more may be here, or only with the source if ask is set.
func (h *shard) newest(author, before, down freshet.ID, generation uint64, into []freshet.PostRef) (n int, floor freshet.ID, ask, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.find(author)
	if !t.readable(generation) {
		return 0, 0, false, false
	}
	at := t.count
	if t.newest >= before {
		at, _ = t.search(before, h.posts)
	}
	for ; at > 0 && n < len(into); at-- {
		post := h.posts.ref(t.ring[t.at(at-1)])
		if post.ID < down {
			return n, down, false, true
		}
		into[n] = *post
		n++
	}
	if n == len(into) {
		return n, into[n-1].ID, false, true
	}
	return n, t.floor(h.posts), true, true
}

// mergeHeads adds the posts of the authors whose heads were kept: a few of each, by
// which it is known below what none is wanted, then the others of those who have
// more above that. It reports false if a ring was dropped meanwhile.
func (e *Engine) mergeHeads(s *page, need int, generation uint64, g *gathered) bool {
	var room [64]freshet.PostRef
	part := room[:min(len(room), need, max(few, need/max(1, len(g.heads))+1))]
	g.deep = g.deep[:0]
	for _, head := range g.heads {
		n, floor, ask, ok := e.ring(head.Author).newest(head.Author, s.Last, g.floor, generation, part)
		if !ok {
			return false
		}
		g.refs = append(g.refs, part[:n]...)
		if n == len(part) && n > 0 {
			g.deep = append(g.deep, part[n-1])
		} else {
			g.until(floor, ask)
		}
	}
	down := freshet.ID(math.MinInt64)
	if len(g.refs) >= need {
		g.sort()
		down = g.refs[need-1].ID
	}
	for _, last := range g.deep {
		if last.ID <= max(down, g.floor) {
			continue
		}
		part := room[:min(len(room), need)]
		n, floor, ask, ok := e.ring(last.Author).newest(last.Author, last.ID, max(down, g.floor), generation, part)
		if !ok {
			return false
		}
		g.refs = append(g.refs, part[:n]...)
		g.until(floor, ask)
	}
	g.until(down, false)
	return true
}
