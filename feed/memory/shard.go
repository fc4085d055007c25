package memory

import (
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
)

// shard holds the timelines of a part of the readers, in the order in which
// they were read last. A timeline has a slot for as long as it is there, in a
// page that never moves, so that links are numbers and the collector has little
// to follow.
type shard struct {
	mu    sync.Mutex
	posts *posts
	bound int

	readers index        // slots
	pages   [][]timeline // of pageSize: a pointer to an array would be looked at for being nil, far from the slot
	slots   uint32       // ever given
	free    []uint32     // slots to give again
	ends    timeline     // slot 0: newer is the least, older the most recently read: a ring

	touched ordinal  // a sum of no meaning, without which look would ask for nothing
	_       [64]byte // shards are neighbours in memory; their locks are not
}

const (
	shardBits  = 4 // so few that a chunk of a fan-out has many readers in each
	shardCount = 1 << shardBits

	pageBits = 9
	pageSize = 1 << pageBits
)

// newShards makes one shard where few readers are wanted, so that their order
// is exact, and else as many as never meet on few processors.
func newShards(readers int, posts *posts) []shard {
	n := 1
	if readers >= 64*shardCount {
		n = shardCount
	}
	shards := make([]shard, n)
	for i := range shards {
		shards[i].bound = readers / n
		shards[i].posts = posts
	}
	return shards
}

func (e *Engine) shard(reader freshet.ID) *shard { return &e.shards[shardOf(e.shards, reader)] }
func (e *Engine) ring(author freshet.ID) *shard  { return &e.rings[shardOf(e.rings, author)] }

func shardOf(shards []shard, owner freshet.ID) int {
	return int(mix(owner)>>(64-shardBits)) & (len(shards) - 1)
}

// mix spreads ids, whose lower bits are a bucket and a sequence (Fibonacci hashing).
func mix(id freshet.ID) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 }

// at is the timeline of a slot.
func (h *shard) at(slot uint32) *timeline {
	if slot == 0 {
		return &h.ends
	}
	return &h.pages[slot>>pageBits][slot%pageSize]
}

// find gives the timeline of a reader, or nil.
func (h *shard) find(reader freshet.ID) *timeline {
	tag := tag(reader)
	slot, next := h.readers.first(tag)
	for slot != 0 && h.at(slot).reader != reader {
		slot, next = h.readers.next(tag, next)
	}
	if slot == 0 {
		return nil
	}
	return h.at(slot)
}

// read copies the next part of the reader's timeline and tells from where it is
// complete, and by which plan it was filled. n is negative if the source must be
// asked; then build, if not nil, is a timeline that the caller is the one to
// fill, and to abandon in the end.
func (h *shard) read(s *page, generation *atomic.Uint64, into []freshet.PostRef) (n int, floor freshet.ID, by *plan, build *timeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := generation.Load()
	t := h.find(s.Reader)
	if t == nil || t.generation != now {
		if !s.FromTop || len(s.Refs) > 0 {
			return -1, 0, nil, nil // whoever reads on may never come back to the top
		}
		return -1, 0, nil, h.open(s.Reader, now)
	}
	h.touch(t)
	t.unread = 0
	if t.open {
		return -1, 0, nil, nil // a pull of one page is sooner done than the build
	}
	return t.below(s.Last, h.posts, into), t.floor(h.posts), t.by, nil
}

// unreadLengths is how many times over a timeline is written without being read
// before it is dropped: its reader has gone, and one pull makes it again.
const unreadLengths = 16

// deliver enters a post into those of the timelines that are there, are of this
// generation, and do not merge its author. It gives how many it was new to, and
// how many have no use for it.
func (h *shard) deliver(readers []handle, post ordinal, ref freshet.PostRef, generation uint64, length int) (entered, vain int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var window [64]*timeline
	for len(readers) > 0 {
		part := readers[:min(len(readers), len(window))]
		readers = readers[len(part):]
		found := h.look(part, &window)
		vain += len(part) - found
		for _, t := range window[:found] {
			if !t.wants(ref.Author, generation) {
				vain++
			} else if h.enter(t, post, ref.ID, length) {
				entered++
			}
		}
	}
	return entered, vain
}

// look finds what at most as many handles name as the window has places, and
// gives how many timelines there are.
//
// Memory is what that and the deliveries wait for, so it asks for that of many
// readers at once: the timelines, then where each will write, in loops so short
// that the processor has many of their turns under way.
func (h *shard) look(readers []handle, window *[64]*timeline) (found int) {
	for _, name := range readers {
		if t := h.timeline(name); t != nil {
			window[found] = t
			found++
		}
	}
	var tops [len(window)]*ordinal
	for i, t := range window[:found] {
		tops[i] = &h.touched
		if len(t.ring) > 0 {
			tops[i] = &t.ring[t.at(t.count)]
		}
	}
	touched := h.touched
	for _, top := range tops[:found] {
		touched += *top
	}
	h.touched = touched
	return found
}

// deliverTo enters a post into the timeline of one owner.
func (h *shard) deliverTo(owner freshet.ID, post ordinal, ref freshet.PostRef, generation uint64, length int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.find(owner); t.wants(ref.Author, generation) {
		h.enter(t, post, ref.ID, length)
	}
}

// enter enters a post, and drops a timeline that nobody reads.
func (h *shard) enter(t *timeline, post ordinal, id freshet.ID, length int) bool {
	if !t.insert(post, id, h.posts, length) {
		return false
	}
	if t.unread++; int(t.unread) == unreadLengths*length {
		h.drop(t)
	}
	return true
}

// timeline gives what a handle names, or nil.
func (h *shard) timeline(name handle) *timeline {
	slot := name.slot()
	if slot>>pageBits >= uint32(len(h.pages)) {
		return nil
	}
	if t := h.at(slot); t.turn%(1<<handleTurns) == name.turn() {
		return t
	}
	return nil
}

// wants reports whether deliveries of an author's posts to a timeline are of use.
func (h *shard) wants(name handle, author freshet.ID, generation uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.timeline(name).wants(author, generation)
}

// has reports whether an owner has a timeline of a generation.
func (h *shard) has(owner freshet.ID, generation uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.find(owner)
	return t != nil && t.generation == generation
}

// plan settles whose posts a timeline that is being built is to get, and gives
// the name under which they come. Nothing comes to one that was dropped.
func (h *shard) plan(t *timeline, by *plan, shard int) handle {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.by = by
	return newHandle(shard, t.slot, t.turn)
}

// merge has readers but the author merge an author from here on.
func (h *shard) merge(name handle, author freshet.ID, generation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.timeline(name); t.wants(author, generation) && t.reader != author {
		t.by = t.by.with(author)
	}
}

// open makes the timeline that collects deliveries while it is built.
func (h *shard) open(reader freshet.ID, generation uint64) *timeline {
	h.drop(h.find(reader))
	if h.readers.used == h.bound {
		h.drop(h.coldest())
	}
	slot := h.slot()
	t := h.at(slot)
	*t = timeline{reader: reader, generation: generation, slot: slot, turn: t.turn + 1, open: true, held: true}
	h.readers.add(tag(reader), slot)
	h.link(t)
	return t
}

func (h *shard) slot() uint32 {
	if n := len(h.free); n > 0 {
		slot := h.free[n-1]
		h.free = h.free[:n-1]
		return slot
	}
	h.slots++
	if int(h.slots>>pageBits) >= len(h.pages) {
		h.pages = append(h.pages, make([]timeline, pageSize))
	}
	return h.slots
}

// install fills a timeline, unless it was voided while it was built.
func (h *shard) install(t *timeline, pulled []freshet.PostRef, ended bool, length int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !t.dropped && !t.fill(pulled, ended, h.posts, length) {
		h.drop(t)
	}
}

// abandon lets a timeline go that was held to be built. If it was not filled,
// it is taken out of the shard.
func (h *shard) abandon(t *timeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.held = false
	switch {
	case t.dropped:
		h.release(t)
	case t.open:
		h.drop(t)
	}
}

func (h *shard) remove(reader freshet.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(h.find(reader))
}

// clear lets go of all memory. Timelines that are held live on in their pages,
// for nobody but who holds them.
func (h *shard) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for slot := uint32(1); slot <= h.slots; slot++ {
		t := h.at(slot)
		t.slot, t.dropped = 0, true
	}
	h.readers, h.pages, h.slots, h.free, h.ends = index{}, nil, 0, nil, timeline{}
}

func (h *shard) size() (timelines, posts int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for slot := h.ends.newer; slot != 0; slot = h.at(slot).newer {
		posts += int(h.at(slot).count)
	}
	return h.readers.used, posts
}

// drop takes a timeline out. One that is held keeps its slot.
func (h *shard) drop(t *timeline) {
	if t == nil {
		return
	}
	h.readers.remove(tag(t.reader), t.slot)
	h.unlink(t)
	t.dropped, t.ring, t.count, t.by = true, nil, 0, nil
	if !t.held {
		h.release(t)
	}
}

// release gives the slot of a dropped timeline away.
func (h *shard) release(t *timeline) {
	if t.slot != 0 {
		h.free = append(h.free, t.slot)
	}
}

func (h *shard) touch(t *timeline) {
	if h.ends.older != t.slot {
		h.unlink(t)
		h.link(t)
	}
}

// link makes t the most recently read.
func (h *shard) link(t *timeline) {
	t.newer, t.older = 0, h.ends.older
	h.at(t.older).newer, h.ends.older = t.slot, t.slot
}

func (h *shard) unlink(t *timeline) {
	h.at(t.older).newer, h.at(t.newer).older = t.newer, t.older
}
