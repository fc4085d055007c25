package pgdb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet/freshet/position"
)

// slotName is the name of a consumer's slot: as much of the consumer's as a slot's may hold (a-z, 0-9 and _, 63 bytes), and a
// hash, since slots are named for the whole server.
func slotName(database, consumer string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, consumer)
	sum := sha256.Sum256([]byte(database + "\x00" + consumer))
	return fmt.Sprintf("freshet_%s_%x", readable[:min(len(readable), 30)], sum[:12])
}

// slotState is what the server knows of a consumer.
type slotState struct {
	logical   bool // the server's wal_level
	known     bool // it has followed the feed
	exists    bool
	ready     bool // it is made wholly
	lost      bool
	confirmed uint64
}

const slotQuery = `SELECT current_setting('wal_level') = 'logical', c.name IS NOT NULL, s.slot_name IS NOT NULL,
	s.confirmed_flush_lsn IS NOT NULL, coalesce(s.wal_status = 'lost', false), coalesce((s.confirmed_flush_lsn - '0/0')::bigint, 0)
	FROM (SELECT $1::text AS name, $2::text AS slot) AS want
	LEFT JOIN feed_consumers c ON c.name = want.name
	LEFT JOIN pg_replication_slots s ON s.slot_name = want.slot AND s.database = current_database() AND s.plugin = 'pgoutput'`

func (c *consumer) state(ctx context.Context) (st slotState, err error) {
	err = c.feed.db.Read(ctx, slotQuery, []any{c.name, c.slot}, func(r pgx.Rows) error {
		var confirmed int64
		err := r.Scan(&st.logical, &st.known, &st.exists, &st.ready, &st.lost, &confirmed)
		st.confirmed = uint64(confirmed)
		return err
	})
	return st, err
}

// errBusy says that somebody else reads the slot, or is making it.
var errBusy = errors.New("the slot is in use")

const busyPause = 20 * time.Millisecond

// connect opens a stream that goes on after a place. A slot has one reader: where another process, or a connection of ours
// that has not ended wholly, reads it, connect waits as long as ctx allows.
func (c *consumer) connect(ctx context.Context, after position.Position, anew bool) error {
	c.close(errors.New("it is read again"))
	for {
		err := c.tryConnect(ctx, after, anew)
		if !isBusy(err) {
			return explainFeed(err)
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isBusy(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "55006" || pg.Code == "42710" && strings.Contains(pg.Message, "replication slot")
	}
	return errors.Is(err, errBusy)
}

func (c *consumer) tryConnect(ctx context.Context, after position.Position, anew bool) error {
	c.mu.Lock()
	dropping := c.dropping
	c.mu.Unlock()
	if dropping {
		return errBusy
	}
	st, err := c.state(ctx)
	switch {
	case err != nil:
		return err
	case !st.logical:
		return errors.New("follow the change feed: the server's wal_level is not logical: set wal_level = logical and restart the server")
	case st.lost || st.known && !st.exists:
		if !anew {
			return c.lost("its slot was dropped, or kept more WAL than it may")
		}
		if st.exists {
			if err := c.feed.dropSlot(ctx, c.slot); err != nil {
				return err
			}
		}
		return c.create(ctx)
	case !st.exists && !after.IsZero():
		return c.lost("it was removed")
	case !st.exists:
		return c.create(ctx)
	case !st.ready:
		return errBusy
	case !st.known:
		if err := c.register(ctx); err != nil {
			return err
		}
	}
	return c.follow(ctx, after, st)
}

// create makes the slot, at the present, and opens a stream. The server waits until all transactions have ended that write at
// this moment. A slot without its row in feed_consumers is found again by its name.
func (c *consumer) create(ctx context.Context) error {
	c.mu.Lock()
	c.confirmed, c.reported = 0, 0
	c.mu.Unlock()
	_, err := c.feed.db.pool.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", c.slot)
	if err == nil {
		err = c.register(ctx)
	}
	if err != nil {
		return err
	}
	return c.tryConnect(ctx, position.Position{}, false)
}

func (c *consumer) register(ctx context.Context) error {
	_, err := c.feed.db.pool.Exec(ctx, "INSERT INTO feed_consumers (name, slot) VALUES ($1, $2) ON CONFLICT DO NOTHING", c.name, c.slot)
	return err
}

// begin says from where on to read. This process moves the slot past what was confirmed where nothing changes: what lies
// between is not missing. Where another has moved it, changes are.
func (c *consumer) begin(after position.Position, st slotState) (from uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.confirmed != 0 && st.confirmed <= c.reported && after.Offset >= c.confirmed
	switch {
	case after.IsZero():
		c.confirmed = max(st.confirmed, c.confirmed)
		from = c.confirmed
	case after.Offset < c.confirmed, after.Offset < st.confirmed && !idle:
		return 0, c.lost("later changes were confirmed")
	default:
		from = after.Offset
		if c.confirmed == 0 {
			c.confirmed = st.confirmed
		}
	}
	c.reported = max(c.reported, st.confirmed)
	return from, nil
}

// follow opens the stream.
func (c *consumer) follow(ctx context.Context, after position.Position, st slotState) error {
	from, err := c.begin(after, st)
	if err != nil {
		return err
	}
	conn, at, err := c.feed.db.connect(ctx)
	if err != nil {
		return err
	}
	if !after.IsZero() && after.Timeline != at.Timeline {
		return errors.Join(c.lost("another server was promoted since"), conn.Close(ctx))
	}
	raw, err := start(ctx, conn, c.slot, c.feed.opts.Publication, from)
	if err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	// Nobody else moves the slot from here on. Who had it before may have moved it since st was read, and the server would
	// pass over what lies between without a word.
	if now, err := c.state(ctx); err != nil || now.confirmed > st.confirmed {
		return errors.Join(cmp.Or(err, errBusy), raw.Conn.Close())
	}
	s := &stream{c: c, at: at, conn: raw.Conn, front: raw.Frontend, ended: make(chan struct{})}
	return c.feed.install(s, from, max(from, st.confirmed))
}

// explainFeed says what to do where the feed can't be followed.
func explainFeed(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	hint := ""
	switch {
	case pg.Code == "42501":
		hint = "give the user the right: ALTER ROLE … REPLICATION"
	case pg.Code == "53400":
		hint = "raise max_replication_slots, or remove consumers that are gone"
	case pg.Code == "53300":
		hint = "raise max_wal_senders"
	case pg.Code == "55000" && strings.Contains(pg.Message, "wal_level"):
		hint = "set wal_level = logical and restart the server"
	default:
		return err
	}
	return fmt.Errorf("follow the change feed: %w: %s", err, hint)
}

// dropSlot removes a slot, once its reader has ended.
func (f *Feed) dropSlot(ctx context.Context, slot string) error {
	for {
		_, err := f.db.pool.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", slot)
		if !isBusy(err) {
			return err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// oversizedQuery finds the slots that keep more than they may.
const oversizedQuery = `SELECT c.name, s.slot_name, s.active FROM feed_consumers c JOIN pg_replication_slots s ON s.slot_name = c.slot
	WHERE s.wal_status <> 'lost' AND pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) > $1`

// dropFor bounds one round of dropOversized.
const dropFor = 5 * time.Second

// dropOversized drops the slots of this database that keep more WAL than Options.MaxFeedWAL, so that a consumer that is gone or
// stalls does not fill the server's disk. What another process reads is left to that one.
func (f *Feed) dropOversized() {
	ctx, cancel := context.WithTimeout(f.ctx, dropFor)
	defer cancel()
	type slot struct {
		consumer, name string
		active         bool
	}
	var found []slot
	err := f.db.Read(ctx, oversizedQuery, []any{f.maxWAL()}, func(r pgx.Rows) error {
		var s slot
		err := r.Scan(&s.consumer, &s.name, &s.active)
		found = append(found, s)
		return err
	})
	for _, s := range found {
		c := f.known(s.consumer)
		if c != nil {
			if !c.condemn(true) {
				continue // another round does it
			}
		} else if s.active {
			continue
		}
		f.db.slow.log.WarnContext(ctx, "a consumer of the change feed is dropped: its slot keeps too much WAL", "consumer", s.consumer, "limit", f.maxWAL())
		err = errors.Join(err, f.dropSlot(ctx, s.name))
		if c != nil {
			c.condemn(false)
		}
	}
	if err != nil && f.ctx.Err() == nil {
		f.db.slow.log.WarnContext(ctx, "look after replication slots", "error", err)
	}
}

// condemn keeps a consumer from its slot while that is dropped. It tells whether that was not so before.
func (c *consumer) condemn(on bool) bool {
	c.mu.Lock()
	before := c.dropping
	c.dropping = on
	c.mu.Unlock()
	if on && !before {
		c.close(errors.New("its slot keeps too much WAL"))
	}
	return on != before
}
