package memory

import (
	"cmp"

	"github.com/freshet/freshet"
)

// timeline is the newest part of a reader's feed, hidden posts included: all of
// it, or where it was cut, every post of the followed and the reader down to
// the lowest entry. Its shard's lock guards it.
type timeline struct {
	reader     freshet.ID
	generation uint64
	newest     freshet.ID // of the last entry, so that most deliveries ask the post table nothing

	open   bool // being built: collects deliveries, can't be read
	looked bool // by a read that touched it not: see coldest

	ring         []ordinal // count entries from first on, ids rise
	first, count uint32

	by     *plan  // by which it is filled; nil: everything is delivered
	unread uint32 // deliveries since it was read last

	older, newer uint32 // slots, by when they were read
	slot         uint32 // its own; 0: the shard was cleared while it was built
	turn         uint8  // counts the timelines that have had the slot

	cut     bool // posts below the lowest entry are not here
	held    bool // whoever builds it has not let it go: its slot is not given away
	dropped bool // while held
}

const ringMin = 16

// wants reports whether deliveries of an author's posts are of use. It is false of nil.
func (t *timeline) wants(author freshet.ID, generation uint64) bool {
	return t != nil && t.slot != 0 && !t.dropped && t.generation == generation && !t.by.merges(author)
}

func byID(a, b freshet.PostRef) int { return cmp.Compare(a.ID, b.ID) }

// ringSize is what a ring for n entries holds: it doubles up to length.
func ringSize(n, length int) int {
	size := ringMin
	for size < n {
		size *= 2
	}
	return min(size, length)
}

// at gives where the i-th lowest entry is in the ring.
func (t *timeline) at(i uint32) uint32 {
	if i += t.first; i >= uint32(len(t.ring)) {
		i -= uint32(len(t.ring))
	}
	return i
}

// id is that of the i-th lowest entry.
func (t *timeline) id(i uint32, posts *posts) freshet.ID { return posts.ref(t.ring[t.at(i)]).ID }

// floor is the id from which on the timeline is complete; 0: it holds the whole feed.
func (t *timeline) floor(posts *posts) freshet.ID {
	if !t.cut {
		return 0
	}
	return t.id(0, posts)
}

// insert enters a post where its id belongs and reports whether it was new
// there. A timeline of more than length posts loses its lowest.
func (t *timeline) insert(post ordinal, id freshet.ID, posts *posts, length int) bool {
	if id > t.newest {
		t.push(post, length)
		t.newest = id
		return true
	}
	at, found := t.search(id, posts)
	if found || at == 0 && t.cut {
		return false // or pulls find it
	}
	if int(t.count) == length {
		t.cut = true
		if at == 0 {
			return false
		}
		t.first, t.count = t.at(1), t.count-1
		at--
	} else if int(t.count) == len(t.ring) {
		t.grow(length)
	}
	for i := t.count; i > at; i-- {
		t.ring[t.at(i)] = t.ring[t.at(i-1)]
	}
	t.ring[t.at(at)] = post
	t.count++
	return true
}

// push enters the newest post, which in a full ring takes the place of the lowest.
func (t *timeline) push(post ordinal, length int) {
	if n := uint32(len(t.ring)); t.count == n {
		if int(n) == length {
			t.ring[t.first] = post
			t.first = t.at(1)
			t.cut = true
			return
		}
		t.grow(length)
	}
	t.ring[t.at(t.count)] = post
	t.count++
}

func (t *timeline) grow(length int) {
	ring := make([]ordinal, ringSize(int(t.count)+1, length))
	n := copy(ring, t.ring[t.first:])
	copy(ring[n:], t.ring[:t.first])
	t.ring, t.first = ring, 0
}

// search gives the number of entries below an id, and whether the next is the id's.
func (t *timeline) search(id freshet.ID, posts *posts) (at uint32, found bool) {
	low, high := uint32(0), t.count
	for low < high {
		middle := (low + high) / 2
		if t.id(middle, posts) < id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < t.count && t.id(low, posts) == id
}

// fill makes an open timeline of what a pull gave (ids fall) and what was
// collected meanwhile. It reports false if the post table has no room.
func (t *timeline) fill(pulled []freshet.PostRef, ended bool, posts *posts, length int) bool {
	collected := *t
	t.ring = make([]ordinal, ringSize(len(pulled), length))
	if !posts.enter(pulled, t.ring) {
		return false
	}
	t.first, t.count, t.newest = 0, uint32(len(pulled)), 0
	if len(pulled) > 0 {
		t.newest = pulled[0].ID
	}
	t.cut = !ended
	for i := range collected.count {
		post := collected.ring[collected.at(i)]
		t.insert(post, posts.ref(post).ID, posts, length)
	}
	// Where deliveries alone were too many, length of them are here, and nothing
	// below them is.
	t.cut = t.cut || collected.cut
	t.open = false
	return true
}

// below copies posts with ids below an id, newest first.
func (t *timeline) below(before freshet.ID, posts *posts, into []freshet.PostRef) int {
	at := t.count
	if t.newest >= before {
		at, _ = t.search(before, posts)
	}
	n := min(int(at), len(into))
	for i := range n {
		into[i] = *posts.ref(t.ring[t.at(at-1-uint32(i))])
	}
	return n
}
