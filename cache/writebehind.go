package cache

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// WriteBehindOptions declares a WriteBehind. Name, Dir and Write are required; the rest has defaults.
type WriteBehindOptions[K comparable, V any] struct {
	// Name is its name in errors and operations.
	Name string
	// Dir is the folder of its journal, which belongs to it alone and is made if needed. It must be on a disk that keeps what
	// it has synced, and is never put back from a backup: batches would be numbered like others that the sink has.
	Dir string
	// Key makes bytes of keys, by which batches are sorted: different ones of different keys. Default for strings and
	// integers; required for other kinds.
	Key Codec[K]
	// Codec makes bytes of values. Default JSON.
	Codec Codec[V]
	// Write is the sink: it applies a batch once by its ID, as Batch says. It is called by one goroutine at a time and must
	// return when ctx ends. An error means that the batch is offered again, after a while; see Retry.
	Write func(ctx context.Context, batch Batch[K, V]) error
	// WriteTimeout is the deadline of one call of Write. Default 30 s.
	WriteTimeout time.Duration
	// FlushEvery is how long an entry waits for others before a batch is written that is not full. Default 1 s.
	FlushEvery time.Duration
	// BatchMax is how many keys a batch has at most. Default 512.
	BatchMax int
	// PendingMax is how many keys may be owed to the sink, dead letters included; beyond it Put waits. Default 65,536.
	PendingMax int
	// JournalMax is how long the journal may become, in bytes; a quarter of it is room for what is pending, and beyond it Put
	// waits. Default 256 MiB, at most 4 GiB.
	JournalMax int64
	// Retry says how often a batch is offered.
	Retry Retry
	// DeadLetter is told of each batch that was given up, when that is durable. It is not told again after a crash:
	// WriteBehind.DeadLetters lists all there are. Default: nobody is told.
	DeadLetter func(Dead[K, V])

	disk    journalDisk // of tests
	segment int64
}

// WriteBehind takes values at the speed of a journal and writes them to a slower sink in batches, behind the back of who put
// them. It is safe for concurrent use.
//
//   - Durable. When Put returns nil the value is on disk. All who wait for the disk together share one fsync.
//   - Coalesced. Of the values of one key that wait together the last is written, and the sink sees the values of a key in the
//     order of their Puts.
//   - Once. Each batch is in the journal, with its ID, before it is written. After a crash it is offered again first, with the same
//     ID and the same entries; a sink that keeps its part (see Batch) applies it once.
//   - Bounded. What is owed, the journal, attempts and the time of each have limits. Beyond them Put waits, and a batch
//     becomes a dead letter; nothing is dropped.
type WriteBehind[K comparable, V any] struct {
	ledger *ledger[K, stored[V]]
}

// DefineWriteBehind opens the journal and begins to write what is in it. It panics if the declaration is incomplete, as Define
// does; it fails if the folder cannot be used: ErrJournalLocked, a JournalDamageError, or what the system says. Close it after
// use.
func DefineWriteBehind[K comparable, V any](o WriteBehindOptions[K, V]) (*WriteBehind[K, V], error) {
	if o.Name == "" || o.Dir == "" || o.Write == nil {
		panic(fmt.Sprintf("cache: write-behind %q needs a Name, a Dir and a Write", o.Name))
	}
	if o.Codec == nil {
		o.Codec = JSON[V]()
	}
	write := func(ctx context.Context, b Batch[K, stored[V]]) error {
		return o.Write(ctx, Batch[K, V]{b.ID, unstored(b.Entries)})
	}
	var buried func(Dead[K, stored[V]])
	if o.DeadLetter != nil {
		buried = func(d Dead[K, stored[V]]) { o.DeadLetter(unstoredDead(d)) }
	}
	l, err := openLedger(ledgerOptions[K, stored[V]]{
		name: o.Name, dir: o.Dir, write: write, buried: buried,
		kind:       ledgerKind[K, stored[V]]{name: "write-behind", key: o.Key, value: storedCodec[V]{o.Codec}},
		flushEvery: o.FlushEvery, batchMax: o.BatchMax, pendingMax: o.PendingMax, journalMax: o.JournalMax,
		retry: o.Retry, writeTimeout: o.WriteTimeout, disk: o.disk, segment: o.segment,
	}.resolve())
	if err != nil {
		return nil, err
	}
	return &WriteBehind[K, V]{l}, nil
}

// resolve puts defaults in place and panics where an option makes no sense.
func (o ledgerOptions[K, V]) resolve() ledgerOptions[K, V] {
	if o.kind.key == nil {
		var ok bool
		if o.kind.key, ok = journalKeys[K](); !ok {
			panic(fmt.Sprintf("cache: %s %q needs a Key", o.kind.name, o.name))
		}
	}
	o.flushEvery = cmp.Or(o.flushEvery, time.Second)
	o.batchMax = cmp.Or(o.batchMax, 512)
	o.pendingMax = cmp.Or(o.pendingMax, 1<<16)
	o.journalMax = cmp.Or(o.journalMax, 256<<20)
	o.retry.Attempts = cmp.Or(o.retry.Attempts, 30)
	o.retry.First = cmp.Or(o.retry.First, 100*time.Millisecond)
	o.retry.Most = cmp.Or(o.retry.Most, max(o.retry.First, 30*time.Second))
	o.writeTimeout = cmp.Or(o.writeTimeout, 30*time.Second)
	o.segment = min(cmp.Or(o.segment, 16<<20), o.journalMax/4)
	if o.disk == nil {
		o.disk = osDisk{}
	}
	var errs []error
	refuse := func(bad bool, option string, value any) {
		if bad {
			errs = append(errs, fmt.Errorf("%s is %v", option, value))
		}
	}
	refuse(o.flushEvery < 0, "FlushEvery", o.flushEvery)
	refuse(o.fsyncEvery < 0, "FsyncEvery", o.fsyncEvery)
	refuse(o.batchMax < 0, "BatchMax", o.batchMax)
	refuse(o.pendingMax < 0, "PendingMax", o.pendingMax)
	refuse(o.journalMax < 0 || o.journalMax > 4<<30, "JournalMax", o.journalMax)
	refuse(o.retry.Attempts < 0, "Retry.Attempts", o.retry.Attempts)
	refuse(o.retry.First < 0 || o.retry.Most < o.retry.First, "Retry", o.retry)
	refuse(o.writeTimeout < 0, "WriteTimeout", o.writeTimeout)
	if err := errors.Join(errs...); err != nil {
		panic(fmt.Sprintf("cache: %s %q: %v", o.kind.name, o.name, err))
	}
	return o
}

// Put takes a value and returns when it is durable. It waits for room until ctx ends, and then returns an error that wraps
// ErrJournalFull. With this error, ErrClosed and those of the codecs the value has not been taken; with any other, that of ctx
// among them, it may be written or not. The value must not be changed afterwards.
func (w *WriteBehind[K, V]) Put(ctx context.Context, key K, value V) error {
	l := w.ledger
	text, err := l.kind.key.Append(nil, key)
	if err != nil {
		return fmt.Errorf("put to %s: encode key: %w", l.name, err)
	}
	s := stored[V]{value: value}
	if s.data, err = l.kind.value.(storedCodec[V]).Codec.Append(nil, value); err != nil {
		return fmt.Errorf("put to %s: encode value: %w", l.name, err)
	}
	if err := l.change(ctx, key, s, int64(len(text)+len(s.data)+changeHead), nil); err != nil {
		return fmt.Errorf("put to %s: %w", l.name, err)
	}
	return nil
}

// Get returns the value of a key that is owed to the sink; false if there is none, so that the sink has the last one. It sees
// what has been acknowledged: one's own writes, and those of others.
func (w *WriteBehind[K, V]) Get(key K) (value V, pending bool) {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if o, ok := l.state.pending[key]; ok {
		return o.value.value, true
	}
	if l.state.batch != nil {
		if s, ok := l.state.batch.index[key]; ok {
			return s.value, true
		}
	}
	lost, ok := l.state.lost[key]
	return lost.value.value, ok
}

// Flush has everything written that was acknowledged before, without waiting for full batches, and returns when the sink has it
// or it is a dead letter.
func (w *WriteBehind[K, V]) Flush(ctx context.Context) error {
	if err := w.ledger.flush(ctx); err != nil {
		return fmt.Errorf("flush %s: %w", w.ledger.name, err)
	}
	return nil
}

// Close refuses further values, writes what is pending until ctx ends, and lets go of the folder. What could not be written
// stays in the journal for the next process, and Close says how much that is.
func (w *WriteBehind[K, V]) Close(ctx context.Context) error {
	if err := w.ledger.close(ctx); err != nil {
		return fmt.Errorf("close %s: %w", w.ledger.name, err)
	}
	return nil
}

// DeadLetters lists the batches that were given up, the oldest first.
func (w *WriteBehind[K, V]) DeadLetters() []Dead[K, V] {
	var all []Dead[K, V]
	for _, d := range w.ledger.deadLetters() {
		all = append(all, unstoredDead(d))
	}
	return all
}

// Replay has the entries of a dead letter written again, in new batches. Those whose key has been Put since are left out, so
// that an old value does not take the place of a later one.
func (w *WriteBehind[K, V]) Replay(seq uint64) error {
	return w.ledger.settleDead(recordRevive, seq)
}

// Discard drops a dead letter.
func (w *WriteBehind[K, V]) Discard(seq uint64) error {
	return w.ledger.settleDead(recordDiscard, seq)
}

// Stats returns what it has done since it was defined.
func (w *WriteBehind[K, V]) Stats() JournalStats { return w.ledger.snapshot() }

// changeHead is what a change takes in the journal besides key and value, at most.
const changeHead = 1 + 5 + 5

// stored is a value with the bytes that the journal has of it, so that each batch and checkpoint has the same.
type stored[V any] struct {
	value V
	data  []byte
}

type storedCodec[V any] struct{ Codec[V] }

func (storedCodec[V]) Append(buf []byte, s stored[V]) ([]byte, error) {
	return append(buf, s.data...), nil
}

func (c storedCodec[V]) Decode(data []byte) (s stored[V], err error) {
	s.value, err = c.Codec.Decode(data)
	s.data = bytes.Clone(data)
	return s, err
}

func unstored[K comparable, V any](entries []BatchEntry[K, stored[V]]) []BatchEntry[K, V] {
	plain := make([]BatchEntry[K, V], len(entries))
	for i, e := range entries {
		plain[i] = BatchEntry[K, V]{e.Key, e.Value.value}
	}
	return plain
}

func unstoredDead[K comparable, V any](d Dead[K, stored[V]]) Dead[K, V] {
	return Dead[K, V]{d.ID, unstored(d.Entries), d.Cause, d.Refused}
}
