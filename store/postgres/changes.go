package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Changes waits for what committed after a position. Each consumer has a replication slot, which is made by its first call,
// once the writes of that moment have ended; the server must run with wal_level = logical, and the user needs REPLICATION. One
// process at a time reads for a consumer: another waits for as long as ctx allows.
//
// A write by this package is told as its functions say; what another program writes by SQL is told by its rows, except in a
// transaction that calls one of those functions too. A TRUNCATE, and a transaction of more than a million changes, can't be
// told: that is [store.ErrFeedLost]. So is a slot that has kept more WAL than Options.MaxFeedWAL for a consumer that did not
// confirm, or that was dropped, and a position of before a promotion. A consumer that was not removed is told of its slot's loss
// also where it begins with a zero position, once.
//
// A position is the end of its commit in the WAL; the token of that write may lie above it, since others were flushed with it.
// Compare tokens with FeedHead.
func (d *DB) Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]store.Change, error) {
	rows, err := d.feed.Changes(ctx, consumer, after, limit)
	if errors.Is(err, pgdb.ErrFeedLost) {
		return nil, fmt.Errorf("%w: %w", store.ErrFeedLost, err)
	}
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	changes := make([]store.Change, len(rows))
	for i, r := range rows {
		changes[i] = store.Change{At: r.At, Kind: store.ChangeKind(r.Kind), Subject: r.Subject, Object: r.Object, Also: r.Also}
	}
	return changes, nil
}

// Confirm moves the consumer's slot: the server may remove the WAL up to there. Where the consumer has heard and confirmed all,
// its slot also moves past WAL that holds no changes, while its stream is open.
func (d *DB) Confirm(ctx context.Context, consumer string, upTo position.Position) error {
	return d.feed.Confirm(ctx, consumer, upTo)
}

// FeedHead is up to where the WAL was flushed.
func (d *DB) FeedHead(ctx context.Context) (position.Position, error) { return d.db.Position(ctx) }

// Consumer is one reader of the change feed.
type Consumer = pgdb.Consumer

// Consumers lists the readers of the change feed, by name.
func (d *DB) Consumers(ctx context.Context) ([]Consumer, error) { return d.feed.Consumers(ctx) }

// RemoveConsumer ends a reader of the change feed and drops its slot, which else keeps WAL until Options.MaxFeedWAL.
func (d *DB) RemoveConsumer(ctx context.Context, consumer string) error {
	return d.feed.Remove(ctx, consumer)
}

// fact says which change a row of a table is. Subject and object are columns; object may be none.
type fact struct {
	subject, object          string
	inserted, edited, erased store.ChangeKind // 0: no change
}

// facts are the tables of the publication "freshet".
var facts = map[string]fact{
	"users":           {"id", "", store.UserChanged, store.UserChanged, store.UserErased},
	"follows":         {"follower", "followee", store.FollowChanged, store.FollowChanged, store.FollowChanged},
	"blocks":          {"blocker", "blocked", store.BlockChanged, store.BlockChanged, store.BlockChanged},
	"mutes":           {"muter", "muted", store.MuteChanged, store.MuteChanged, store.MuteChanged},
	"posts":           {"id", "author", store.PostCreated, store.PostEdited, store.PostDeleted},
	"likes":           {"post", "user_id", store.LikeChanged, store.LikeChanged, store.LikeChanged},
	"comments":        {"post", "id", store.CommentChanged, store.CommentChanged, store.CommentChanged},
	"sessions":        {"id", "user_id", 0, 0, store.SessionEnded},
	"follow_requests": {"target", "requester", store.RequestChanged, store.RequestChanged, store.RequestChanged},
	"api_keys":        {"id", "", 0, store.KeyRevoked, store.KeyRevoked},
}

// derive names the change of a row that was written without the functions of the database. An update that moves a row to
// other ids changes both. Ids are never NULL nor so large that the WAL leaves them out.
func derive(r *pgdb.Row, tell func(pgdb.Change)) bool {
	f, ok := facts[r.Table]
	if !ok {
		return true // somebody else's table in the publication
	}
	if r.Op == pgdb.Truncate {
		return false
	}
	kind := f.erased
	switch r.Op {
	case pgdb.Insert:
		kind = f.inserted
	case pgdb.Update:
		kind = f.edited
	}
	if kind == 0 {
		return true
	}
	var before, now pgdb.Change
	if r.HasOld() {
		if before, ok = f.change(kind, r.Old); !ok {
			return false
		}
		tell(before)
	}
	if r.Op == pgdb.Delete {
		return r.HasOld()
	}
	if now, ok = f.change(kind, r.New); ok && (!r.HasOld() || now.Subject != before.Subject || now.Object != before.Object) {
		tell(now)
	}
	return ok
}

func (f fact) change(kind store.ChangeKind, column func(string) (string, bool)) (c pgdb.Change, ok bool) {
	c.Kind = uint8(kind)
	if c.Subject, ok = idOf(column, f.subject); ok && f.object != "" {
		c.Object, ok = idOf(column, f.object)
	}
	return c, ok
}

func idOf(column func(string) (string, bool), name string) (freshet.ID, bool) {
	text, ok := column(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return freshet.ID(n), err == nil
}
