package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/position"
)

// A resolution brings the keys of one load from the remote layer, or from the source under leases:
//
//	        ┌────────────────────────── poll ──────────────────────────┐
//	        ▼                                                          │
//	Get ──▶ a valid value ─────────────────────────────▶ done          │
//	    ├─▶ a value being renewed that may be stale ───▶ done          │
//	    ├─▶ somebody's lease ──────────────────────────────────────────┤
//	    └─▶ nothing, or a value to renew ──▶ Lease ──▶ granted: load, Fill, done
//	                                               └─▶ not granted ────┘
//
// A value in the remote layer costs one round trip. Whoever waits asks again, sooner at first, and takes over a lease whose
// holder is dead. If the layer fails, the source is asked for what is still missing.
type resolution[K comparable, V any] struct {
	*Cache[K, V]
	load     *load[K, V]
	texts    []string // of the keys in the remote layer, with the generation
	records  []Record // as they were read last, by key; nil: the layer has not answered
	clockGap int64    // what gap said then
	entries  []*entry
}

const (
	pollFirst = time.Millisecond
	pollLast  = 20 * time.Millisecond
	// suspectAfter is how long a lease may be held before its holder is looked after: a load that takes longer is rare.
	suspectAfter = 200 * time.Millisecond
)

// resolve brings the entries of a load. r, if not nil, has its one key and has been read once, without success.
func (c *Cache[K, V]) resolve(ctx context.Context, l *load[K, V], r *resolution[K, V]) (entries []*entry, err error) {
	var missing []int
	switch {
	case r == nil:
		texts, all, prefix := make([]string, len(l.keys)), make([]int, len(l.keys)), c.stack.link.prefix()
		for i, key := range l.keys {
			texts[i], all[i] = c.remoteKey(prefix, c.key(key)), i
		}
		r = &resolution[K, V]{
			Cache: c, load: l, texts: texts,
			records: make([]Record, len(all)), entries: make([]*entry, len(all)),
		}
		missing, err = r.round(ctx, all)
	case r.records == nil:
		err = r.withoutRemote(ctx, []int{0})
	default:
		missing, err = r.claim(ctx, []int{0})
	}
	for pause := pollFirst; err == nil && len(missing) > 0; pause = min(pause*3/2, pollLast) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		missing, err = r.round(ctx, missing)
	}
	if err != nil {
		return nil, err
	}
	return r.entries, nil
}

// round asks the layer once for what is missing, and returns what still is.
func (r *resolution[K, V]) round(ctx context.Context, missing []int) ([]int, error) {
	if err := r.get(ctx, missing); err != nil {
		return nil, r.withoutRemote(ctx, missing)
	}
	var left []int
	for _, i := range missing {
		if !r.accept(i) {
			left = append(left, i)
		}
	}
	return r.claim(ctx, left)
}

// claim asks for leases of what is missing, loads what is granted, and returns what somebody else loads.
func (r *resolution[K, V]) claim(ctx context.Context, missing []int) ([]int, error) {
	var wait []int
	var foreign []Fence
	var asks []LeaseAsk
	var asked []int
	for _, i := range missing {
		ask := LeaseAsk{Key: r.texts[i], Lease: newID(), Holder: r.stack.link.holder, TTL: r.leaseTTL()}
		switch rec := r.records[i]; rec.State {
		case Filled:
			if len(rec.Value) < StampSize || Stamp(rec.Value) == (Stamp{}) { // foreign bytes, which nothing can renew
				foreign = append(foreign, Fence{Key: r.texts[i], TTL: tombstoneTTL})
			} else {
				ask.Renew = Stamp(rec.Value)
			}
		case Leased, Renewing:
			if !r.dead(ctx, rec) {
				if !r.accept(i) {
					wait = append(wait, i)
				}
				continue
			}
			ask.Over = rec.Lease
		}
		asks, asked = append(asks, ask), append(asked, i)
	}
	if len(asks) == 0 {
		return wait, nil
	}
	if len(foreign) > 0 {
		if err := r.stack.link.call(ctx, func(ctx context.Context) error { return r.stack.remote.Fence(ctx, foreign) }); err != nil {
			return nil, r.withoutRemote(ctx, append(wait, asked...))
		}
	}
	answers, err := r.lease(ctx, asks)
	if err != nil {
		return nil, r.withoutRemote(ctx, append(wait, asked...))
	}
	var granted []int
	var held []Held
	need := r.load.need
	for j, i := range asked {
		switch {
		case answers[j].Granted:
			granted, held = append(granted, i), append(held, Held{Key: r.texts[i], Lease: asks[j].Lease})
			need = need.Raise(answers[j].Fence)
		default:
			if r.records[i] = answers[j].Record; !r.accept(i) {
				wait = append(wait, i)
			}
		}
	}
	if len(granted) == 0 {
		return wait, nil
	}
	return wait, r.fillFromSource(ctx, granted, held, need)
}

// leaseTTL outlives every load that may be made under it; a holder that dies sooner is found out by its beats.
func (r *resolution[K, V]) leaseTTL() time.Duration { return r.policy.HardTimeout + time.Second }

func (r *resolution[K, V]) get(ctx context.Context, missing []int) error {
	keys, records := make([]string, len(missing)), make([]Record, len(missing))
	for j, i := range missing {
		keys[j] = r.texts[i]
	}
	err := r.stack.link.call(ctx, func(ctx context.Context) error { return r.stack.remote.Get(ctx, keys, records) })
	r.clockGap = r.gap()
	for j, i := range missing {
		r.records[i] = records[j]
	}
	return err
}

func (r *resolution[K, V]) lease(ctx context.Context, asks []LeaseAsk) ([]LeaseAnswer, error) {
	answers := make([]LeaseAnswer, len(asks))
	err := r.stack.link.call(ctx, func(ctx context.Context) error { return r.stack.remote.Lease(ctx, asks, answers) })
	r.clockGap = r.gap()
	return answers, err
}

// accept takes the value of its record as the answer for key i if it may be served. One that is stale is laid into memory for
// those who must not wait for the source, and is the answer if somebody renews it already.
func (r *resolution[K, V]) accept(i int) bool {
	rec := r.records[i]
	if rec.State != Filled && rec.State != Renewing {
		return false
	}
	e, ok := r.open(i, rec.Value)
	if !ok || r.load.after != 0 && e.found && e.freshUntil <= r.load.after {
		return false
	}
	k := r.key(r.load.keys[i])
	switch late := time.Duration(r.clock.NowNano() - e.freshUntil); {
	case late < 0:
	case !e.found || late >= r.policy.StaleFor:
		return false
	case rec.State == Renewing && r.stack.link.suspects(rec.Lease):
		return false
	case rec.State == Renewing:
		r.counts.staleServed.Add(1)
		r.observer.ServedStale(late)
	default:
		r.fill(k, e)
		return false
	}
	r.counts.remoteHits.Add(1)
	r.entries[i] = e
	return true
}

// gap is what the stack's clock shows when the remote layer's shows zero.
func (c *Cache[K, V]) gap() int64 { return c.clock.NowNano() - c.stack.remote.Now().UnixNano() }

// open makes the entry of an envelope, unless it is none of this program's, or has been ended by a tag, or was read before
// what is needed.
func (r *resolution[K, V]) open(i int, data []byte) (*entry, bool) {
	key := r.load.keys[i]
	env, err := parseEnvelope(data, r.texts[i], r.stack.options.MaxValue)
	if err != nil || env.schema != r.version {
		r.counts.undecodable.Add(1)
		return nil, false
	}
	if !reached(r.stack.applied.get(), env.low, r.load.need) {
		return nil, false
	}
	var value V
	if env.found {
		if value, err = r.codec.Decode(env.payload); err != nil {
			r.counts.undecodable.Add(1)
			return nil, false
		}
	}
	o := origin{ticket: r.load.ticket, asOf: r.load.asOf, epoch: env.epoch, read: spanOf(env.low, env.high)}
	e := r.makeEntry(key, value, env.found, o, env.freshUntil.UnixNano()+r.clockGap)
	e.kept = true
	r.planRefresh(e, env.cost)
	if !tagged(e.tags, e.epoch) {
		return nil, false
	}
	return e, true
}

// dead reports whether the holder of a lease that has been held for long has stopped beating.
func (r *resolution[K, V]) dead(ctx context.Context, rec Record) bool {
	if !r.stack.link.suspects(rec.Lease) {
		return false
	}
	beating := true
	err := r.stack.link.call(ctx, func(ctx context.Context) (err error) {
		beating, err = r.stack.remote.Beating(ctx, rec.Holder)
		return err
	})
	if err == nil && !beating {
		return true
	}
	r.stack.link.trust(rec.Lease)
	return false
}

// withoutRemote asks the source for what is missing, as if there were no remote layer.
func (r *resolution[K, V]) withoutRemote(ctx context.Context, missing []int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.fromSourceFor(ctx, missing, r.load.need, true) // of fences that it would have told nothing is known
}

// fillFromSource loads keys whose leases are held, and fills the layer under them.
func (r *resolution[K, V]) fillFromSource(ctx context.Context, granted []int, held []Held, need position.Token) error {
	r.counts.remoteMisses.Add(uint64(len(granted)))
	began, created := time.Now(), r.stack.remote.Now()
	if err := r.fromSourceFor(ctx, granted, need, false); err != nil {
		r.release(ctx, held)
		return err
	}
	cost := time.Since(began)
	var fills []Fill
	var filled []int
	var unused []Held
	for j, i := range granted {
		e := r.entries[i]
		f, err := r.seal(r.texts[i], r.load.keys[i], e, created, cost)
		if err != nil || !e.kept {
			if err != nil {
				r.counts.unstorable.Add(1)
			}
			unused = append(unused, held[j])
			continue
		}
		f.Lease = held[j].Lease
		fills, filled = append(fills, f), append(filled, i)
	}
	if len(unused) > 0 {
		r.release(ctx, unused)
	}
	if len(fills) == 0 {
		return nil
	}
	stored := make([]bool, len(fills))
	_ = r.stack.link.call(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return r.stack.remote.Fill(ctx, fills, stored)
	})
	for j, i := range filled {
		if !stored[j] { // it has been fenced, and the channel's message may still be on its way
			r.entries[i].kept = false
			r.counts.rejected.Add(1)
		}
	}
	return nil
}

// fromSourceFor asks the source for keys[which] and makes their entries.
func (r *resolution[K, V]) fromSourceFor(ctx context.Context, which []int, need position.Token, latest bool) error {
	keys := make([]K, len(which))
	for j, i := range which {
		keys[j] = r.load.keys[i]
	}
	o := r.load.origin
	o.asOf = r.clock.NowNano()
	began := time.Now()
	got, err := r.ask(ctx, r.load, keys, need, latest)
	if err != nil {
		return err
	}
	o.read = got.read
	for j, i := range which {
		value, found := got.values[keys[j]]
		e := r.newEntry(keys[j], value, found, o)
		e.kept = got.enough
		r.planRefresh(e, time.Since(began))
		r.entries[i] = e
	}
	return nil
}

// seal makes the envelope of an entry that was made just now, from a load that began at created.
func (c *Cache[K, V]) seal(text string, key K, e *entry, created time.Time, cost time.Duration) (f Fill, err error) {
	value := c.value(e)
	now, left := c.stack.remote.Now(), time.Duration(e.freshUntil-c.clock.NowNano())
	env := envelope{
		key: text, schema: c.version, found: e.found, created: created, freshUntil: now.Add(left), cost: cost,
		epoch: e.epoch, low: e.low(), high: e.high(), tags: tagNamesOf(c.tagsOf(key, value, e.found)),
	}
	if e.found {
		if env.payload, err = c.codec.Append(nil, value); err != nil {
			return f, fmt.Errorf("encode %s: %w", c.name, err)
		}
	}
	if len(env.payload) > c.stack.options.MaxValue {
		return f, fmt.Errorf("encode %s: %w: %d bytes", c.name, ErrTooLarge, len(env.payload))
	}
	if e.found {
		left += c.policy.StaleFor
	}
	return Fill{Key: text, Value: env.append(nil), TTL: max(left, time.Millisecond)}, nil
}

// release gives leases back, so that others need not wait for them.
func (r *resolution[K, V]) release(ctx context.Context, held []Held) {
	_ = r.stack.link.call(context.WithoutCancel(ctx), func(ctx context.Context) error { return r.stack.remote.Release(ctx, held) })
}

// writeThrough stores a value that was written at the source: it fences the key and takes its lease in one step. kept tells
// whether the value stayed, which it does not where a later change came in between.
func (c *Cache[K, V]) writeThrough(ctx context.Context, key K, k key, e *entry) (kept bool, err error) {
	text := c.remoteText(k)
	link := c.stack.link
	if c.codec == nil || !link.reads() {
		return false, c.stack.fenceRemote(ctx, []string{text})
	}
	prefix := link.prefix()
	full := prefix + text
	f, err := c.seal(full, key, e, c.stack.remote.Now(), 0)
	if err != nil {
		return false, errors.Join(err, c.stack.fenceRemote(ctx, []string{text}))
	}
	f.Lease = newID()
	fence := Fence{
		Key: full, At: onePosition(tokenOf(ctx)), Lease: f.Lease, Holder: link.holder, TTL: tombstoneTTL,
	}
	ctx = context.WithoutCancel(ctx)
	if err := link.call(ctx, func(ctx context.Context) error { return c.stack.remote.Fence(ctx, []Fence{fence}) }); err != nil {
		link.owe([]string{text}, fence.At)
		return false, nil
	}
	link.wrote(prefix, []string{text}, fence.At)
	out := make([]bool, 1)
	err = link.call(ctx, func(ctx context.Context) error { return c.stack.remote.Fill(ctx, []Fill{f}, out) })
	return err == nil && out[0], nil
}
