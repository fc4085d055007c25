package cache

import (
	"context"
	"errors"
	"runtime"
)

// gather has a load of one key read from the remote layer, together with all that have come while the readers were busy, as
// a group commit does it: one by itself waits for nobody, and many share a round trip, a goroutine and a deadline.
//
//	Get(1) ── load ─┐
//	Get(2) ── load ─┼─ gathered ── reader: Remote.Get(1, 2, 3) ─┬─▶ a valid value: done
//	Get(3) ── load ─┘    (mu)                                   └─▶ else: run, in a goroutine of its own
//
// The caller holds the flights.
func (c *Cache[K, V]) gather(l *load[K, V]) {
	c.flights.gathered = append(c.flights.gathered, l)
	if c.flights.readers < max(readersMin, runtime.GOMAXPROCS(0)) {
		c.flights.readers++
		c.stack.loads.Go(c.read)
	}
}

const (
	// readersMin is how many batches can be under way at least: while one is, the next is made.
	readersMin = 4
	// batchMax bounds what has to come back within one deadline.
	batchMax = 512
)

// read reads what has gathered until nothing is left.
func (c *Cache[K, V]) read() {
	idle := false
	defer func() {
		if !idle { // a codec has called runtime.Goexit
			c.stack.loads.Go(c.read)
		}
	}()
	for {
		runtime.Gosched() // whoever can run may still join the batch
		batch := c.flights.nextBatch()
		if len(batch) == 0 {
			idle = true
			return
		}
		c.readBatch(batch)
	}
}

// nextBatch takes the oldest that have gathered; where nothing has, there is a reader less.
func (f *flights[K, V]) nextBatch() []*load[K, V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.gathered), batchMax)
	batch := f.gathered[:n:n]
	if f.gathered = f.gathered[n:]; len(f.gathered) == 0 {
		f.gathered = nil
	}
	if n == 0 {
		f.readers--
	}
	return batch
}

// readBatch finishes the loads whose values the remote layer has, and has the others run on by themselves.
func (c *Cache[K, V]) readBatch(batch []*load[K, V]) {
	left, ready := batch, make([]*load[K, V], 0, min(len(batch), readyMax))
	defer func() {
		_ = recover() // of a codec: run meets it again, and tells
		c.finishAll(ready)
		for _, l := range left {
			c.stack.loads.Go(func() { c.run(l, nil) })
		}
	}()
	n := len(batch)
	texts, records, entries, all := make([]string, n), make([]Record, n), make([]*entry, n), make([]resolution[K, V], n)
	prefix := c.stack.link.prefix()
	for i, l := range batch {
		texts[i] = c.remoteKey(prefix, c.key(l.keys[0]))
	}
	// Whoever still waits for a reader is younger than all in the batches before, so this keeps his deadline too.
	ctx, cancel := context.WithDeadline(context.Background(), batch[0].began.Add(c.policy.HardTimeout))
	defer cancel()
	err := c.stack.link.call(ctx, func(ctx context.Context) error { return c.stack.remote.Get(ctx, texts, records) })
	if err != nil && n > 1 && !errors.Is(err, context.DeadlineExceeded) {
		return // it may be the fault of one key: each is read alone
	}
	gap := c.gap()
	for i, l := range batch {
		r := &all[i]
		*r = resolution[K, V]{Cache: c, load: l, texts: texts[i : i+1], entries: entries[i : i+1], clockGap: gap}
		if err == nil {
			r.records = records[i : i+1]
		}
		if err == nil && r.accept(0) {
			l.entries = r.entries
			if ready = append(ready, l); len(ready) == cap(ready) {
				c.finishAll(ready)
				ready = ready[:0]
			}
		} else {
			c.stack.loads.Go(func() { c.run(l, r) })
		}
		left = batch[i+1:]
	}
}

// readyMax is how many values are decoded at most before those who wait for them are told.
const readyMax = 32

// finishAll is finish for loads whose values the remote layer had: it asks for the table of flights once.
func (c *Cache[K, V]) finishAll(loads []*load[K, V]) {
	for _, l := range loads {
		l.finished.Store(true) // nobody else can, as it has not run
		c.land(l)
	}
	c.flights.leaveAll(loads)
	for _, l := range loads {
		c.publish(l, nil)
	}
}
