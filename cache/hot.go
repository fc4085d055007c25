package cache

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// hotMax is how many hot keys of a space are kept; of a longer list the first.
	hotMax = 10_000
	// hotRound is how often they are looked at, less up to half of it, which keeps nodes apart.
	hotRound = 100 * time.Millisecond
	// hotAsk is how often Space.Hot is asked which they are.
	hotAsk = 10 * time.Second
	// hotAgain is the least time between two loads of one key, or half of its TTL where that is shorter: what can't be kept,
	// for want of room or because it is absent and absences are not remembered, is no reason to ask all the time.
	hotAgain = time.Second
	// hotRetry is the longest wait after rounds that failed, or a sixteenth of the TTL where that is shorter: a source that is
	// back in time is asked in time.
	hotRetry = 10 * time.Second
)

// A keeper keeps the hot keys of a space in memory, whether or not anybody reads them:
//
//	Space.Hot ─ every 10 s ─▶ keys ─ every 100 ms ─▶ missing, or in the last quarter of its TTL ─▶ one load for all of them
//
// It has one goroutine, which belongs to the stack, and one load at a time. Loads take the way of every other: a lease has one
// node of the fleet load a key, and the others wait for what it brings. To look at a key counts as a read in the choice of what
// to evict.
type keeper[K comparable, V any] struct {
	*Cache[K, V]
	ask      func(context.Context) ([]K, error)
	keys     []K
	loaded   map[K]time.Time // when the load of a key began last
	askAt    time.Time
	failures int // rounds since a load succeeded
}

// run keeps until ctx ends.
func (k *keeper[K, V]) run(ctx context.Context) {
	retry := Retry{First: hotRound, Most: max(hotRound, min(hotRetry, k.ttl(true)/16))}
	for {
		wait := Retry{First: hotRound, Most: hotRound}.wait(1)
		if err := k.round(ctx); err != nil {
			k.failures++
			wait = retry.wait(k.failures)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// round loads what is due. It stops at the first load that fails: a source that is late already is asked for no more.
func (k *keeper[K, V]) round(ctx context.Context) error {
	if !time.Now().Before(k.askAt) {
		err := k.refreshKeys(ctx)
		if err != nil && len(k.keys) == 0 {
			return err
		}
		k.askAt = time.Now().Add(hotAsk)
	}
	for batch := range slices.Chunk(k.due(), batchMax) {
		if err := k.load(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// refreshKeys asks which keys are hot. A failure leaves those that were, and counts as a failed load of no key.
func (k *keeper[K, V]) refreshKeys(ctx context.Context) (err error) {
	inner, cancel := context.WithTimeout(ctx, k.policy.HardTimeout)
	defer cancel()
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("hot keys of %s: panic: %v", k.name, p)
		}
		if err != nil && ctx.Err() == nil {
			k.counts.loadErrors.Add(1)
			k.observer.Loaded(0, time.Since(began), err)
		}
	}()
	list, err := k.ask(inner)
	if err != nil {
		return fmt.Errorf("hot keys of %s: %w", k.name, err)
	}
	loaded := make(map[K]time.Time, min(len(list), hotMax))
	k.keys = k.keys[:0]
	for _, key := range list {
		if _, twice := loaded[key]; !twice && len(k.keys) < hotMax {
			k.keys = append(k.keys, key)
			loaded[key] = k.loaded[key]
		}
	}
	k.loaded = loaded
	k.counts.hot.Store(int64(len(k.keys)))
	return nil
}

// due returns the keys that are to be loaded now. Those that are due a sixteenth of their TTL later go with them, so that
// jitter does not spread what one call can do.
func (k *keeper[K, V]) due() []K {
	var due, soon []K
	now, again := time.Now(), min(hotAgain, k.ttl(true)/2)
	for _, key := range k.keys {
		if now.Sub(k.loaded[key]) < again {
			continue
		}
		e := k.lookup(key, true)
		if e == nil {
			due = append(due, key)
			continue
		}
		switch ttl, left := k.ttl(e.found), time.Duration(e.freshUntil-k.clock.NowNano()); {
		case left <= ttl/4:
			due = append(due, key)
		case left <= ttl/4+ttl/16:
			soon = append(soon, key)
		}
	}
	if due == nil {
		return nil
	}
	return append(due, soon...)
}

// load has keys loaded, less those that somebody loads already, and waits for that.
func (k *keeper[K, V]) load(ctx context.Context, keys []K) error {
	l := k.board(ctx, keys)
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		if l.err == nil {
			k.failures = 0
		}
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// board begins a load, unless there is nothing to load. What the remote layer has of the keys will do if it is not due itself.
func (k *keeper[K, V]) board(ctx context.Context, keys []K) *load[K, V] {
	k.flights.mu.Lock()
	defer k.flights.mu.Unlock()
	l := k.newLoad(ctx, false)
	if l.err != nil {
		return l
	}
	l.after = k.clock.NowNano() + int64(k.ttl(true)/4)
	for _, key := range keys {
		k.loaded[key] = l.began
		if _, flying := k.flights.byKey[key]; !flying {
			k.flights.byKey[key] = flight[K, V]{load: l, at: len(l.keys)}
			l.keys = append(l.keys, key)
		}
	}
	if len(l.keys) == 0 {
		return nil
	}
	k.start(l)
	return l
}
