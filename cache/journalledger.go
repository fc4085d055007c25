package cache

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A ledger takes changes, acknowledges them when they are in its journal, and offers them in batches to a sink. It has two
// goroutines, which end with close:
//
//	callers          committer                     flusher
//	  │ change          │                             │
//	  ├──▶ open group ──┤ one payload, one fsync      │
//	  │                 ├──▶ state                    │
//	  ◀── acknowledged ─┤       ── enough, or late ──▶│
//	                    │◀────────────────────── cut ─┤
//	                    ├──▶ state.batch ────────────▶├──▶ sink.write, again and again
//	                    │◀──────────── done, or bury ─┤
//
// While the committer waits for the disk the next group fills. The state follows the journal: what is not durable is in a group
// and in no batch.
type ledger[K comparable, V any] struct {
	ledgerOptions[K, V]

	journal *journal // the committer's

	mu         sync.Mutex
	state      *ledgerState[K, V] // changed by the committer alone, under mu
	open       *group[K, V]       // what is in the next commit
	committing *group[K, V]       // what is in this one
	failing    error              // of the last commit
	closing    bool
	flushTo    uint64        // entries that are not to wait for company: see ledgerState.pushed
	turn       chan struct{} // is closed when something changes that somebody may wait for
	waiting    int           // for turn
	stats      ledgerStats

	work    chan struct{} // there is an open group
	urgent  chan struct{} // and it does not wait for fsyncEvery
	stir    chan struct{} // look whether a batch is due
	stop    chan struct{} // ends the committer
	ended   sync.WaitGroup
	closed  chan struct{}
	closeIt context.CancelFunc // ends the flusher
}

// ledgerOptions are the options of WriteBehind and Counter, with defaults in place.
type ledgerOptions[K comparable, V any] struct {
	name         string
	dir          string
	kind         ledgerKind[K, V]
	write        func(context.Context, Batch[K, V]) error
	buried       func(Dead[K, V])
	flushEvery   time.Duration
	fsyncEvery   time.Duration
	batchMax     int
	pendingMax   int
	journalMax   int64
	retry        Retry
	writeTimeout time.Duration
	disk         journalDisk
	segment      int64
	applied      func(b *cutBatch[K, V]) // under mu, when a batch is done
}

type ledgerStats struct {
	changes, commits, batches, entries, retries, dead uint64
}

// group is what is committed together.
type group[K comparable, V any] struct {
	changes  map[K]V
	order    []K
	bytes    int64
	controls []control // come before the changes, so that a batch is cut of what is durable
	done     chan struct{}
	err      error // when done
}

// newGroup makes a group with room for as many changes as the one before had.
func newGroup[K comparable, V any](room int) *group[K, V] {
	return &group[K, V]{changes: make(map[K]V, room), order: make([]K, 0, room), done: make(chan struct{})}
}

func (g *group[K, V]) empty() bool { return len(g.order) == 0 && len(g.controls) == 0 }

func openLedger[K comparable, V any](o ledgerOptions[K, V]) (*ledger[K, V], error) {
	l := &ledger[K, V]{
		ledgerOptions: o,
		state:         newLedgerState(o.kind),
		open:          newGroup[K, V](0),
		turn:          make(chan struct{}),
		work:          make(chan struct{}, 1),
		urgent:        make(chan struct{}, 1),
		stir:          make(chan struct{}, 1),
		stop:          make(chan struct{}),
		closed:        make(chan struct{}),
	}
	now := time.Now()
	var err error
	l.journal, err = openJournal(journalOptions{
		dir: o.dir, segment: o.segment, disk: o.disk,
		replay:     func(payload []byte, checkpoint bool) error { return l.state.replay(payload, checkpoint, now) },
		checkpoint: l.state.checkpoint,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.closeIt = cancel
	l.ended.Go(l.commitLoop)
	l.ended.Go(func() {
		l.flushLoop(ctx)
		close(l.stop)
	})
	return l, nil
}

// change merges a value into the open group and returns when it is durable. size is about what it takes in the journal; seen is
// called under mu when the change is in the group.
func (l *ledger[K, V]) change(ctx context.Context, key K, value V, size int64, seen func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if err := l.awaitRoom(ctx, key, size); err != nil {
		l.mu.Unlock()
		return err
	}
	g := l.open
	if old, again := g.changes[key]; again {
		value = l.kind.merge(old, value)
	} else {
		g.order = append(g.order, key)
		g.bytes += size
	}
	g.changes[key] = value
	l.stats.changes++
	first := len(g.order) == 1
	if seen != nil {
		seen()
	}
	l.mu.Unlock()
	if first {
		wake(l.work)
	}
	if l.fsyncEvery > 0 {
		return nil
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitRoom waits, with mu held before and after, until the key may enter the open group.
func (l *ledger[K, V]) awaitRoom(ctx context.Context, key K, size int64) error {
	if size > l.bytesMax() {
		return fmt.Errorf("an entry of %d bytes: %w", size, ErrJournalFull)
	}
	for {
		switch {
		case l.closing:
			return ErrClosed
		case l.fsyncEvery > 0 && l.failing != nil:
			return l.failing // nobody waits for the commit, so nobody else would hear of it
		case l.hasRoom(key, size):
			return nil
		}
		if err := l.awaitTurn(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrJournalFull, err)
		}
	}
}

// hasRoom tells whether a key may enter the open group. One that is pending already takes no room, so that hot keys are not held
// up while the sink is down.
func (l *ledger[K, V]) hasRoom(key K, size int64) bool {
	entries, bytes := l.state.entries()+len(l.open.order), l.state.bytes+l.open.bytes
	if l.committing != nil {
		entries, bytes = entries+len(l.committing.order), bytes+l.committing.bytes
	}
	if bytes+size > l.bytesMax() {
		return false
	}
	if entries < l.pendingMax {
		return true
	}
	_, open := l.open.changes[key]
	_, pending := l.state.pending[key]
	return open || pending
}

// bytesMax is how much may be owed. A segment grows to twice its checkpoint and then stands beside the next one until that is
// durable, with a group on top.
func (l *ledger[K, V]) bytesMax() int64 { return l.journalMax / 4 }

// awaitTurn waits, with mu held before and after, for something to change.
func (l *ledger[K, V]) awaitTurn(ctx context.Context) error {
	turn := l.turn
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
	}()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeTurns wakes all who wait. mu is held.
func (l *ledger[K, V]) takeTurns() {
	if l.waiting > 0 {
		close(l.turn)
		l.turn = make(chan struct{})
	}
}

// control puts records that are no changes into the journal. It is the flusher's: the committer outlives it.
func (l *ledger[K, V]) control(controls ...control) error {
	l.mu.Lock()
	g := l.enter(controls...)
	l.mu.Unlock()
	<-g.done
	return g.err
}

// enter puts records that are no changes into the open group. mu is held.
func (l *ledger[K, V]) enter(controls ...control) *group[K, V] {
	l.open.controls = append(l.open.controls, controls...)
	wake(l.work)
	wake(l.urgent)
	return l.open
}

// commitLoop is the committer. It ends when the flusher has, after a last commit.
func (l *ledger[K, V]) commitLoop() {
	for {
		select {
		case <-l.work:
		case <-l.stop:
			l.commit()
			return
		}
		if l.fsyncEvery > 0 {
			select {
			case <-time.After(l.fsyncEvery):
			case <-l.urgent:
			case <-l.stop:
			}
		}
		l.commit()
	}
}

// commit makes the open group durable, then applies and acknowledges it.
func (l *ledger[K, V]) commit() {
	l.mu.Lock()
	g := l.open
	if g.empty() {
		l.mu.Unlock()
		return
	}
	l.committing, l.open = g, newGroup[K, V](len(g.order))
	l.mu.Unlock()

	payload, sizes, err := l.encode(g)
	if err == nil {
		err = l.journal.commit(payload)
	}

	l.mu.Lock()
	if err == nil {
		err = l.apply(g, sizes)
		l.stats.commits++
	} else if l.fsyncEvery > 0 {
		l.putBack(g)
	}
	l.committing, l.failing = nil, err
	l.takeTurns()
	l.mu.Unlock()
	g.err = err
	close(g.done)
	wake(l.stir)
}

// encode makes a payload of a group. sizes are those of its changes.
func (l *ledger[K, V]) encode(g *group[K, V]) (payload []byte, sizes []int, err error) {
	for _, c := range g.controls {
		payload = c.append(payload)
	}
	sizes = make([]int, len(g.order))
	var scratch []byte
	for i, key := range g.order {
		before := len(payload)
		if payload, scratch, err = appendChange(payload, scratch, l.kind, key, g.changes[key]); err != nil {
			return nil, nil, err
		}
		sizes[i] = len(payload) - before
	}
	return payload, sizes, nil
}

// apply does to the state what a replay of the group would do. mu is held.
func (l *ledger[K, V]) apply(g *group[K, V], sizes []int) error {
	now := time.Now()
	for _, c := range g.controls {
		batch := l.state.batch
		if err := l.state.control(c, now); err != nil {
			return err
		}
		switch c.kind {
		case recordDone:
			l.stats.batches++
			l.stats.entries += uint64(len(batch.entries))
			if l.applied != nil {
				l.applied(batch)
			}
		case recordBury:
			l.stats.dead++
		}
	}
	for i, key := range g.order {
		l.state.change(key, g.changes[key], sizes[i], now)
	}
	return nil
}

// putBack keeps changes that have been acknowledged before they are durable: they are in the next group. Controls are their
// callers' to repeat. mu is held.
func (l *ledger[K, V]) putBack(g *group[K, V]) {
	for _, key := range g.order {
		later, again := l.open.changes[key]
		if !again {
			l.open.order = append(l.open.order, key)
			l.open.changes[key] = g.changes[key]
			continue
		}
		l.open.changes[key] = l.kind.merge(g.changes[key], later)
	}
	l.open.bytes += g.bytes
	if len(g.order) > 0 {
		wake(l.work)
	}
}

// wake is a signal to one who need not be told twice.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
