package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Space declares one kind of data: what it is called, where it comes from, how long it may be kept.
type Space[K comparable, V any] struct {
	// Name is the space's name in settings, metrics and operations, and begins its keys in the remote layer. Required,
	// unique in its stack, and without a colon.
	Name string
	// Policy is what the program wishes; Options.Policies may override it by Name.
	Policy Policy
	// LoadMany asks the source for keys, which hold no key twice and are the loader's to keep. Required.
	//
	// A key that the map lacks does not exist; an error means that the source could not tell, for any of the keys. The
	// context bears the values of one of those who asked and the deadline Policy.HardTimeout; it is not cancelled when
	// they give up. Where the source has replicas, Need tells the loader what it must have reached, and the loader
	// reports with ReadAt where it has read. LoadMany is called from many goroutines at once.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)
	// Hot names keys that are kept in memory, whether or not anybody reads them: loaded at the start, again in the last quarter
	// of their TTL, and within about 100 ms after an invalidation; on all nodes, by one load. It is asked again every 10 s, with
	// the deadline Policy.HardTimeout; after an error the last list stands. Of more than 10,000 keys the first are kept, as
	// far as MaxEntries, or MaxBytes, has room for them. Default: none.
	Hot func(ctx context.Context) ([]K, error)
	// Weigh returns the memory that a key and its value keep alive, in bytes. With it the space is bounded by
	// Policy.MaxBytes instead of Policy.MaxEntries; the cache adds its own share per entry.
	Weigh func(key K, value V) int
	// Key writes a key as text, no two alike. Required unless K is a kind of string, of integer of 64 bits, or of
	// array of bytes; with it a hit allocates that text.
	Key func(key K) string
	// Tags returns the tags that a value bears: InvalidateTags ends all values that bear one.
	Tags func(key K, value V) []string
	// Codec makes bytes of values for the remote layer. Default JSON.
	Codec Codec[V]
	// Equal reports whether two values say the same, for audits. Default: their bytes are equal; see Codec.
	Equal func(a, b V) bool
	// Version is the schema of the bytes. A program that writes other ones for the same V raises it, and neither reads
	// what the other has left behind.
	Version uint64
	// Local keeps values out of the remote layer; their fences go there all the same, so that all nodes hear of them.
	Local bool
}

// Cache is a space at work. It is safe for concurrent use, and its methods hold no lock while they wait.
type Cache[K comparable, V any] struct {
	// Read by each hit, written seldom or never.
	near   near
	memory memory
	clock  *otter.CoarseClock
	counts *counts
	trust  *trust
	floor  atomic.Uint64 // entries with a lower ticket are out of sight; see InvalidateAll
	kind   keyKind
	// auditBelow is how many of the 2^64 places of a hit are audited; 0: none.
	auditBelow uint64

	stack    *Stack
	name     string
	policy   Policy
	loadMany func(context.Context, []K) (map[K]V, error)
	weigh    func(K, V) int
	keyOf    func(K) string
	tags     func(K, V) []string
	codec    Codec[V] // nil: no values in the remote layer
	version  uint64
	observer Observer
	salt     uint64 // of the stripes in the fence
	flights  *flights[K, V]
	equal    func(a, b V) bool
	auditing atomic.Bool // the auditor waits for the loader

	spaceTagNames []string // that each entry bears; none where nobody could fence it
	spaceTag      []*tag
}

// Define adds a space to a stack. It panics if the declaration is incomplete, its policy makes no sense or its name is
// taken, as http.Handle does: these are mistakes of the program, not of its user.
func Define[K comparable, V any](stack *Stack, s Space[K, V]) *Cache[K, V] {
	if s.Name == "" || strings.Contains(s.Name, ":") || s.LoadMany == nil {
		panic(fmt.Sprintf("cache: space %q needs a Name without a colon and a LoadMany", s.Name))
	}
	if err := s.Policy.validate(); err != nil {
		panic(fmt.Sprintf("cache: policy of space %q: %v", s.Name, err))
	}
	kind, plain := kindOf[K]()
	switch {
	case s.Key != nil:
		kind = keyCoded
	case !plain:
		panic(fmt.Sprintf("cache: space %q needs a Key to write a %v as text", s.Name, reflect.TypeFor[K]()))
	}
	c := &Cache[K, V]{
		clock:    stack.clock,
		trust:    stack.trust,
		counts:   new(counts),
		kind:     kind,
		name:     s.Name,
		policy:   s.Policy.resolve(stack.options.Policies[s.Name], stack.options.AuditEvery),
		loadMany: s.LoadMany,
		weigh:    s.Weigh,
		keyOf:    s.Key,
		tags:     s.Tags,
		version:  s.Version,
		observer: nobody{},
		stack:    stack,
		salt:     rand.Uint64(),
		flights:  &flights[K, V]{byKey: make(map[K]flight[K, V])},
	}
	if stack.channel != nil {
		c.spaceTagNames = slices.Clip([]string{spaceTag(s.Name)}) // who appends to it has a copy
		c.spaceTag = stack.tags.intern(c.spaceTagNames)
	}
	if stack.options.Observe != nil {
		c.observer = stack.options.Observe(s.Name)
	}
	if s.Codec == nil {
		s.Codec = JSON[V]()
	}
	if stack.remote != nil && !s.Local {
		c.codec = s.Codec
	}
	if c.equal = s.Equal; c.equal == nil {
		c.equal = equalBytes(s.Codec)
	}
	o := memoryOptions{
		words: kind == keyWord, clock: stack.clock, staleFor: c.policy.StaleFor,
		maxEntries: c.policy.MaxEntries, evicted: func() { c.counts.evictions.Add(1) },
	}
	if c.weigh != nil {
		o.maxBytes = c.policy.MaxBytes
	}
	c.near = newNear(c.policy.MaxEntries)
	c.memory = newMemory(o)
	var tasks []func(context.Context)
	if c.auditBelow = auditBelow(c.policy.AuditEvery); c.auditBelow > 0 {
		tasks = append(tasks, stack.auditor.run)
	}
	if s.Hot != nil {
		tasks = append(tasks, (&keeper[K, V]{Cache: c, ask: s.Hot}).run)
	}
	stack.add(s.Name, c, tasks...)
	return c
}

// Get returns the value of key, from memory, the remote layer or the source, or ErrNotFound. It waits no longer than ctx and
// the policy allow; what it has waited for goes on without it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	cell := c.counts.hits.cell()
	e := c.hit(ctx, key, cell.chosen())
	if e == nil {
		return c.getMissing(ctx, key)
	}
	if n := cell.add(1); c.sampled(n) {
		c.sample(ctx, key, e)
	}
	if e.refreshAt != 0 {
		c.refreshAhead(ctx, key, e)
	}
	if !e.found {
		return c.value(e), ErrNotFound
	}
	return c.value(e), nil
}

func (c *Cache[K, V]) getMissing(ctx context.Context, key K) (value V, err error) {
	c.counts.misses.Add(1)
	if err := ctx.Err(); err != nil {
		return value, err
	}
	w := c.newWaiter(ctx)
	e, err := w.wait(c.joinOne(ctx, key))
	switch {
	case err == nil && !e.found:
		return c.value(e), ErrNotFound
	case err == nil:
		return c.value(e), nil
	case ctx.Err() != nil:
		return value, ctx.Err()
	}
	return value, err
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
	options, cell := optionsOf(ctx), c.counts.hits.cell()
	chosen := cell.chosen() // all of them, or none
	var missing []int
	for i, key := range keys {
		var e *entry
		if options == nil {
			e = c.lookup(key, chosen)
		} else {
			e = c.hitFor(ctx, options, key, chosen)
		}
		if e == nil {
			var zero V
			values[i], found[i] = zero, false
			missing = append(missing, i)
			continue
		}
		values[i], found[i] = c.value(e), e.found
		if e.refreshAt != 0 {
			c.refreshAhead(ctx, key, e)
		}
	}
	if hits := len(keys) - len(missing); hits > 0 {
		if n := cell.add(uint64(hits)); c.sampled(n) {
			c.sampleOne(ctx, keys)
		}
	}
	if missing == nil {
		return nil
	}
	c.counts.misses.Add(uint64(len(missing)))
	return c.fetch(ctx, keys, missing, values, found)
}

func (c *Cache[K, V]) snapshot() Stats {
	return Stats{
		Name:         c.name,
		Entries:      c.memory.size(),
		Bytes:        c.memory.bytes(),
		Hits:         c.counts.hits.sum(),
		Misses:       c.counts.misses.Load(),
		Loads:        c.counts.loads.Load(),
		Refused:      c.counts.refused.Load(),
		LoadErrors:   c.counts.loadErrors.Load(),
		StaleServed:  c.counts.staleServed.Load(),
		Hot:          int(c.counts.hot.Load()),
		Evictions:    c.counts.evictions.Load(),
		LoadTime:     c.counts.loadTime.snapshot(),
		RemoteHits:   c.counts.remoteHits.Load(),
		RemoteMisses: c.counts.remoteMisses.Load(),
		Rejected:     c.counts.rejected.Load(),
		Undecodable:  c.counts.undecodable.Load(),
		Unstorable:   c.counts.unstorable.Load(),

		Audited:       c.counts.audited.Load(),
		AuditsDropped: c.counts.auditsDropped.Load(),
		AuditsFailed:  c.counts.auditsFailed.Load(),
		StaleReads:    c.counts.staleReads.Load(),
	}
}

func (c *Cache[K, V]) refuseLoads() time.Duration {
	c.flights.close()
	return c.policy.HardTimeout
}

func (c *Cache[K, V]) stop() { c.memory.stop() }
