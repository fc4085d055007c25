package litedb

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Change is a row of the change feed.
type Change struct {
	Offset  int64
	Kind    uint8
	Subject freshet.ID
	Object  freshet.ID
	Also    []freshet.ID
}

// feed wakes the readers of the change feed.
type feed struct {
	mu     sync.Mutex
	last   int64         // offset of the newest transaction with changes
	wake   chan struct{} // closed when last moves
	closed bool
}

func (f *feed) init(last int64) { f.last, f.wake = last, make(chan struct{}) }

func (f *feed) advance(offset int64) {
	f.mu.Lock()
	f.last = offset
	close(f.wake)
	f.wake = make(chan struct{})
	f.mu.Unlock()
}

func (f *feed) newest() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	close(f.wake)
	f.mu.Unlock()
}

// wait returns once a transaction after offset has changes, or at the end of ctx.
func (f *feed) wait(ctx context.Context, offset int64) error {
	for {
		f.mu.Lock()
		last, wake, closed := f.last, f.wake, f.closed
		f.mu.Unlock()
		if last > offset {
			return nil
		}
		if closed {
			return ErrClosed
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrFeedLost says that a consumer is gone that asks for what came after a
// position: what others have confirmed meanwhile has been removed.
var ErrFeedLost = errors.New("no such consumer")

// Changes implements the change feed of package store: it waits for changes
// after an offset and returns up to limit rows, and all rows of the last offset
// among them.
func (d *DB) Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]Change, error) {
	here := after.System == d.system && after.Timeline == d.timeline
	from, err := d.subscribe(ctx, consumer, !here)
	if err != nil {
		return nil, err
	}
	if here {
		from = max(from, int64(after.Offset))
	}
	for {
		seen := d.feed.newest() // before the read: a commit between the two wakes the wait
		changes, err := d.changesAfter(ctx, from, max(limit, 1))
		if err != nil || len(changes) > 0 {
			return changes, err
		}
		switch err := d.feed.wait(ctx, max(from, seen)); {
		case errors.Is(err, context.DeadlineExceeded):
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
}

func (d *DB) changesAfter(ctx context.Context, from int64, limit int) (out []Change, err error) {
	err = d.View(ctx, func(c *Conn) error {
		return c.Each(`SELECT position, kind, subject, object, also FROM changes
			WHERE position > ?1 AND position <= (
				SELECT coalesce(max(position), 0) FROM
					(SELECT position FROM changes WHERE position > ?1 ORDER BY position LIMIT ?2))
			ORDER BY position, n`, []any{from, limit}, func(r *Rows) {
			out = append(out, Change{
				Offset: r.Int(0), Kind: uint8(r.Int(1)),
				Subject: r.ID(2), Object: r.ID(3), Also: unpackIDs(r.Blob(4)),
			})
		})
	})
	return out, err
}

// subscribe gives what a consumer confirmed last, and starts a new one at the
// present where that is allowed.
func (d *DB) subscribe(ctx context.Context, consumer string, start bool) (confirmed int64, err error) {
	var found bool
	read := func(c *Conn) (err error) {
		found, err = c.One("SELECT position FROM consumers WHERE name = ?", []any{consumer}, func(r *Rows) { confirmed = r.Int(0) })
		return err
	}
	if err := d.View(ctx, read); err != nil || found {
		return confirmed, err
	}
	if !start {
		return 0, fmt.Errorf("read changes for %s: %w", consumer, ErrFeedLost)
	}
	_, err = d.Write(ctx, func(t *Tx) error {
		if err := read(t.Conn); err != nil || found {
			return err
		}
		d.listened.Store(true)
		confirmed = t.offset
		_, err := t.Exec("INSERT INTO consumers (name, position) VALUES (?, ?)", consumer, confirmed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("subscribe %s: %w", consumer, err)
	}
	return confirmed, nil
}

// Confirm notes what a consumer is done with and removes what nobody needs.
func (d *DB) Confirm(ctx context.Context, consumer string, upTo position.Position) error {
	if upTo.System != d.system || upTo.Timeline != d.timeline {
		return fmt.Errorf("confirm %s: position of another database", consumer)
	}
	_, err := d.Write(ctx, func(t *Tx) error {
		if _, err := t.Exec("UPDATE consumers SET position = ?2 WHERE name = ?1 AND position < ?2", consumer, upTo.Offset); err != nil {
			return err
		}
		_, err := t.Exec("DELETE FROM changes WHERE position <= (SELECT coalesce(min(position), ?) FROM consumers)", t.offset)
		return err
	})
	return err
}
