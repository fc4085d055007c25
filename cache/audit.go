package cache

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// An auditor asks the source again for one hit in so many, as a client would who could see both (Meta's Polaris checks TAO so),
// and finds what was never invalidated:
//
//	Get ── a hit in N ─▶ queue ─▶ read the source ─┬─▶ the same: audited
//	                   (else dropped)              └─▶ differs ── grace ──┬─▶ no longer served: its fence was on its way
//	                                                                      └─▶ read again ─┬─▶ the same: audited
//	                                                                                      └─▶ differs: stale
//
// What it calls stale is stale: the entry is still the one that was hit and would still be served, longer than any promise allows
// after the source was first seen to say otherwise. It finds less than there is: what ends by its TTL within the grace, and
// what a later change invalidates, is never called stale.
//
// It has one goroutine, which belongs to the stack, asks for one key at a time and auditsPerSecond at most, and takes no part in
// what it audits: nothing that it reads is stored.
type auditor struct {
	queue chan audit
	grace time.Duration
	once  sync.Once

	suspects []suspect // the goroutine's, by the time when they are due
}

// audit is a hit that is to be audited, whatever the types of its space.
type audit interface {
	// suspicious asks the source and reports whether it says something else than the entry that is served.
	suspicious(ctx context.Context) bool
	// convict asks again, after the grace, and counts what became of it.
	convict(ctx context.Context)
	// undecided counts it as one that could not be decided.
	undecided()
	// dropped counts it as one that nobody had time for.
	dropped()
}

type suspect struct {
	audit
	due time.Time
}

const (
	// auditQueue is how many hits wait to be audited, and how many wait for the end of their grace.
	auditQueue = 64
	// auditsPerSecond bounds what audits ask of the source.
	auditsPerSecond = 50
)

// newAuditor returns one that does nothing until it runs. What was changed is forgotten everywhere MaxStale after its fence was
// written; a writer writes that after his commit, with one call of the layer.
func newAuditor(o Options) *auditor {
	return &auditor{queue: make(chan audit, auditQueue), grace: o.MaxStale + o.RemoteTimeout}
}

// run audits until ctx ends. All calls but the first return at once.
func (a *auditor) run(ctx context.Context) {
	a.once.Do(func() {
		for a.step(ctx) {
		}
	})
}

// step does one audit, or a part of it, and rests; false if ctx has ended.
func (a *auditor) step(ctx context.Context) bool {
	var due <-chan time.Time
	if len(a.suspects) > 0 {
		due = time.After(time.Until(a.suspects[0].due))
	}
	select {
	case <-ctx.Done():
		return false
	case it := <-a.queue:
		switch {
		case !guarded(it, func() bool { return it.suspicious(ctx) }):
		case len(a.suspects) == auditQueue:
			it.dropped()
		default:
			a.suspects = append(a.suspects, suspect{it, time.Now().Add(a.grace)})
		}
	case <-due:
		it := a.suspects[0].audit
		a.suspects = a.suspects[1:]
		guarded(it, func() bool { it.convict(ctx); return true })
	}
	return pause(ctx, time.Second/auditsPerSecond)
}

// guarded does a part of an audit. A codec, or an Equal, that panics decides nothing.
func guarded(it audit, do func() bool) (yes bool) {
	defer func() {
		if recover() != nil {
			it.undecided()
			yes = false
		}
	}()
	return do()
}

// spread makes of the numbers of hits a sequence that fills the range of uint64 evenly and never repeats a stride (Weyl; 2^64
// over the golden ratio): the hits that are sampled fall on no rhythm of the program's.
const spread = 0x9e3779b97f4a7c15

// sampled reports whether the hit with number n is to be audited.
func (c *Cache[K, V]) sampled(n uint64) bool { return n*spread < c.auditBelow }

// auditBelow is what part of the range of uint64 is sampled where one in every is.
func auditBelow(every int) uint64 {
	if every < 1 {
		return 0
	}
	return max(1, uint64(1<<64-1)/uint64(every))
}

// sample hands a hit to the auditor.
func (c *Cache[K, V]) sample(ctx context.Context, key K, e *entry) {
	select {
	case c.stack.auditor.queue <- &probe[K, V]{cache: c, ctx: context.WithoutCancel(ctx), key: key, entry: e}:
	default:
		c.counts.auditsDropped.Add(1)
	}
}

// sampleOne hands one of the hits of a page to the auditor.
func (c *Cache[K, V]) sampleOne(ctx context.Context, keys []K) {
	key := keys[rand.IntN(len(keys))]
	if e := c.recheck(c.key(key)); e != nil {
		c.sample(ctx, key, e)
	}
}

// probe is one hit that is audited.
type probe[K comparable, V any] struct {
	cache *Cache[K, V]
	ctx   context.Context // of the reader: its values are for the loader, its end is not
	key   K
	entry *entry

	differed time.Time // when the source was first asked that said otherwise
	said     sourced[V]
}

// sourced is what the source says of a key.
type sourced[V any] struct {
	value V
	found bool
}

func (p *probe[K, V]) suspicious(ctx context.Context) bool {
	began := time.Now()
	said, ok := p.reread(ctx)
	if !ok {
		return false
	}
	if p.agrees(said) || !p.served() {
		p.cache.counts.audited.Add(1)
		return false
	}
	p.differed, p.said = began, said
	return true
}

// convict finds an entry stale if the source, which must agree with itself, has not come back to what the entry says. A source
// that has moved on since is asked once more: a key that changes all the time may well be the one that nobody fences.
func (p *probe[K, V]) convict(ctx context.Context) {
	c := p.cache
	if !p.served() {
		c.counts.audited.Add(1)
		return
	}
	before := p.said
	for range 2 {
		said, ok := p.reread(ctx)
		if !ok {
			return
		}
		if p.agrees(said) || !p.served() {
			c.counts.audited.Add(1)
			return
		}
		if c.same(before, said) {
			c.counts.audited.Add(1)
			c.counts.staleReads.Add(1)
			if o, ok := c.observer.(StaleObserver); ok {
				o.FoundStale(p.report())
			}
			return
		}
		before = said
	}
	p.undecided()
}

func (p *probe[K, V]) undecided() { p.cache.counts.auditsFailed.Add(1) }
func (p *probe[K, V]) dropped()   { p.cache.counts.auditsDropped.Add(1) }

// served reports whether a hit would still be answered with the entry.
func (p *probe[K, V]) served() bool { return p.cache.recheck(p.cache.key(p.key)) == p.entry }

// agrees reports whether the entry is what the source says.
func (p *probe[K, V]) agrees(said sourced[V]) bool {
	return p.cache.same(sourced[V]{p.cache.value(p.entry), p.entry.found}, said)
}

func (p *probe[K, V]) report() StaleRead {
	c := p.cache
	return StaleRead{
		Space: c.name, Key: c.text(c.key(p.key)),
		Age: max(0, c.ttl(p.entry.found)-time.Duration(p.entry.freshUntil-c.clock.NowNano())),
		For: time.Since(p.differed),
	}
}

// reread asks the source at the entry's position or later. !ok, which it counts, means that it has not said: it failed, it
// read behind, it took longer than a load may, or its last answer to the auditor is still awaited.
func (p *probe[K, V]) reread(ctx context.Context) (said sourced[V], ok bool) {
	c := p.cache
	if !c.auditing.CompareAndSwap(false, true) {
		p.undecided()
		return said, false
	}
	inner, cancel := context.WithTimeout(p.ctx, c.policy.HardTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	var answer answer[K, V]
	done := make(chan struct{})
	c.stack.loads.Go(func() { // a loader may panic, exit, or ignore the end of its time
		defer close(done)
		defer c.auditing.Store(false)
		defer func() { _ = recover() }()
		if got, err := c.askSource(inner, []K{p.key}, c.stack.applied.get().Merge(p.entry.low()), true); err == nil {
			answer = got
		}
	})
	select {
	case <-done:
		said.value, said.found = answer.values[p.key]
		ok = answer.enough
	case <-inner.Done():
	}
	if !ok && ctx.Err() == nil {
		p.undecided()
	}
	return said, ok
}

// same reports whether a and b say the same.
func (c *Cache[K, V]) same(a, b sourced[V]) bool {
	return a.found == b.found && (!a.found || c.equal(a.value, b.value))
}

// equalBytes compares values by their bytes. Those that have none can't be compared: it panics.
func equalBytes[V any](codec Codec[V]) func(a, b V) bool {
	return func(a, b V) bool {
		one, err := codec.Append(nil, a)
		if err != nil {
			panic(err)
		}
		other, err := codec.Append(nil, b)
		if err != nil {
			panic(err)
		}
		return bytes.Equal(one, other)
	}
}

// StaleRead is a hit that memory should not have answered as it did: it has not been told of a change of the source.
type StaleRead struct {
	Space string
	Key   string        // as text, as Stack.InvalidateKey takes it
	Age   time.Duration // of the entry, when it was convicted; with Policy.Jitter it may be younger by that
	For   time.Duration // how long it has been stale at least
}

func (s StaleRead) String() string {
	return fmt.Sprintf("stale read of %s %q: the entry, up to %v old, has differed from the source for %v", s.Space, s.Key, s.Age, s.For)
}

// StaleObserver is an Observer that is also told of stale reads, by the auditor's goroutine. See Policy.AuditEvery.
type StaleObserver interface {
	Observer
	FoundStale(StaleRead)
}
