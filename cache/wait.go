package cache

import (
	"context"
	"time"
)

// A waiter is one caller waiting for the loads that have his keys. His patience, Policy.SoftTimeout, is for all of them
// together, and when it is at an end he takes stale values where there are any.
type waiter[K comparable, V any] struct {
	cache     *Cache[K, V]
	ctx       context.Context
	patience  <-chan time.Time // fires once, or never
	impatient bool
}

// newWaiter returns a waiter whose patience begins now.
func (c *Cache[K, V]) newWaiter(ctx context.Context) waiter[K, V] {
	w := waiter[K, V]{cache: c, ctx: ctx}
	if c.policy.SoftTimeout > 0 {
		w.patience = time.After(c.policy.SoftTimeout)
	}
	return w
}

// fetch answers keys[i] for each i of missing, from loads in flight that are young enough and from one new load for all the
// rest, into values[i] and found[i]. It returns the first error, after all that could be had.
func (c *Cache[K, V]) fetch(ctx context.Context, keys []K, missing []int, values []V, found []bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := c.newWaiter(ctx)
	var first error
	for j, f := range c.join(ctx, keys, missing) {
		e, err := w.wait(f)
		switch {
		case err == nil:
			values[missing[j]], found[missing[j]] = c.value(e), e.found
		case ctx.Err() != nil:
			return ctx.Err()
		case first == nil:
			first = err
		}
	}
	return first
}

// wait returns what the load brings, or a stale value if the load fails or takes too long.
func (w *waiter[K, V]) wait(f flight[K, V]) (*entry, error) {
	for {
		select {
		case <-f.load.done:
			return w.outcome(f)
		default:
		}
		if w.impatient {
			if e := w.fallback(f); e != nil {
				return e, nil
			}
		}
		if w.patience == nil { // a select of two costs half of one of three
			select {
			case <-f.load.done:
				return w.outcome(f)
			case <-w.ctx.Done():
				return nil, w.ctx.Err()
			}
		}
		select {
		case <-f.load.done:
			return w.outcome(f)
		case <-w.ctx.Done():
			return nil, w.ctx.Err()
		case <-w.patience:
			w.impatient = true
		}
	}
}

// outcome returns how a finished load ended for the key of f. Who joined it after a tag of what it brings was fenced must
// not have that, as the load may have read before: it asks again, once.
func (w *waiter[K, V]) outcome(f flight[K, V]) (*entry, error) {
	if f.load.err == nil {
		e := f.load.entries[f.at]
		if !f.late || tagged(e.tags, e.epoch) {
			return optionsOf(w.ctx).shown(e), nil
		}
		again := w.cache.joinOne(w.ctx, f.load.keys[f.at])
		again.late = false // whatever load this is, it has begun since
		return w.wait(again)
	}
	if e := w.fallback(f); e != nil {
		return e, nil
	}
	return nil, f.load.err
}

// fallback returns what memory has for a caller whom the source has not answered. It looks only now, not when the wait
// began: what has been invalidated since is gone.
func (w *waiter[K, V]) fallback(f flight[K, V]) *entry {
	if w.cache.stack.readsPast(w.ctx) {
		return nil
	}
	return optionsOf(w.ctx).shown(w.cache.lastResort(w.cache.key(f.load.keys[f.at])))
}
