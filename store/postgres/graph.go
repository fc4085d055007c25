package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// relate is every write on an edge: two different users, and a function that tells whether it changed anything.
func (d *DB) relate(ctx context.Context, function string, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	if actor == target {
		return false, nil, freshet.Invalid("id", "is yourself")
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + function + "($1, $2, $3)",
		Args: []any{int64(actor), int64(target), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan(&changed) },
	})
	return changed && err == nil, at, err
}

// Follow makes actor a follower of target.
func (d *DB) Follow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "follow", actor, target, w)
}

// Unfollow ends a follow.
func (d *DB) Unfollow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "unfollow", actor, target, w)
}

// Block notes a block and ends both follows.
func (d *DB) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "block", actor, target, w)
}

// Unblock lifts a block; the follows it ended stay ended.
func (d *DB) Unblock(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "unblock", actor, target, w)
}

// Mute notes that actor does not want to see target.
func (d *DB) Mute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "mute", actor, target, w)
}

// Unmute lifts a mute.
func (d *DB) Unmute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "unmute", actor, target, w)
}

func scanEdge(r pgx.Rows) (e freshet.Edge, err error) {
	err = r.Scan((*int64)(&e.ID), (*int64)(&e.User))
	return e, err
}

func (d *DB) edges(ctx context.Context, table, of, other string, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return list(ctx, d, scanEdge, "SELECT id, "+other+" FROM "+table+" WHERE "+of+" = $1 AND id < $2 ORDER BY id DESC LIMIT $3", int64(user), from(before), limit)
}

// Followers lists who follows a user, newest first.
func (d *DB) Followers(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "followers", "followee", "follower", user, before, limit)
}

// Following lists whom a user follows, newest first.
func (d *DB) Following(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "follows", "follower", "followee", user, before, limit)
}

// Blocks lists whom a user blocks, newest first.
func (d *DB) Blocks(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "blocks", "blocker", "blocked", user, before, limit)
}

// Mutes lists whom a user mutes, newest first.
func (d *DB) Mutes(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "mutes", "muter", "muted", user, before, limit)
}

// relations is one statement, and so one snapshot: no block is seen without the end of the follows that came with it.
const relations = `SELECT follower, 'f', followee FROM follows WHERE follower = ANY ($1::bigint[])
	UNION ALL SELECT blocker, 'b', blocked FROM blocks WHERE blocker = ANY ($1)
	UNION ALL SELECT blocked, 'b', blocker FROM blocked_by WHERE blocked = ANY ($1)
	UNION ALL SELECT muter, 'm', muted FROM mutes WHERE muter = ANY ($1)`

// Relations gives what decides whose posts each reader sees.
func (d *DB) Relations(ctx context.Context, readers []freshet.ID) (map[freshet.ID]freshet.Relations, error) {
	all := make(map[freshet.ID]freshet.Relations, len(readers))
	for _, id := range readers {
		all[id] = freshet.Relations{}
	}
	err := d.db.Read(ctx, relations, []any{numbers(readers)}, func(row pgx.Rows) error {
		var reader, other freshet.ID
		var kind string
		if err := row.Scan((*int64)(&reader), &kind, (*int64)(&other)); err != nil {
			return err
		}
		r := all[reader]
		switch kind {
		case "f":
			r.Following = append(r.Following, other)
		case "b":
			r.Blocked = append(r.Blocked, other)
		case "m":
			r.Hidden = append(r.Hidden, other)
		}
		all[reader] = r
		return nil
	})
	for id, r := range all {
		r.Following = sorted(r.Following)
		r.Blocked = sorted(r.Blocked)
		r.Hidden = sorted(append(r.Hidden, r.Blocked...))
		all[id] = r
	}
	return all, err
}

func sorted(ids []freshet.ID) []freshet.ID {
	slices.Sort(ids)
	return slices.Compact(ids)
}
