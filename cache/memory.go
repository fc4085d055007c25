package cache

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/freshet/freshet/position"
	"github.com/maypok86/otter/v2"
)

// An entry is what memory holds under a key: a value, or the knowledge that there is none. It does not change. The engine
// holds a pointer to it: a hit then copies one word through the engine's layers (50 ns against 77 with the entry inline).
type entry struct {
	read       *span                  // nil: where is not known
	place      *atomic.Pointer[entry] // see near
	refreshing atomic.Bool
	weight     uint32
	kept       bool // worth keeping in memory

	// Read by each hit, with the value behind.
	found      bool
	dead       atomic.Bool // the engine has let go of it
	key        key
	refreshAt  int64  // on the stack's clock; 0: never
	freshUntil int64  // on the stack's clock
	ticket     uint64 // taken before the source was asked, or by Put; orders entries by their age
	epoch      uint64 // of tags, known when the load began
	tags       []*tag
}

// typed is the entry of a space with values of type V: the engine knows its first field alone.
type typed[V any] struct {
	entry
	value V
}

// value returns what an entry of a space of V holds.
func (c *Cache[K, V]) value(e *entry) V { return (*typed[V])(unsafe.Pointer(e)).value }

// entryBytes is what an entry takes besides its key and value: 122 B of the engine (measured, research/cache.md 4a), and the
// fields above as the allocator rounds them.
const entryBytes = 122 + 144

// memory is the engine of one space; one of the two is there, as its keys are.
type memory struct {
	words *otter.Cache[int64, *entry]
	texts *otter.Cache[string, *entry]

	weighed bool
}

// memoryOptions says what the engine must know of a space.
type memoryOptions struct {
	words      bool
	clock      otter.Clock
	maxEntries int
	maxBytes   int // in place of maxEntries if not zero
	staleFor   time.Duration
	evicted    func()
}

func newMemory(o memoryOptions) memory {
	if o.words {
		return memory{words: newEngine[int64](o), weighed: o.maxBytes > 0}
	}
	return memory{texts: newEngine[string](o), weighed: o.maxBytes > 0}
}

func newEngine[K comparable](o memoryOptions) *otter.Cache[K, *entry] {
	options := &otter.Options[K, *entry]{
		Clock: o.clock,
		// A stale entry is kept for as long as it may be served. The engine takes a duration that is not positive for
		// "no change", so an entry that has ended already (its load took longer than its TTL) ends a nanosecond from now.
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[K, *entry]) time.Duration {
			left := time.Duration(e.Value.freshUntil - e.SnapshotAtNano)
			if e.Value.found {
				left += o.staleFor
			}
			return max(left, 1)
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[K, *entry]) {
			e.Value.die()
			if e.Cause == otter.CauseOverflow {
				o.evicted()
			}
		},
	}
	if o.maxBytes == 0 {
		options.MaximumSize = o.maxEntries
	} else {
		options.MaximumWeight = uint64(o.maxBytes)
		options.Weigher = func(_ K, e *entry) uint32 { return e.weight }
	}
	return otter.Must(options)
}

// peek is a read that counts for nothing in the choice of what to evict.
func (m memory) peek(k key) (*entry, bool) {
	if m.words != nil {
		e, ok := m.words.GetEntryQuietly(k.n)
		return e.Value, ok
	}
	e, ok := m.texts.GetEntryQuietly(k.s)
	return e.Value, ok
}

// compute replaces the entry of k by what decide makes of it, under the lock of its hash bucket.
func (m memory) compute(k key, decide func(old *entry, present bool) (*entry, otter.ComputeOp)) {
	if m.words != nil {
		m.words.Compute(k.n, decide)
		return
	}
	m.texts.Compute(k.s, decide)
}

func (m memory) drop(k key) {
	if m.words != nil {
		m.words.Invalidate(k.n)
		return
	}
	m.texts.Invalidate(k.s)
}

func (m memory) dropAll() {
	if m.words != nil {
		m.words.InvalidateAll()
		return
	}
	m.texts.InvalidateAll()
}

func (m memory) size() int {
	if m.words != nil {
		return m.words.EstimatedSize()
	}
	return m.texts.EstimatedSize()
}

// bytes is the weight of all entries; 0 where they are not weighed.
func (m memory) bytes() uint64 {
	switch {
	case !m.weighed:
		return 0
	case m.words != nil:
		return m.words.WeightedSize()
	}
	return m.texts.WeightedSize()
}

func (m memory) stop() {
	if m.words != nil {
		m.words.StopAllGoroutines()
		return
	}
	m.texts.StopAllGoroutines()
}

// origin is what an entry has of the load, or of the write, that brought it.
type origin struct {
	ticket uint64
	asOf   int64 // when it began, on the stack's clock
	epoch  uint64
	read   *span
}

// span is where the source was read: see position.Reading. It does not change.
type span struct{ low, high position.Token }

// spanOf is nil where nothing is known, as it is of a source without positions.
func spanOf(low, high position.Token) *span {
	if len(low) == 0 && len(high) == 0 {
		return nil
	}
	return &span{low, high}
}

// low is up to where what was read has everything.
func (e *entry) low() position.Token {
	if e.read == nil {
		return nil
	}
	return e.read.low
}

// high is above which it has nothing.
func (e *entry) high() position.Token {
	if e.read == nil {
		return nil
	}
	return e.read.high
}

// newEntry makes the entry of a value, or of an absence, that was true at the time of its origin.
func (c *Cache[K, V]) newEntry(k K, value V, found bool, o origin) *entry {
	return c.makeEntry(k, value, found, o, o.asOf+int64(c.policy.lifetime(found)))
}

// makeEntry makes one that is fresh until a time; where no channel tells of fences, that is at most MaxStale after its load,
// or its read of the remote layer, began.
func (c *Cache[K, V]) makeEntry(k K, value V, found bool, o origin, freshUntil int64) *entry {
	if c.boundedByAge() {
		freshUntil = min(freshUntil, o.asOf+int64(c.stack.options.MaxStale-2*clockResolution))
	}
	var weight uint64
	if c.weigh != nil {
		weight = entryBytes + uint64(max(0, c.weigh(k, value)))
	}
	layers := c.key(k)
	e := &typed[V]{
		entry: entry{
			key:        layers,
			place:      c.place(layers),
			freshUntil: freshUntil,
			ticket:     o.ticket,
			read:       o.read,
			epoch:      o.epoch,
			weight:     uint32(min(weight, math.MaxUint32)),
			found:      found,
		},
		value: value,
	}
	if e.tags = c.spaceTag; found && c.tags != nil {
		e.tags = c.stack.tags.intern(c.tagsOf(k, value, found))
	}
	return &e.entry
}

// tagsOf returns the tags of a value, and in front of them that of its space where other nodes can fence it. They are to be
// read only.
func (c *Cache[K, V]) tagsOf(k K, value V, found bool) []string {
	names := c.spaceTagNames
	if found && c.tags != nil {
		for _, name := range c.tags(k, value) {
			names = append(names, ownTag(name))
		}
	}
	return names
}

// lookup returns the entry of k if it may be served without asking the source, else nil. One that is chosen is seen by the
// engine; see near.
func (c *Cache[K, V]) lookup(k K, chosen bool) *entry {
	if c.kind == keyWord {
		n := word(k)
		place := c.near.at(c.mixWord(n))
		if e := place.Load(); e != nil && e.key.n == n && !chosen && c.current(e) && !e.dead.Load() {
			return e
		}
		e, ok := c.memory.words.GetIfPresent(n)
		return c.found(place, e, ok, chosen)
	}
	text := c.key(k).s
	place := c.near.at(maphash.String(seed, text))
	if e := place.Load(); e != nil && e.key.s == text && !chosen && c.current(e) && !e.dead.Load() {
		return e
	}
	e, ok := c.memory.texts.GetIfPresent(text)
	return c.found(place, e, ok, chosen)
}

// found is the end of a lookup that went to the engine.
func (c *Cache[K, V]) found(place *atomic.Pointer[entry], e *entry, ok, chosen bool) *entry {
	if !ok || !c.current(e) {
		return nil
	}
	keep(place, e, chosen)
	return e
}

// place is where k may be near.
func (c *Cache[K, V]) place(k key) *atomic.Pointer[entry] {
	if c.kind == keyWord {
		return c.near.at(c.mixWord(k.n))
	}
	return c.near.at(maphash.String(seed, k.s))
}

// recheck is lookup that counts for nothing in the choice of what to evict.
func (c *Cache[K, V]) recheck(k key) *entry {
	e, ok := c.memory.peek(k)
	if !ok || !c.current(e) {
		return nil
	}
	return e
}

// lastResort returns the entry of k if it may be served where the source has not answered: one that has not been
// invalidated, and is fresh by now or not further past its TTL than Policy.StaleFor. Else nil.
func (c *Cache[K, V]) lastResort(k key) *entry {
	e, ok := c.memory.peek(k)
	if !ok || !c.valid(e) {
		return nil
	}
	late := time.Duration(c.clock.NowNano() - e.freshUntil)
	if late < 0 {
		return e
	}
	if !e.found || late >= c.policy.StaleFor {
		return nil
	}
	c.counts.staleServed.Add(1)
	c.observer.ServedStale(late)
	return e
}

// current reports whether e is fresh and valid.
func (c *Cache[K, V]) current(e *entry) bool {
	now := c.clock.NowNano()
	return e.freshUntil > now && c.validAt(e, now)
}

// valid reports whether nothing has ended e before its time.
func (c *Cache[K, V]) valid(e *entry) bool { return c.validAt(e, c.clock.NowNano()) }

// validAt asks for what ends entries: InvalidateAll, what the channel has lost, its silence, tags.
func (c *Cache[K, V]) validAt(e *entry, now int64) bool {
	return e.ticket >= c.floor.Load() && e.ticket >= c.trust.floor.Load() && c.trust.until.Load() > now &&
		(e.tags == nil || tagged(e.tags, e.epoch))
}

// fill stores what a load has brought, unless the key has changed since the load began or holds something newer. A value
// that is not to be remembered replaces an older one by nothing: what the source no longer has must not come back as stale.
func (c *Cache[K, V]) fill(k key, e *entry) {
	hash, remember := c.hash(k), e.found || c.policy.NegativeTTL > 0
	c.memory.compute(k, func(old *entry, present bool) (*entry, otter.ComputeOp) {
		switch {
		case !c.open(hash, e.ticket), present && old.ticket > e.ticket:
			return old, otter.CancelOp
		case !remember:
			return old, otter.InvalidateOp
		default:
			return e, otter.WriteOp
		}
	})
}

// put closes k to the loads that began before e and stores e. If the key may have changed again by then, it is left empty,
// unless it holds something newer.
func (c *Cache[K, V]) put(k key, e *entry) {
	hash := c.hash(k)
	c.stack.fence.raise(hash, e.ticket)
	c.memory.compute(k, func(old *entry, present bool) (*entry, otter.ComputeOp) {
		switch {
		case present && old.ticket > e.ticket:
			return old, otter.CancelOp
		case !c.open(hash, e.ticket):
			return old, otter.InvalidateOp
		default:
			return e, otter.WriteOp
		}
	})
}

// forget closes k to the loads that began before and drops what memory holds of it.
func (c *Cache[K, V]) forget(k key) {
	c.stack.fence.raise(c.hash(k), c.stack.fence.ticket())
	c.memory.drop(k)
}

// open reports whether a key, whose hash is given, has not been changed since ticket was taken.
func (c *Cache[K, V]) open(hash, ticket uint64) bool {
	return c.stack.fence.open(hash, ticket) && ticket >= c.floor.Load() && ticket >= c.trust.floor.Load()
}
