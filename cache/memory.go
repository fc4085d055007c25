package cache

import (
	"math"
	"time"

	"github.com/maypok86/otter/v2"
)

// An entry is what memory holds under a key: a value, or the knowledge that there is none. It does not change. The engine
// holds a pointer to it: a hit then copies one word through the engine's layers (50 ns against 77 with the entry inline).
type entry[V any] struct {
	value      V
	freshUntil int64  // on the stack's clock
	ticket     uint64 // taken before the source was asked, or by Put; orders entries by their age
	weight     uint32
	found      bool
}

// entryBytes is what an entry takes besides its key and value: 122 B of the engine (measured, research/cache.md 4a), and the
// fields above as the allocator rounds them.
const entryBytes = 176

func (c *Cache[K, V]) newMemory() *otter.Cache[K, *entry[V]] {
	options := &otter.Options[K, *entry[V]]{
		Clock: c.clock,
		// A stale entry is kept for as long as it may be served. The engine takes a duration that is not positive for
		// "no change", so an entry that has ended already (its load took longer than its TTL) ends a nanosecond from now.
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[K, *entry[V]]) time.Duration {
			left := time.Duration(e.Value.freshUntil - e.SnapshotAtNano)
			if e.Value.found {
				left += c.policy.StaleFor
			}
			return max(left, 1)
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[K, *entry[V]]) {
			if e.Cause == otter.CauseOverflow {
				c.counts.evictions.Add(1)
			}
		},
	}
	if c.weigh == nil {
		options.MaximumSize = c.policy.MaxEntries
	} else {
		options.MaximumWeight = uint64(c.policy.MaxBytes)
		options.Weigher = func(_ K, e *entry[V]) uint32 { return e.weight }
	}
	return otter.Must(options)
}

// newEntry makes the entry of a value, or of an absence, that was true at time asOf.
func (c *Cache[K, V]) newEntry(key K, value V, found bool, ticket uint64, asOf int64) *entry[V] {
	var weight uint64
	if c.weigh != nil {
		weight = entryBytes + uint64(max(0, c.weigh(key, value)))
	}
	return &entry[V]{
		value:      value,
		freshUntil: asOf + int64(c.policy.lifetime(found)),
		ticket:     ticket,
		weight:     uint32(min(weight, math.MaxUint32)),
		found:      found,
	}
}

// lookup returns the entry of key if it may be served without asking the source, else nil.
func (c *Cache[K, V]) lookup(key K) *entry[V] {
	e, ok := c.memory.GetIfPresent(key)
	if !ok || !c.current(e) {
		return nil
	}
	return e
}

// recheck is lookup that counts for nothing in the choice of what to evict.
func (c *Cache[K, V]) recheck(key K) *entry[V] {
	e, ok := c.memory.GetEntryQuietly(key)
	if !ok || !c.current(e.Value) {
		return nil
	}
	return e.Value
}

// lastResort returns the entry of key if it may be served where the source has not answered: one that has not been
// invalidated, and is fresh by now or not further past its TTL than Policy.StaleFor. Else nil.
func (c *Cache[K, V]) lastResort(key K) *entry[V] {
	found, ok := c.memory.GetEntryQuietly(key)
	if !ok || found.Value.ticket < c.floor.Load() {
		return nil
	}
	e := found.Value
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

// current reports whether e is fresh and no InvalidateAll has come after it.
func (c *Cache[K, V]) current(e *entry[V]) bool {
	return e.freshUntil > c.clock.NowNano() && e.ticket >= c.floor.Load()
}

// fill stores what a load has brought, unless the key has changed since the load began or holds something newer. A value
// that is not to be remembered replaces an older one by nothing: what the source no longer has must not come back as stale.
func (c *Cache[K, V]) fill(key K, e *entry[V]) {
	hash, remember := c.hash(key), e.found || c.policy.NegativeTTL > 0
	c.memory.Compute(key, func(old *entry[V], present bool) (*entry[V], otter.ComputeOp) {
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

// put closes key to the loads that began before e and stores e. If the key may have changed again by then, it is left empty,
// unless it holds something newer.
func (c *Cache[K, V]) put(key K, e *entry[V]) {
	hash := c.hash(key)
	c.stack.fence.raise(hash, e.ticket)
	c.memory.Compute(key, func(old *entry[V], present bool) (*entry[V], otter.ComputeOp) {
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

// open reports whether key, whose hash is given, has not been changed since ticket was taken.
func (c *Cache[K, V]) open(hash, ticket uint64) bool {
	return c.stack.fence.open(hash, ticket) && ticket >= c.floor.Load()
}
