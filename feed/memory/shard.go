package memory

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
)

// shard holds the timelines of a part of the readers, in the order in which
// they were read last.
type shard struct {
	mu        sync.Mutex
	timelines map[freshet.ID]*timeline
	ends      timeline // newer is the least, older the most recently read: a ring
	bound     int
	_         [64]byte // shards are neighbours in memory; their locks are not
}

const (
	shardBits  = 6
	shardCount = 1 << shardBits
)

// newShards makes one shard where few readers are wanted, so that their order
// is exact, and else as many as never meet on few processors.
func newShards(readers int) []shard {
	n := 1
	if readers >= 64*shardCount {
		n = shardCount
	}
	shards := make([]shard, n)
	for i := range shards {
		shards[i].bound = readers / n
		shards[i].timelines = make(map[freshet.ID]*timeline)
		shards[i].reset()
	}
	return shards
}

func (e *Engine) shard(reader freshet.ID) *shard { return shardOf(e.shards, reader) }
func (e *Engine) ring(author freshet.ID) *shard  { return shardOf(e.rings, author) }

func shardOf(shards []shard, owner freshet.ID) *shard {
	return &shards[mix(owner)>>(64-shardBits)&uint64(len(shards)-1)]
}

// mix spreads ids, whose lower bits are a bucket and a sequence (Fibonacci hashing).
func mix(id freshet.ID) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 }

// read copies the next part of the reader's timeline and tells from where it is
// complete, and by which plan it was filled. n is negative if the source must be
// asked; then build, if not nil, is a timeline that the caller is the one to fill.
func (h *shard) read(s *scan, generation *atomic.Uint64, into []freshet.PostRef) (n int, floor freshet.ID, by plan, build *timeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := generation.Load()
	t := h.timelines[s.reader]
	if t == nil || t.generation != now {
		if !s.fromTop || len(s.refs) > 0 {
			return -1, 0, plan{}, nil // whoever reads on may never come back to the top
		}
		return -1, 0, plan{}, h.open(s.reader, now)
	}
	h.touch(t)
	t.unread = 0
	if t.open {
		return -1, 0, plan{}, nil // a pull of one page is sooner done than the build
	}
	return t.below(s.last, into), t.completeFrom, t.plan, nil
}

// unreadLengths is how many times over a timeline is written without being read
// before it is dropped: its reader has gone, and one pull makes it again.
const unreadLengths = 16

// deliver enters a post into the timeline of a reader who has one of this generation.
func (h *shard) deliver(reader freshet.ID, post freshet.PostRef, generation uint64, length int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.timelines[reader]
	if t == nil || t.generation != generation || t.merges(post.Author) || !t.insert(post, length) {
		return false
	}
	if t.unread++; t.unread == unreadLengths*length {
		h.drop(t)
	}
	return true
}

// wants reports whether deliveries of an author's posts to a reader are of use.
func (h *shard) wants(reader, author freshet.ID, generation uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.timelines[reader]
	return t != nil && t.generation == generation && !t.merges(author)
}

// plan settles whose posts an open timeline is to get.
func (h *shard) plan(t *timeline, p plan) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.plan = p
}

// merge has a reader merge an author from here on.
func (h *shard) merge(reader, author freshet.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.timelines[reader]; t != nil {
		if at, found := slices.BinarySearch(t.merged, author); !found {
			t.merged = slices.Insert(slices.Clone(t.merged), at, author)
		}
	}
}

// open makes the timeline that collects deliveries while it is built.
func (h *shard) open(reader freshet.ID, generation uint64) *timeline {
	h.drop(h.timelines[reader])
	if len(h.timelines) == h.bound {
		h.drop(h.ends.newer)
	}
	t := &timeline{reader: reader, generation: generation, open: true}
	h.timelines[reader] = t
	h.link(t)
	return t
}

// install fills a timeline, unless it was voided while it was built.
func (h *shard) install(t *timeline, pulled []freshet.PostRef, ended bool, length int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timelines[t.reader] == t {
		t.fill(pulled, ended, length)
	}
}

// abandon takes a timeline that was not filled out of the shard.
func (h *shard) abandon(t *timeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.open && h.timelines[t.reader] == t {
		h.drop(t)
	}
}

func (h *shard) remove(reader freshet.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(h.timelines[reader])
}

func (h *shard) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.timelines)
	h.reset()
}

func (h *shard) size() (timelines, posts int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.timelines {
		posts += len(t.posts)
	}
	return len(h.timelines), posts
}

func (h *shard) drop(t *timeline) {
	if t == nil {
		return
	}
	delete(h.timelines, t.reader)
	t.older.newer, t.newer.older = t.newer, t.older
}

func (h *shard) touch(t *timeline) {
	if h.ends.older != t {
		t.older.newer, t.newer.older = t.newer, t.older
		h.link(t)
	}
}

// link makes t the most recently read.
func (h *shard) link(t *timeline) {
	t.newer, t.older = &h.ends, h.ends.older
	t.older.newer, h.ends.older = t, t
}

func (h *shard) reset() { h.ends.older, h.ends.newer = &h.ends, &h.ends }
