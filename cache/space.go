package cache

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Space declares one kind of data: what it is called, where it comes from, how long it may be kept.
type Space[K comparable, V any] struct {
	// Name is the space's name in settings, metrics and operations. Required, and unique in its stack.
	Name string
	// Policy is what the program wishes; Options.Policies may override it by Name.
	Policy Policy
	// LoadMany asks the source for keys, which hold no key twice and are the loader's to keep. Required.
	//
	// A key that the map lacks does not exist; an error means that the source could not tell, for any of the keys. The
	// context bears the values of one of those who asked and the deadline Policy.HardTimeout; it is not cancelled when
	// they give up. LoadMany is called from many goroutines at once.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)
	// Weigh returns the memory that a key and its value keep alive, in bytes. With it the space is bounded by
	// Policy.MaxBytes instead of Policy.MaxEntries; the cache adds its own share per entry.
	Weigh func(key K, value V) int
}

// Cache is a space at work. It is safe for concurrent use, and its methods hold no lock while they wait.
type Cache[K comparable, V any] struct {
	// Read by each hit, written seldom or never.
	memory *otter.Cache[K, *entry[V]]
	clock  *otter.CoarseClock
	counts *counts
	floor  atomic.Uint64 // entries with a lower ticket are out of sight; see InvalidateAll

	name     string
	policy   Policy
	loadMany func(context.Context, []K) (map[K]V, error)
	weigh    func(K, V) int
	observer Observer
	stack    *Stack
	seed     maphash.Seed // of the stripes in the fence
	flights  *flights[K, V]
}

// Define adds a space to a stack. It panics if the declaration is incomplete, its policy makes no sense or its name is
// taken, as http.Handle does: these are mistakes of the program, not of its user.
func Define[K comparable, V any](stack *Stack, s Space[K, V]) *Cache[K, V] {
	if s.Name == "" || s.LoadMany == nil {
		panic(fmt.Sprintf("cache: space %q needs a Name and a LoadMany", s.Name))
	}
	if err := s.Policy.validate(); err != nil {
		panic(fmt.Sprintf("cache: policy of space %q: %v", s.Name, err))
	}
	c := &Cache[K, V]{
		clock:    stack.clock,
		counts:   new(counts),
		name:     s.Name,
		policy:   s.Policy.resolve(stack.options.Policies[s.Name]),
		loadMany: s.LoadMany,
		weigh:    s.Weigh,
		observer: nobody{},
		stack:    stack,
		seed:     maphash.MakeSeed(),
		flights:  &flights[K, V]{byKey: make(map[K]flight[K, V])},
	}
	if stack.options.Observe != nil {
		c.observer = stack.options.Observe(s.Name)
	}
	c.memory = c.newMemory()
	stack.add(s.Name, c)
	return c
}

// Get returns the value of key, from memory or from the source, or ErrNotFound. It waits for the source no longer than
// ctx and the policy allow; what it has waited for goes on without it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	e := c.lookup(key)
	if e == nil || readsThrough(ctx) {
		return c.getMissing(ctx, key)
	}
	c.counts.hits.add(1)
	if !e.found {
		return e.value, ErrNotFound
	}
	return e.value, nil
}

func (c *Cache[K, V]) getMissing(ctx context.Context, key K) (V, error) {
	c.counts.misses.Add(1)
	values, found := make([]V, 1), make([]bool, 1)
	err := c.fetch(ctx, []K{key}, []int{0}, values, found)
	if err == nil && !found[0] {
		err = ErrNotFound
	}
	return values[0], err
}

// GetMany returns the values of keys, with one load for all that are not in memory. Absent keys are left out. With an
// error the map holds what could be had.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) (map[K]V, error) {
	values, found := make([]V, len(keys)), make([]bool, len(keys))
	err := c.GetInto(ctx, keys, values, found)
	m := make(map[K]V, len(keys))
	for i, key := range keys {
		if found[i] {
			m[key] = values[i]
		}
	}
	return m, err
}

// GetInto is GetMany for the hot path: it fills values[i] and found[i] for each keys[i], and allocates nothing if all of
// them are in memory. values and found are at least as long as keys. With an error, found tells what could be had.
func (c *Cache[K, V]) GetInto(ctx context.Context, keys []K, values []V, found []bool) error {
	values, found = values[:len(keys)], found[:len(keys)]
	through := readsThrough(ctx)
	var missing []int
	for i, key := range keys {
		e := c.lookup(key)
		if e == nil || through {
			var zero V
			values[i], found[i] = zero, false
			missing = append(missing, i)
			continue
		}
		values[i], found[i] = e.value, e.found
	}
	c.counts.hits.add(uint64(len(keys) - len(missing)))
	if missing == nil {
		return nil
	}
	c.counts.misses.Add(uint64(len(missing)))
	return c.fetch(ctx, keys, missing, values, found)
}

// Put stores what the source holds under key since a write that has just been committed. Loads in flight that began
// before are dropped. Of concurrent changes of one key at most one stays, and where it is not certain which, none.
//
// Put cannot tell an old value from a new one: callers who write one key at the same time must be sure that they put in
// the order in which they wrote, or use Invalidate.
func (c *Cache[K, V]) Put(_ context.Context, key K, value V) error {
	c.put(key, c.newEntry(key, value, true, c.stack.fence.ticket(), c.clock.NowNano()))
	return nil
}

// Invalidate forgets keys, also those known to be absent. Call it after the source has changed. A read that begins after
// it has returned neither sees what was there before nor joins a load that began before.
func (c *Cache[K, V]) Invalidate(_ context.Context, keys ...K) error {
	ticket := c.stack.fence.ticket()
	for _, key := range keys {
		c.stack.fence.raise(c.hash(key), ticket)
		c.memory.Invalidate(key)
	}
	return nil
}

// InvalidateAll forgets everything in the space, with the promise of Invalidate. All entries are out of sight at once;
// to free them takes time in proportion to their number.
func (c *Cache[K, V]) InvalidateAll(context.Context) error {
	c.invalidateAll()
	return nil
}

func (c *Cache[K, V]) invalidateAll() {
	raise(&c.floor, c.stack.fence.ticket())
	c.memory.InvalidateAll()
}

func (c *Cache[K, V]) snapshot() Stats {
	return Stats{
		Name:        c.name,
		Entries:     c.memory.EstimatedSize(),
		Hits:        c.counts.hits.sum(),
		Misses:      c.counts.misses.Load(),
		Loads:       c.counts.loads.Load(),
		Refused:     c.counts.refused.Load(),
		LoadErrors:  c.counts.loadErrors.Load(),
		StaleServed: c.counts.staleServed.Load(),
		Evictions:   c.counts.evictions.Load(),
	}
}

func (c *Cache[K, V]) refuseLoads() time.Duration {
	c.flights.close()
	return c.policy.HardTimeout
}

func (c *Cache[K, V]) stop() { c.memory.StopAllGoroutines() }

// hash places key on the fence.
func (c *Cache[K, V]) hash(key K) uint64 { return maphash.Comparable(c.seed, key) }
