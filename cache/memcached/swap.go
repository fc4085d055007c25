package memcached

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet/cache/internal/record"
)

// swap is what becomes of the records of a batch.
type swap struct {
	key func(i int) string
	// next is the record that is to replace old, if any. It may be called several times for an i; the last one counts.
	next func(i int, old record.Record, now time.Time) (record.Record, bool)
	// tooLarge says that the server can't take the record, so that its fence alone was stored. Nil where no record is
	// larger than the one before.
	tooLarge func(i int)
}

// swap brings every record of a batch to its next state.
func (r *Remote) swap(ctx context.Context, n int, sw swap) error {
	return r.each(n, sw.key, func(s *server, of []int) error {
		l, err := s.link()
		if err != nil {
			return err
		}
		t := &turns{Remote: r, link: l, swap: sw, pending: of}
		err = t.run(ctx)
		if err == nil && len(t.refused) > 0 {
			err = errors.Join(t.refused...)
		}
		if err == nil && len(t.large) > 0 {
			err = &TooLargeError{Keys: t.large, Limit: l.itemMax}
		}
		return err
	})
}

// turns bring records of one server to their next states, over one connection: a CAS means nothing to another life of the
// server, and a connection does not outlive the server's.
type turns struct {
	*Remote
	link *link
	swap
	pending []int
	refused []error
	large   []string
}

// write is a record that is to be stored.
type write struct {
	i   int
	rec record.Record
	cas uint64 // zero: where there is nothing
}

// run takes turns until all is done: each that another was faster at has another turn. There is no end to that but ctx's,
// and it is not needed: somebody gets on with each turn.
func (t *turns) run(ctx context.Context) error {
	writes, err := t.addOrRead(ctx)
	for err == nil {
		if err = t.store(ctx, writes); err != nil || len(t.pending) == 0 {
			break
		}
		writes, err = t.read(ctx)
	}
	return err
}

// addOrRead is the first turn: most keys that are leased or fenced hold nothing. What is to be stored then is sent at once,
// and behind it the question what there is else.
func (t *turns) addOrRead(ctx context.Context) ([]write, error) {
	now := t.Now()
	c := t.link.newCall(2 * len(t.pending))
	adds := make([]bool, len(t.pending))
	for j, i := range t.pending {
		key := t.keys.wire(t.key(i))
		rec, ok := t.next(i, record.Record{}, now)
		if adds[j] = ok; ok {
			c.put(key, t.fitting(i, key, rec), 0, now)
		}
		c.get(key)
	}
	if err := t.link.do(ctx, c); err != nil {
		return nil, err
	}
	defer c.free()
	var writes []write
	at := 0
	for j, i := range t.pending {
		if adds[j] {
			added := c.replies[at]
			at++
			if added.code == stored || t.refuses(added) {
				at++ // it read what it wrote
				continue
			}
		}
		writes = t.plan(writes, i, c.replies[at], now)
		at++
	}
	t.pending = t.pending[:0:0]
	return writes, nil
}

// read is a later turn.
func (t *turns) read(ctx context.Context) (writes []write, err error) {
	now := t.Now()
	c := t.link.newCall(len(t.pending))
	for _, i := range t.pending {
		c.get(t.keys.wire(t.key(i)))
	}
	if err := t.link.do(ctx, c); err != nil {
		return nil, err
	}
	defer c.free()
	for j, i := range t.pending {
		writes = t.plan(writes, i, c.replies[j], now)
	}
	t.pending = t.pending[:0:0]
	return writes, nil
}

// plan adds what is to be stored in place of an item.
func (t *turns) plan(writes []write, i int, rep reply, now time.Time) []write {
	key := t.keys.wire(t.key(i))
	rec, ok := t.next(i, t.link.parse(rep, key, now), now)
	if !ok {
		return writes
	}
	return append(writes, write{i, t.fitting(i, key, rec), rep.cas})
}

// store is the second half of a turn. What another was faster at is pending again.
func (t *turns) store(ctx context.Context, writes []write) error {
	if len(writes) == 0 {
		return nil
	}
	now := t.Now()
	c := t.link.newCall(len(writes))
	for _, w := range writes {
		c.put(t.keys.wire(t.key(w.i)), w.rec, w.cas, now)
	}
	if err := t.link.do(ctx, c); err != nil {
		return err
	}
	defer c.free()
	for j, w := range writes {
		if rep := c.replies[j]; rep.code != stored && !t.refuses(rep) {
			t.pending = append(t.pending, w.i)
		}
	}
	return nil
}

// itemOverhead is more than what an item takes beside its key and value (items.c: a header of 48 bytes, the CAS, two ends).
const itemOverhead = 128

// fitting is rec in this life of the server, or its fence where the server can't take all of it. Such a record isn't even
// sent: memcached 1.6 removes what is under a key when it refuses a store, whatever the CAS.
func (t *turns) fitting(i int, key wireKey, rec record.Record) record.Record {
	rec.Epoch = t.link.epoch
	size := len(key.text) + len(key.bears) + len(rec.Value) + record.Overhead + itemOverhead
	if t.tooLarge == nil || size <= t.link.itemMax {
		return rec
	}
	t.tooLarge(i)
	if k := t.key(i); !slices.Contains(t.large, k) {
		t.large = append(t.large, k)
	}
	return rec.Fenced()
}

// refuses notes an answer that is an error.
func (t *turns) refuses(rep reply) bool {
	err := t.link.refused(rep)
	if err != nil {
		t.refused = append(t.refused, err)
	}
	return err != nil
}

// each calls f for each server with those of n keys that are its own, at the same time.
func (r *Remote) each(n int, key func(i int) string, f func(s *server, of []int) error) error {
	if n == 0 {
		return nil
	}
	of := make(map[*server][]int, len(r.servers))
	for i := range n {
		s := pick(r.servers, key(i))
		of[s] = append(of[s], i)
	}
	if len(of) == 1 {
		for s, mine := range of {
			return f(s, mine)
		}
	}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for s, mine := range of {
		all.Go(func() {
			if err := f(s, mine); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
