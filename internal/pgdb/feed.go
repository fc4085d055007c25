package pgdb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/position"
)

// FeedOptions says what a feed hears.
type FeedOptions struct {
	Publication string // of the tables whose rows Derive is handed
	Derive      Derive
}

// Feed is the change feed of a database, by logical replication: each consumer has a replication slot, which keeps the WAL
// that it has not confirmed, and reads it by a connection of its own, from its first call of Changes on. Methods are safe for
// concurrent use. Calls of Changes for one consumer take turns.
type Feed struct {
	db      *DB
	opts    FeedOptions
	beat    time.Duration
	ctx     context.Context // of its goroutines, until Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex // before a consumer's
	consumers map[string]*consumer
	closed    bool
}

// ErrFeedLost says that changes after a position can't be told: the consumer's slot was dropped, by somebody or because it
// kept too much WAL, or has not come along to a server that was promoted; others have confirmed later changes; or what changed
// can't be named. A zero position begins anew.
var ErrFeedLost = errors.New("changes are gone")

var errClosed = errors.New("the database is closed")

// defaultFeedWAL is 4 GiB.
const defaultFeedWAL = 4 << 30

// NewFeed makes the feed of a database. It ends with the database's Close.
func (d *DB) NewFeed(o FeedOptions) *Feed {
	f := &Feed{db: d, opts: o, beat: beat, consumers: make(map[string]*consumer)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	d.onClose = append(d.onClose, f.close)
	return f
}

// Logical reports whether the server's wal_level lets a feed be followed.
func (d *DB) Logical(ctx context.Context) (logical bool, err error) {
	err = d.Read(ctx, "SELECT current_setting('wal_level') = 'logical'", nil, func(r pgx.Rows) error { return r.Scan(&logical) })
	return logical, err
}

// Changes is that of store.ChangeFeed. A new consumer's slot is made here, which waits for the writes of that moment.
func (f *Feed) Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]Change, error) {
	c, err := f.take(ctx, consumer)
	if err != nil {
		return nil, err
	}
	defer c.release()
	changes, err := c.changes(ctx, after, max(limit, 1))
	return changes, explain(ctx, err)
}

// take gives the consumer of a name to one caller at a time.
func (f *Feed) take(ctx context.Context, name string) (*consumer, error) {
	f.mu.Lock()
	c := f.consumers[name]
	if c == nil && !f.closed {
		c = newConsumer(f, name)
		f.consumers[name] = c
	}
	f.mu.Unlock()
	if c == nil {
		return nil, errClosed
	}
	select {
	case c.turn <- struct{}{}:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *consumer) release() { <-c.turn }

func (f *Feed) known(name string) *consumer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.consumers[name]
}

func (f *Feed) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// install makes a stream that of its consumer.
func (f *Feed) install(s *stream, given, heard uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errors.Join(errClosed, s.conn.Close())
	}
	c := s.c
	c.mu.Lock()
	c.open, c.why, c.buffer, c.buffered = s, nil, nil, 0
	c.given, c.heard = given, heard
	c.signal()
	c.mu.Unlock()
	s.run(&f.running)
	return nil
}

func (f *Feed) close() {
	f.mu.Lock()
	f.closed = true
	open := make([]*consumer, 0, len(f.consumers))
	for _, c := range f.consumers {
		open = append(open, c)
	}
	f.mu.Unlock()
	f.cancel()
	for _, c := range open {
		c.close(errClosed)
	}
	f.running.Wait()
}

// Confirm says that a consumer needs nothing up to a position any more: its slot moves there.
func (f *Feed) Confirm(ctx context.Context, consumer string, upTo position.Position) error {
	if upTo.System != f.db.system.Load() {
		return fmt.Errorf("confirm %s: position of another database", consumer)
	}
	if c := f.known(consumer); c != nil {
		sent, err := c.confirm(upTo)
		if sent || err != nil {
			return err
		}
	}
	at, err := f.db.Position(ctx)
	if err == nil && at.Timeline != upTo.Timeline {
		err = fmt.Errorf("confirm %s: position of another timeline", consumer)
	}
	for err == nil {
		_, err = f.db.pool.Exec(ctx, `SELECT pg_replication_slot_advance(slot_name, '0/0'::pg_lsn + $2) FROM pg_replication_slots
			WHERE slot_name = $1 AND confirmed_flush_lsn < '0/0'::pg_lsn + $2`, slotName(f.db.name, consumer), int64(upTo.Offset))
		if !isBusy(err) {
			break
		}
		select {
		case <-time.After(busyPause):
			err = nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return explain(ctx, explainFeed(err))
}

// confirm notes a position and sends it by the open stream; false: there is none.
func (c *consumer) confirm(upTo position.Position) (bool, error) {
	c.mu.Lock()
	s := c.open
	if s != nil && s.at.Timeline != upTo.Timeline {
		c.mu.Unlock()
		return false, fmt.Errorf("confirm %s: position of another timeline", c.name)
	}
	if c.confirmed != 0 {
		c.confirmed = max(c.confirmed, upTo.Offset)
		c.reported = max(c.reported, c.confirmed)
	}
	c.mu.Unlock()
	if s == nil {
		return false, nil
	}
	if err := s.tell(false); err != nil {
		s.stop(err)
		return false, nil
	}
	return true, nil
}

// moveOn commits something that is no change, so that the WAL goes on.
func (f *Feed) moveOn(ctx context.Context) error {
	_, err := f.db.pool.Exec(ctx, "SELECT pg_logical_emit_message(true, $1, '')", barrierPrefix)
	return err
}

func (f *Feed) maxWAL() int64 {
	if f.db.opts.MaxFeedWAL > 0 {
		return f.db.opts.MaxFeedWAL
	}
	return defaultFeedWAL
}

// Remove ends a consumer: its slot is dropped, and the WAL that was kept for it is free. It waits for the call of Changes that
// is under way here, and for whoever reads the slot elsewhere.
func (f *Feed) Remove(ctx context.Context, consumer string) error {
	c, err := f.take(ctx, consumer)
	if err != nil {
		return err
	}
	defer c.release()
	c.close(errors.New("it is removed"))
	if err := f.dropSlot(ctx, c.slot); err != nil {
		return explain(ctx, fmt.Errorf("remove consumer %s: %w", consumer, err))
	}
	if _, err := f.db.pool.Exec(ctx, "DELETE FROM feed_consumers WHERE name = $1", consumer); err != nil {
		return explain(ctx, err)
	}
	c.mu.Lock()
	c.confirmed, c.reported = 0, 0
	c.mu.Unlock()
	c.owes, c.passed = false, 0
	return nil
}

// Consumer is one reader of the feed.
type Consumer struct {
	Name   string
	Slot   string
	Active bool  // somebody reads it
	Lost   bool  // it will be told ErrFeedLost
	Kept   int64 // bytes of WAL that are kept for it
}

// Consumers lists the readers of the feed by name.
func (f *Feed) Consumers(ctx context.Context) (out []Consumer, err error) {
	err = f.db.Read(ctx, `SELECT c.name, c.slot, coalesce(s.active, false), s.wal_status IS NULL OR s.wal_status = 'lost',
		coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint
		FROM feed_consumers c LEFT JOIN pg_replication_slots s ON s.slot_name = c.slot ORDER BY c.name`, nil, func(r pgx.Rows) error {
		var c Consumer
		err := r.Scan(&c.Name, &c.Slot, &c.Active, &c.Lost, &c.Kept)
		out = append(out, c)
		return err
	})
	return out, err
}
