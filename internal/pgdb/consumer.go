package pgdb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/position"
)

// consumer is one reader of the feed in this process: what its stream has received and what it was given.
//
//	slot      confirmed        given            heard          flushed
//	 │ gone here │ given again   │ in the buffer  │ on its way   │
//	─┴───────────┴───────────────┴────────────────┴──────────────┴──▶ WAL
//
// Its lock is taken after a stream's sending, never before.
type consumer struct {
	feed *Feed
	name string
	slot string
	turn chan struct{} // held by the call of Changes or Remove that is under way

	// Held by turn.
	owes   bool // it was told that the feed is lost, and has not begun anew
	passed uint64

	mu        sync.Mutex
	open      *stream       // nil: none
	why       error         // why the last one ended
	buffer    []transaction // received, not given
	buffered  int           // changes in it
	given     uint64        // all up to here was given, or is not wanted
	heard     uint64        // all that committed up to here was received
	confirmed uint64        // by the caller; 0: not known in this process
	reported  uint64        // the highest place that the server was told to move the slot to
	dropping  bool          // its slot keeps too much
	moved     chan struct{} // closed when any of these moves
}

func newConsumer(f *Feed, name string) *consumer {
	return &consumer{feed: f, name: name, slot: slotName(f.db.name, name), turn: make(chan struct{}, 1), moved: make(chan struct{})}
}

// signal is called with the lock held.
func (c *consumer) signal() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// receive takes a transaction from a stream.
func (c *consumer) receive(s *stream, t transaction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != s {
		return
	}
	if c.heard = max(c.heard, t.end); t.end > c.given && (t.gap || len(t.changes) > 0) {
		c.buffer, c.buffered = append(c.buffer, t), c.buffered+len(t.changes)
	}
	c.signal()
}

func (c *consumer) heardUpTo(s *stream, end uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == s && end > c.heard {
		c.heard = end
		c.signal()
	}
}

// room waits until there is room in the buffer, and tells whether the stream is still open.
func (c *consumer) room(s *stream) bool {
	for {
		c.mu.Lock()
		full, moved, open := c.buffered >= maxBuffered, c.moved, c.open == s
		c.mu.Unlock()
		if !full || !open {
			return open
		}
		select {
		case <-moved:
		case <-s.ended:
			return false
		}
	}
}

// progress is up to where all was received, and up to where nothing is needed any more. Where all that was received is
// confirmed, WAL without changes is not needed either: else the slot would keep it until something changes.
func (c *consumer) progress() (heard, done uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	done = c.confirmed
	if len(c.buffer) == 0 && c.given <= c.confirmed {
		done = max(done, c.heard)
	}
	c.reported = max(c.reported, done)
	return max(c.heard, done), done
}

// end takes note that a stream has ended. The call that waits may still be given what it received.
func (c *consumer) end(s *stream, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == s {
		c.open, c.why = nil, why
		c.signal()
	}
}

// close ends the stream, if one is open.
func (c *consumer) close(why error) {
	c.mu.Lock()
	s := c.open
	c.mu.Unlock()
	if s != nil {
		s.stop(why)
	}
}

// continues reports whether what is received goes on after a place, and leaves out what is not wanted.
func (c *consumer) continues(after position.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open == nil:
		return false
	case !after.IsZero() && (after.Offset < c.given || c.open.at.Timeline != after.Timeline):
		return false
	case !after.IsZero():
		c.given = after.Offset
	case c.given > c.confirmed:
		return false
	}
	for len(c.buffer) > 0 && c.buffer[0].end <= c.given {
		c.drop(1)
	}
	if len(c.buffer) > 0 && c.buffer[0].gap && c.buffer[0].end == c.passed && c.given <= c.confirmed {
		c.confirmed, c.given = c.passed, c.passed // nobody else will confirm it
		c.drop(1)
	}
	return true
}

// drop removes the first transactions from the buffer; the lock is held.
func (c *consumer) drop(n int) {
	for _, t := range c.buffer[:n] {
		c.buffered -= len(t.changes)
	}
	if c.buffer = c.buffer[n:]; len(c.buffer) == 0 {
		c.buffer = nil
	}
	c.signal()
}

// offer is what could be given now.
type offer struct {
	transactions int
	changes      int
	gap          uint64 // the end of a transaction in it that can't be told
	heard        uint64
	stream       *stream
	why          error
	moved        chan struct{}
}

func (c *consumer) look(limit int) offer {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := offer{heard: c.heard, stream: c.open, why: c.why, moved: c.moved}
	for _, t := range c.buffer {
		if o.changes >= limit {
			break
		}
		if o.transactions, o.changes = o.transactions+1, o.changes+len(t.changes); t.gap && t.end != c.passed {
			o.gap = t.end
			break
		}
	}
	return o
}

// give takes what was offered out of the buffer.
func (c *consumer) give(o offer) []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Change, 0, o.changes)
	for _, t := range c.buffer[:o.transactions] {
		out = append(out, t.changes...)
		c.given = t.end
	}
	c.drop(o.transactions)
	return out
}

const (
	reopen     = 3                     // times in one call that a stream is opened anew
	nudge      = 2 * time.Millisecond  // between a question and the next; doubles
	nudgeMost  = 50 * time.Millisecond // up to this
	stuckAfter = 2                     // questions without progress until the WAL is moved on: 6 ms
)

// changes is Feed.Changes for whoever holds the turn.
func (c *consumer) changes(ctx context.Context, after position.Position, limit int) ([]Change, error) {
	anew := after.IsZero() && c.owes
	if !after.IsZero() && (c.owes || after.System != c.feed.db.system.Load()) {
		return nil, c.lost("it was not begun anew")
	}
	c.owes = false
	var floor position.Position // what had committed when this was called
	for try := 0; ; try++ {
		if !c.continues(after) {
			if err := c.connect(ctx, after, anew); err != nil {
				return nil, err
			}
		}
		out, err := c.next(ctx, limit, &floor)
		if !errors.Is(err, errEnded) || try == reopen {
			return out, err
		}
		if c.feed.isClosed() {
			return nil, errClosed
		}
		c.feed.db.slow.log.WarnContext(ctx, "the change feed is read anew", "consumer", c.name, "error", err)
	}
}

var errEnded = errors.New("the stream has ended")

// next waits for changes on the open stream.
func (c *consumer) next(ctx context.Context, limit int, floor *position.Position) ([]Change, error) {
	var q question
	for {
		o := c.look(limit)
		told := !floor.IsZero() && o.heard >= floor.Offset
		var again <-chan time.Time
		switch {
		case o.gap != 0:
			c.passed = o.gap
			return nil, c.lost("a table was emptied, or rows changed that can't be named")
		case o.changes >= limit || told && o.changes > 0:
			return c.give(o), nil
		case o.stream == nil:
			return nil, fmt.Errorf("%w: %w", errEnded, o.why)
		case floor.IsZero():
			at, err := c.feed.db.Position(ctx)
			if err != nil {
				return nil, err
			}
			if *floor = at; at.Timeline != o.stream.at.Timeline {
				o.stream.stop(errors.New("another server was promoted"))
			}
			continue
		case !told:
			var err error
			if again, err = q.ask(ctx, o); err != nil {
				return nil, err
			}
		}
		select {
		case <-o.moved:
		case <-again:
		case <-ctx.Done():
			if told && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, nil
			}
			return nil, ctx.Err()
		}
	}
}

// question is asked of a server that has not sent all that had committed, or has not said so, time and again. Its answer can
// stop short of a position that was flushed, where that lies within a record: then a commit of our own moves the WAL on.
type question struct {
	next  time.Time
	pace  time.Duration
	heard uint64
	stuck int
}

func (q *question) ask(ctx context.Context, o offer) (again <-chan time.Time, err error) {
	now := time.Now()
	if wait := q.next.Sub(now); wait > 0 {
		return time.After(wait), nil
	}
	if o.heard > q.heard {
		q.heard, q.stuck = o.heard, 0
	} else if q.stuck++; q.stuck == stuckAfter {
		if err := o.stream.c.feed.moveOn(ctx); err != nil {
			return nil, err
		}
	}
	if err := o.stream.tell(true); err != nil {
		o.stream.stop(err)
	}
	q.pace = min(max(2*q.pace, nudge), nudgeMost)
	q.next = now.Add(q.pace)
	return time.After(q.pace), nil
}

// lost is the error of a feed that does not go on; a zero position begins anew.
func (c *consumer) lost(why string) error {
	c.owes = true
	return fmt.Errorf("read changes for %s: %w: %s", c.name, ErrFeedLost, why)
}
