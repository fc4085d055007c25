package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/position"
)

// A load is one call of the loader for one or more keys, and what its waiters wait for. It belongs to none of them:
//
//	Get(1)  ──┐                    ┌─ goroutine of its own ───────────┐
//	Get(1)  ──┼─ join ── load ─────┤ LoadMany(1, 2) until HardTimeout │
//	GetMany ──┘  (mu)   [1, 2]     │ fill memory, leave, close done   │
//	(1, 2)                         └──────────────────────────────────┘
//
// A load of one key is first read from the remote layer together with others; see gather.
//
// A load fills memory before it leaves the table of flights, and who finds no flight looks into memory again while he
// holds the table: so nobody misses both, and a key that is asked for by many is loaded once.
type load[K comparable, V any] struct {
	origin
	ctx      context.Context // of who began it: its values are for the loader, its end is not
	began    time.Time
	need     position.Token // what the source must have reached
	fences   uint64         // of tags, that this node knew when it began
	past     bool           // reads past the remote layer
	told     told           // what need covers of what was fenced here
	latest   bool           // the source's primary is to be asked, unless a lease tells of the fences of the keys
	after    int64          // a value of the remote layer that ends before is to be renewed ahead of its time; 0: none is
	keys     []K
	finished atomic.Bool
	one      [1]K          // is keys where there is one
	done     chan struct{} // closed when entries and err are set
	entries  []*entry      // by the index of keys; nil with err
	err      error
}

// flight is the place of one key in a load.
type flight[K comparable, V any] struct {
	load *load[K, V]
	at   int
	late bool // joined when a tag had been fenced since the load began: of that key, perhaps
}

// flights are the loads of a space that can be joined, by key. Lock order: mu before the locks of the engine.
type flights[K comparable, V any] struct {
	mu      sync.Mutex
	byKey   map[K]flight[K, V]
	running int // calls of the loader that have not returned, at most Policy.MaxLoads
	closed  bool

	gathered []*load[K, V] // wait for a reader
	readers  int
}

var errLoaderExited = errors.New("loader called runtime.Goexit")

// join returns a flight for each of the missing keys, and starts the load of those that nobody loads yet.
func (c *Cache[K, V]) join(ctx context.Context, keys []K, missing []int) []flight[K, V] {
	joined := make([]flight[K, V], len(missing))
	past := c.stack.readsPast(ctx)
	var own *load[K, V]

	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	for j, i := range missing {
		joined[j] = c.board(ctx, keys[i], past, &own)
	}
	c.start(own)
	return joined
}

// joinOne is join for one key.
func (c *Cache[K, V]) joinOne(ctx context.Context, key K) flight[K, V] {
	past := c.stack.readsPast(ctx)
	var own *load[K, V]

	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	f := c.board(ctx, key, past, &own)
	c.start(own)
	return f
}

// board returns the flight of a load that has key, and where there is none makes the key part of own, which it makes of nil.
// The caller holds the flights.
func (c *Cache[K, V]) board(ctx context.Context, key K, past bool, own **load[K, V]) flight[K, V] {
	if f, ok := c.flights.byKey[key]; ok && (f.load == *own || !past && c.joinable(key, f.load)) {
		f.late = f.load != *own && c.stack.tags.fences.Load() != f.load.fences
		return f
	}
	if e := c.recheck(c.key(key)); e != nil && !past {
		return flight[K, V]{load: landed[K, V](key, e)}
	}
	if *own == nil {
		*own = c.newLoad(ctx, past)
	}
	l := *own
	f := flight[K, V]{load: l, at: len(l.keys)}
	l.keys = append(l.keys, key)
	l.latest = l.latest || c.doubts(c.hash(c.key(key)), l.told)
	if l.err == nil {
		c.flights.byKey[key] = f
	}
	return f
}

// joinable reports whether a load in flight may answer who asks for key now: nothing that this node was told has ended the key
// since the load began. While it may not have been told, the load must be as young as what memory would have to be.
func (c *Cache[K, V]) joinable(key K, l *load[K, V]) bool {
	if !c.open(c.hash(c.key(key)), l.ticket) {
		return false
	}
	now := c.clock.NowNano()
	told := !c.boundedByAge() && c.trust.until.Load() > now
	return told || now-l.asOf < int64(c.stack.options.MaxStale-2*clockResolution)
}

// start sets a load going, unless it is nil or has failed already. The caller holds the flights.
func (c *Cache[K, V]) start(l *load[K, V]) {
	if l == nil || l.err != nil {
		return
	}
	c.flights.running++
	if len(l.keys) == 1 && c.asksRemote(l) {
		c.gather(l)
		return
	}
	c.stack.loads.Go(func() { c.run(l, nil) })
}

// asksRemote reports whether the remote layer is to be asked before the source.
func (c *Cache[K, V]) asksRemote(l *load[K, V]) bool {
	return c.codec != nil && !l.past && c.stack.link.reads()
}

// newLoad returns a load without keys, which has failed already if no further one may begin. The caller holds the flights.
func (c *Cache[K, V]) newLoad(ctx context.Context, past bool) *load[K, V] {
	t := c.stack.feedTold.get() // before what it says of applied
	l := &load[K, V]{
		origin: origin{ticket: c.stack.fence.ticket(), asOf: c.clock.NowNano(), epoch: c.stack.tags.known.Load()},
		ctx:    ctx,
		began:  time.Now(),
		need:   c.stack.applied.get().Merge(tokenOf(ctx)),
		fences: c.stack.tags.fences.Load(),
		past:   past,
		told:   t,
		latest: isFresh(ctx),
		done:   make(chan struct{}),
	}
	l.keys = l.one[:0]
	switch {
	case c.flights.closed:
		l.err = ErrClosed
	case c.flights.running >= c.policy.MaxLoads:
		l.err = ErrBusy
		c.counts.refused.Add(1)
	}
	if l.err != nil {
		close(l.done)
	}
	return l
}

// landed returns a load that has brought e, which has come into memory since its reader missed it.
func landed[K comparable, V any](key K, e *entry) *load[K, V] {
	l := &load[K, V]{keys: []K{key}, entries: []*entry{e}, done: make(chan struct{})}
	close(l.done)
	return l
}

// run calls the loader, detached from whoever began the load, and finishes the load whatever the loader does: at the
// deadline if it has not returned by then. r, if not nil, is what the remote layer has said already.
func (c *Cache[K, V]) run(l *load[K, V], r *resolution[K, V]) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(l.ctx), l.began.Add(c.policy.HardTimeout))
	defer cancel()
	overdue := context.AfterFunc(ctx, func() { c.finish(l, nil, ctx.Err()) })
	var entries []*entry
	err := errLoaderExited
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
		overdue()
		c.finish(l, entries, err)
		c.flights.returned()
	}()
	if c.asksRemote(l) {
		entries, err = c.resolve(ctx, l, r)
	} else {
		entries, err = c.fromSource(ctx, l)
	}
}

// fromSource asks the source for all keys of a load and keeps the answer in memory.
func (c *Cache[K, V]) fromSource(ctx context.Context, l *load[K, V]) ([]*entry, error) {
	began := time.Now()
	got, err := c.ask(ctx, l, l.keys, l.need, l.latest)
	if err != nil {
		return nil, err
	}
	entries := make([]*entry, len(l.keys))
	for i, key := range l.keys {
		value, found := got.values[key]
		o := l.origin
		o.read = got.read
		entries[i] = c.newEntry(key, value, found, o)
		entries[i].kept = got.enough
		c.planRefresh(entries[i], time.Since(began))
	}
	return entries, nil
}

// answer is what the source said, and where.
type answer[K comparable, V any] struct {
	values map[K]V
	read   *span
	enough bool // read.low has reached what was needed

	replica bool // whoever answered said up to where it has everything, as a primary need not
}

// ask is askSource that counts, and asks the latest where the answer bears a tag that was fenced a moment ago.
func (c *Cache[K, V]) ask(ctx context.Context, l *load[K, V], keys []K, need position.Token, latest bool) (answer[K, V], error) {
	c.counts.loads.Add(1)
	began := time.Now()
	defer func() { c.counts.loadTime.observe(time.Since(began)) }() // also where the loader panics
	got, err := c.askSource(ctx, keys, need, latest)
	if err == nil && !latest && c.doubtsTags(got, l.told) {
		return c.askSource(ctx, keys, need, true)
	}
	return got, err
}

// askSource calls the loader.
func (c *Cache[K, V]) askSource(ctx context.Context, keys []K, need position.Token, latest bool) (answer[K, V], error) {
	with := position.WithReading
	if latest {
		with = position.WithLatest
	}
	ctx, reading := with(ctx, need)
	values, err := c.loadMany(ctx, slices.Clone(keys))
	at, enough := outcome(reading, need)
	_, replica := reading.Low()
	return answer[K, V]{values: values, read: spanOf(at, reading.High()), enough: enough, replica: replica}, err
}

// finish publishes how a load ended. Only the first call counts.
func (c *Cache[K, V]) finish(l *load[K, V], entries []*entry, err error) {
	if !l.finished.CompareAndSwap(false, true) {
		return
	}
	if err != nil {
		c.counts.loadErrors.Add(1)
		l.err = fmt.Errorf("load %s: %w", c.name, err)
	}
	l.entries = entries
	c.land(l)
	c.flights.leave(l)
	c.publish(l, err)
}

// land keeps in memory what a load has brought.
func (c *Cache[K, V]) land(l *load[K, V]) {
	for i, e := range l.entries {
		if e.kept {
			c.fill(c.key(l.keys[i]), e)
		}
	}
}

// publish wakes those who wait for a load that has left the table.
func (c *Cache[K, V]) publish(l *load[K, V], err error) {
	c.observer.Loaded(len(l.keys), time.Since(l.began), err)
	close(l.done)
}

// leave takes the keys of a load out of the table, except where a younger load has taken the place.
func (f *flights[K, V]) leave(l *load[K, V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takeOut(l)
}

// leaveAll is leave for loads that run no loader any more.
func (f *flights[K, V]) leaveAll(loads []*load[K, V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range loads {
		f.takeOut(l)
	}
	f.running -= len(loads)
}

// takeOut is leave for a caller who holds mu.
func (f *flights[K, V]) takeOut(l *load[K, V]) {
	for _, key := range l.keys {
		if f.byKey[key].load == l {
			delete(f.byKey, key)
		}
	}
}

// returned frees the place of a loader.
func (f *flights[K, V]) returned() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
}

// close lets no load begin any more.
func (f *flights[K, V]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}
