package cache

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"
)

// Batch is what a sink is given to write: each key once, sorted by the bytes of the keys.
//
// The sink applies a batch and stores its ID in one transaction, and returns nil for an ID that it has stored before without
// applying it again. A table with one row per journal is enough, for the batches of a journal come in the order of Seq and
// one comes again, with the same entries, only until the next one:
//
//	CREATE TABLE applied (journal BLOB PRIMARY KEY, seq INTEGER NOT NULL);
//
//	BEGIN;
//	INSERT INTO applied VALUES (:journal, :seq)
//	  ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq;
//	-- no row changed: it has been applied, so roll back and return nil
//	-- else write the entries
//	COMMIT;
type Batch[K comparable, V any] struct {
	ID      BatchID
	Entries []BatchEntry[K, V]
}

// BatchID names a batch. Journal is drawn at random when a folder is used for the first time; Seq begins with 1 and rises by
// one with each batch.
type BatchID struct {
	Journal [16]byte
	Seq     uint64
}

// BatchEntry is one key and its value.
type BatchEntry[K comparable, V any] struct {
	Key   K
	Value V
}

// ledgerKind is what a WriteBehind and a Counter do not have in common.
type ledgerKind[K comparable, V any] struct {
	name string
	key  Codec[K]
	// value makes bytes of values.
	value Codec[V]
	// sum makes one value of two; nil: the later one takes the place of the earlier.
	sum func(earlier, later V) V
}

func (k ledgerKind[K, V]) merge(earlier, later V) V {
	if k.sum == nil {
		return later
	}
	return k.sum(earlier, later)
}

// ledgerState is what is owed to the sink. It is a function of the journal: it changes by the records of the journal alone, in
// their order, while they are replayed as while they are made. So the same batch is cut again after a crash.
//
//	change ──▶ pending ── cut ──▶ batch ── done ──▶ (applied)
//	              ▲                 └───── bury ──▶ dead ── discard ──▶ (gone)
//	              └──────────────── revive ──────────┘
type ledgerState[K comparable, V any] struct {
	kind    ledgerKind[K, V]
	pending map[K]owed[V]
	queue   []queued[K] // the keys of pending, by their first change
	batch   *cutBatch[K, V]
	seq     uint64 // of the last batch that was cut
	applied uint64 // of the last batch that the sink has
	dead    map[uint64]*deadBatch[K, V]
	lost    map[K]lostValue[V] // what dead holds of each key
	nDead   int                // entries in dead
	bytes   int64              // of all entries in the next checkpoint, roughly

	pushed, ended uint64 // entries that were ever queued; of them, those whose batch has ended
}

type owed[V any] struct {
	value V
	size  int // of its record
}

type queued[K comparable] struct {
	key   K
	since time.Time
}

// cutBatch is a batch with what the journal wants to know of it.
type cutBatch[K comparable, V any] struct {
	seq     uint64
	entries []BatchEntry[K, V] // sorted by the bytes of the keys
	index   map[K]V
	bytes   int64
	since   time.Time // of its oldest entry
}

// deadBatch is a batch that was given up.
type deadBatch[K comparable, V any] struct {
	cutBatch[K, V]
	cause   string
	refused bool
	left    int // entries that no later value has overtaken
}

// lostValue is the value that dead letters hold of a key: the one of batch seq, or the sum of all.
type lostValue[V any] struct {
	value V
	seq   uint64
}

func newLedgerState[K comparable, V any](kind ledgerKind[K, V]) *ledgerState[K, V] {
	return &ledgerState[K, V]{
		kind:    kind,
		pending: make(map[K]owed[V]),
		dead:    make(map[uint64]*deadBatch[K, V]),
		lost:    make(map[K]lostValue[V]),
	}
}

// entries is how many entries are owed.
func (s *ledgerState[K, V]) entries() int {
	n := len(s.pending) + s.nDead
	if s.batch != nil {
		n += len(s.batch.entries)
	}
	return n
}

// lag is how long the oldest entry that is not dead has been owed.
func (s *ledgerState[K, V]) lag(now time.Time) time.Duration {
	switch {
	case s.batch != nil:
		return now.Sub(s.batch.since)
	case len(s.queue) > 0:
		return now.Sub(s.queue[0].since)
	}
	return 0
}

// change merges a value into what is pending. Where the later value takes the place of the earlier one it also ends what a dead
// letter holds of the key.
func (s *ledgerState[K, V]) change(key K, value V, size int, now time.Time) {
	if s.kind.sum == nil {
		s.overtake(key)
	}
	old, pending := s.pending[key]
	if pending {
		value = s.kind.merge(old.value, value)
	} else {
		s.queue = append(s.queue, queued[K]{key, now})
		s.pushed++
	}
	s.bytes += int64(size - old.size)
	s.pending[key] = owed[V]{value, size}
}

// overtake takes a key out of the dead letter that holds it.
func (s *ledgerState[K, V]) overtake(key K) {
	lost, ok := s.lost[key]
	if !ok {
		return
	}
	delete(s.lost, key)
	s.nDead--
	d := s.dead[lost.seq]
	if d.left--; d.left == 0 {
		s.remove(d)
	}
}

// cut makes the batch in flight of the n keys that have waited longest.
func (s *ledgerState[K, V]) cut(n int) error {
	if s.batch != nil || n < 1 || n > len(s.queue) {
		return errRecord
	}
	b := &cutBatch[K, V]{seq: s.seq + 1, entries: make([]BatchEntry[K, V], n), index: make(map[K]V, n), since: s.queue[0].since}
	type place struct{ from, to, queued int } // of a key's bytes in texts, and of the key
	var texts []byte
	places := make([]place, n)
	for i, q := range s.queue[:n] {
		from := len(texts)
		var err error
		if texts, err = s.kind.key.Append(texts, q.key); err != nil {
			return err
		}
		places[i] = place{from, len(texts), i}
	}
	slices.SortFunc(places, func(a, b place) int { return bytes.Compare(texts[a.from:a.to], texts[b.from:b.to]) })
	for i, p := range places {
		key := s.queue[p.queued].key
		o := s.pending[key]
		b.entries[i] = BatchEntry[K, V]{key, o.value}
		b.index[key] = o.value
		b.bytes += int64(o.size)
		delete(s.pending, key)
	}
	s.queue = s.queue[n:]
	s.seq, s.batch = b.seq, b
	return nil
}

// done ends the batch in flight: the sink has it.
func (s *ledgerState[K, V]) done() error {
	if s.batch == nil {
		return errRecord
	}
	s.bytes -= s.batch.bytes
	s.applied = s.batch.seq
	s.ended += uint64(len(s.batch.entries))
	s.batch = nil
	return nil
}

// bury makes a dead letter of the batch in flight, but for the keys that have a later value already.
func (s *ledgerState[K, V]) bury(cause string, refused bool) error {
	if s.batch == nil {
		return errRecord
	}
	d := &deadBatch[K, V]{cutBatch: *s.batch, cause: cause, refused: refused}
	s.ended += uint64(len(d.entries))
	s.batch = nil
	s.bytes += int64(len(cause))
	s.lay(d)
	return nil
}

// lay puts a dead letter where it can be found.
func (s *ledgerState[K, V]) lay(d *deadBatch[K, V]) {
	s.dead[d.seq] = d
	for _, e := range d.entries {
		lost := lostValue[V]{e.Value, d.seq}
		if _, overtaken := s.pending[e.Key]; overtaken && s.kind.sum == nil {
			continue
		}
		if other, ok := s.lost[e.Key]; ok && s.kind.sum != nil {
			lost.value = s.kind.sum(other.value, e.Value)
		}
		s.lost[e.Key] = lost
		d.left++
		s.nDead++
	}
	if d.left == 0 {
		s.remove(d)
	}
}

// remaining are the entries of a dead letter that no later value has overtaken.
func (s *ledgerState[K, V]) remaining(d *deadBatch[K, V]) []BatchEntry[K, V] {
	if s.kind.sum != nil {
		return d.entries
	}
	var left []BatchEntry[K, V]
	for _, e := range d.entries {
		if lost, ok := s.lost[e.Key]; ok && lost.seq == d.seq {
			left = append(left, e)
		}
	}
	return left
}

// discard takes a dead letter away and returns what was in it; nothing if it is not there.
func (s *ledgerState[K, V]) discard(seq uint64) []BatchEntry[K, V] {
	d, ok := s.dead[seq]
	if !ok {
		return nil
	}
	left := s.remaining(d)
	s.remove(d)
	s.nDead -= len(left)
	for _, e := range left {
		delete(s.lost, e.Key)
	}
	if s.kind.sum != nil {
		s.sumLost()
	}
	return left
}

// sumLost adds up what dead letters hold of each key.
func (s *ledgerState[K, V]) sumLost() {
	clear(s.lost)
	for _, d := range s.deadLetters() {
		for _, e := range d.entries {
			lost := lostValue[V]{e.Value, d.seq}
			if other, ok := s.lost[e.Key]; ok {
				lost.value = s.kind.sum(other.value, e.Value)
			}
			s.lost[e.Key] = lost
		}
	}
}

// revive makes changes of what is in a dead letter. One that has been overtaken or revived meanwhile is passed over.
func (s *ledgerState[K, V]) revive(seq uint64, now time.Time) {
	d, ok := s.dead[seq]
	if !ok {
		return
	}
	size := int(d.bytes) / len(d.entries)
	for _, e := range s.discard(seq) {
		s.change(e.Key, e.Value, size, now)
	}
}

func (s *ledgerState[K, V]) remove(d *deadBatch[K, V]) {
	delete(s.dead, d.seq)
	s.bytes -= d.bytes + int64(len(d.cause))
}

// deadLetters returns the dead letters by number.
func (s *ledgerState[K, V]) deadLetters() []*deadBatch[K, V] {
	return slices.SortedFunc(maps.Values(s.dead), func(a, b *deadBatch[K, V]) int { return cmp.Compare(a.seq, b.seq) })
}
