package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// Errors of Counter.Get.
const (
	// ErrSourceBehind: what Load returned lacks batches that the sink has acknowledged: it reads a replica that lags, or a
	// cache.
	ErrSourceBehind = constError("cache: source is behind its counter")
	// ErrJournalBehind: the source has batches that the journal has not cut: the journal was put back from a backup. Close the
	// Counter and remove the folder.
	ErrJournalBehind = constError("cache: journal is behind its source")
)

// CounterOptions declares a Counter. Name, Dir, Write and Load are required; the rest has defaults. Fields that
// WriteBehindOptions has too mean the same.
type CounterOptions[K comparable] struct {
	Name string
	Dir  string
	Key  Codec[K]
	// Write is the sink: it adds the deltas of a batch, once by its ID, as Batch says.
	Write func(ctx context.Context, batch Batch[K, int64]) error
	// Load reads the totals of keys from where Write adds them, and the Seq that is stored there for journal (0: none), both
	// in one transaction: so it is known which batches the totals have. A key that the map lacks counts as zero.
	Load func(ctx context.Context, journal [16]byte, keys []K) (totals map[K]int64, seq uint64, err error)

	WriteTimeout time.Duration
	FlushEvery   time.Duration
	BatchMax     int
	PendingMax   int
	JournalMax   int64
	Retry        Retry
	DeadLetter   func(Dead[K, int64])

	// FsyncEvery, if not zero, has Add return at once and the journal written at this interval: millions of Adds a second, of
	// which a crash loses those of the last FsyncEvery and of the fsync that was under way. Default 0: Add waits for its fsync
	// and a crash loses none.
	FsyncEvery time.Duration
	// KnownMax is how many totals are remembered for the answers of Add. Default 65,536.
	KnownMax int

	disk    journalDisk // of tests
	segment int64
}

// Counter counts at the speed of a journal and adds merged deltas to a slower source. It gives the promises of WriteBehind, with
// sums in the place of last values: after any crash the source has each acknowledged Add once. It is safe for concurrent use.
type Counter[K comparable] struct {
	ledger *ledger[K, int64]
	load   func(context.Context, [16]byte, []K) (map[K]int64, uint64, error)

	// Guarded by ledger.mu.
	known    map[K]knownTotal
	knownMax int
}

// knownTotal is a total as the source had it, with all of our batches up to seq.
type knownTotal struct {
	total int64
	seq   uint64
}

// DefineCounter opens the journal and begins to write what is in it. It panics and fails as DefineWriteBehind does.
func DefineCounter[K comparable](o CounterOptions[K]) (*Counter[K], error) {
	if o.Name == "" || o.Dir == "" || o.Write == nil || o.Load == nil {
		panic(fmt.Sprintf("cache: counter %q needs a Name, a Dir, a Write and a Load", o.Name))
	}
	c := &Counter[K]{load: o.Load, known: make(map[K]knownTotal), knownMax: o.KnownMax}
	if c.knownMax < 1 {
		c.knownMax = 1 << 16
	}
	l, err := openLedger(ledgerOptions[K, int64]{
		name: o.Name, dir: o.Dir, write: o.Write, buried: o.DeadLetter, applied: c.applied,
		kind: ledgerKind[K, int64]{
			name: "counter", key: o.Key, value: deltaCodec{},
			sum: func(a, b int64) int64 { return a + b },
		},
		flushEvery: o.FlushEvery, fsyncEvery: o.FsyncEvery, batchMax: o.BatchMax, pendingMax: o.PendingMax,
		journalMax: o.JournalMax, retry: o.Retry, writeTimeout: o.WriteTimeout, disk: o.disk, segment: o.segment,
	}.resolve())
	if err != nil {
		return nil, err
	}
	c.ledger = l
	return c, nil
}

// Add adds delta to a key, durably unless FsyncEvery is set, and returns the total as this node knows it: what Get last loaded
// of the key (zero if it has not, or long ago) and everything that was added here since. Errors are those of WriteBehind.Put:
// where it is not known whether the delta was taken, another Add may count twice.
func (c *Counter[K]) Add(ctx context.Context, key K, delta int64) (total int64, err error) {
	err = c.ledger.change(ctx, key, delta, deltaSize, func() {
		known := c.known[key]
		total = known.total + c.owed(key, known.seq)
	})
	if err != nil {
		return 0, fmt.Errorf("add to %s: %w", c.ledger.name, err)
	}
	return total, nil
}

// Get returns the totals of keys: those of the source, and what this node owes to it. Nothing is counted twice and nothing left
// out, whatever becomes of the batch in flight meanwhile. It sees Adds that have begun, and so all that have returned here;
// those of other nodes when the source has them.
func (c *Counter[K]) Get(ctx context.Context, keys ...K) (map[K]int64, error) {
	for attempt := 1; ; attempt++ {
		totals, seq, err := c.load(ctx, c.ledger.journal.id, keys)
		if err == nil {
			totals, err = c.add(keys, totals, seq)
		}
		switch {
		case err == nil:
			return totals, nil
		case err != ErrSourceBehind || attempt == loadAttempts:
			return nil, fmt.Errorf("get from %s: %w", c.ledger.name, err)
		}
	}
}

// loadAttempts is how often Get loads when a batch is applied and forgotten while it does. Twice in a row would take two
// batches within one load.
const loadAttempts = 5

// add adds what is owed to totals that the source has with all batches up to seq.
func (c *Counter[K]) add(keys []K, totals map[K]int64, seq uint64) (map[K]int64, error) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	switch s := c.ledger.state; {
	case seq > s.seq:
		return nil, ErrJournalBehind
	case seq < s.applied:
		return nil, ErrSourceBehind
	}
	sums := make(map[K]int64, len(keys))
	for _, key := range keys {
		c.remember(key, knownTotal{totals[key], seq})
		sums[key] = totals[key] + c.owed(key, seq)
	}
	return sums, nil
}

// owed is what a total lacks that has all batches up to seq. The ledger's mu is held.
func (c *Counter[K]) owed(key K, seq uint64) int64 {
	l := c.ledger
	sum := l.open.changes[key] + l.state.pending[key].value + l.state.lost[key].value
	if l.committing != nil {
		sum += l.committing.changes[key]
	}
	if b := l.state.batch; b != nil && b.seq > seq {
		sum += b.index[key]
	}
	return sum
}

// remember keeps a total for the answers of Add, in the place of any other where there is no room.
func (c *Counter[K]) remember(key K, known knownTotal) {
	if _, there := c.known[key]; !there && len(c.known) >= c.knownMax {
		for other := range c.known {
			delete(c.known, other)
			break
		}
	}
	c.known[key] = known
}

// applied adds to what is known what the source has now. The ledger's mu is held.
func (c *Counter[K]) applied(b *cutBatch[K, int64]) {
	for _, e := range b.entries {
		if known, ok := c.known[e.Key]; ok && known.seq < b.seq {
			c.known[e.Key] = knownTotal{known.total + e.Value, b.seq}
		}
	}
}

// Flush is WriteBehind.Flush.
func (c *Counter[K]) Flush(ctx context.Context) error {
	if err := c.ledger.flush(ctx); err != nil {
		return fmt.Errorf("flush %s: %w", c.ledger.name, err)
	}
	return nil
}

// Close is WriteBehind.Close.
func (c *Counter[K]) Close(ctx context.Context) error {
	if err := c.ledger.close(ctx); err != nil {
		return fmt.Errorf("close %s: %w", c.ledger.name, err)
	}
	return nil
}

// DeadLetters lists the batches that were given up, the oldest first. Their deltas stay in the totals of Get and Add until they
// are discarded.
func (c *Counter[K]) DeadLetters() []Dead[K, int64] { return c.ledger.deadLetters() }

// Replay has the deltas of a dead letter added again, in new batches. If it was not refused, see first whether the source has
// it: an attempt whose answer was lost would be counted twice.
func (c *Counter[K]) Replay(seq uint64) error { return c.ledger.settleDead(recordRevive, seq) }

// Discard drops a dead letter.
func (c *Counter[K]) Discard(seq uint64) error { return c.ledger.settleDead(recordDiscard, seq) }

// Stats returns what it has done since it was defined.
func (c *Counter[K]) Stats() JournalStats { return c.ledger.snapshot() }

// deltaSize is about what a change of a counter takes in the journal and in memory.
const deltaSize = 64

type deltaCodec struct{}

func (deltaCodec) Append(buf []byte, delta int64) ([]byte, error) {
	return binary.AppendVarint(buf, delta), nil
}

func (deltaCodec) Decode(data []byte) (int64, error) {
	delta, n := binary.Varint(data)
	if n <= 0 || n != len(data) {
		return 0, errRecord
	}
	return delta, nil
}
