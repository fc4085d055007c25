package sqlite

import (
	"context"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// relate is the frame of every write on an edge: two different users who exist.
// The actor is here; op is told whether the target is.
func (d *DB) relate(ctx context.Context, w store.Write, actor, target freshet.ID, op func(t *tx, here bool) error) (changed bool, at position.Token, err error) {
	if actor == target {
		return false, nil, freshet.Invalid("id", "is yourself")
	}
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.needUsers(actor); err != nil {
			return err
		}
		here, err := t.know(target)
		if err != nil {
			return err
		}
		err = op(t, here)
		changed = t.changed
		return err
	})
	return changed && err == nil, at, err
}

// apart fails with what was not found where a block stands between two users.
// It reads what the bucket of the first one holds: its blocks and their mirror.
func (t *tx) apart(home, other freshet.ID, what string) error {
	_, blocked, err := t.number(`SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2
		UNION ALL SELECT 1 FROM blocked_by WHERE blocked = ?1 AND blocker = ?2 LIMIT 1`, home, other)
	if err == nil && blocked {
		err = freshet.NotFound(what)
	}
	return err
}

// Follow makes actor a follower of target.
func (d *DB) Follow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, here bool) error { return t.follow(actor, target, here) })
}

func (t *tx) follow(actor, target freshet.ID, here bool) error {
	if err := t.apart(actor, target, "user"); err != nil {
		return err
	}
	if there, err := t.follows(actor, target); err != nil || there {
		return err
	}
	if here {
		if closed, err := t.closedTo(actor, target); err != nil {
			return err
		} else if closed {
			return store.ErrPrivate
		}
	}
	edge, err := t.addFollow(actor, target)
	if err != nil {
		return err
	}
	if err := t.countFollowing(actor, 1); err != nil {
		return err
	}
	if here {
		err = t.addFollower(actor, target, edge, false)
	} else {
		err = t.mirror(store.FollowMade, actor, target, edge)
	}
	if err != nil {
		return err
	}
	return t.change(store.FollowChanged, actor, target)
}

func (t *tx) follows(actor, target freshet.ID) (bool, error) {
	_, there, err := t.number("SELECT 1 FROM follows WHERE follower = ? AND followee = ?", actor, target)
	return there, err
}

// addFollow adds the actor's half of an edge that is not there; counting is left
// to the caller.
func (t *tx) addFollow(actor, target freshet.ID) (edge freshet.ID, err error) {
	edge = t.NextID(actor.Bucket())
	return edge, t.exec("INSERT INTO follows (follower, followee, id) VALUES (?, ?, ?)", actor, target, edge)
}

// mirrorFollow adds the target's half of an edge, not counted.
func (t *tx) mirrorFollow(actor, target, edge freshet.ID) error {
	return t.exec(addFollower, target, edge, actor)
}

// addFollower may meet an edge that is there: what was applied is forgotten
// after a time.
const addFollower = "INSERT INTO followers (followee, id, follower) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

// Who let the actor follow is not told of it, and nobody where it is quiet.
func (t *tx) addFollower(actor, target, edge freshet.ID, quiet bool) error {
	n, err := t.Exec(addFollower, target, edge, actor)
	if err != nil || n == 0 {
		return err
	}
	accepted, _, err := t.number("SELECT accepted FROM follow_requests WHERE target = ? AND requester = ?", target, actor)
	if err != nil {
		return err
	}
	if err := t.endRequest(actor, target); err != nil {
		return err
	}
	if accepted == 0 && !quiet {
		if err := t.notify(target, freshet.NotifyFollow, actor, target, 0); err != nil {
			return err
		}
	}
	return t.exec("UPDATE users SET followers_count = followers_count + 1 WHERE id = ?", target)
}

// endFollower takes away the target's half of one edge, if it is there.
func (t *tx) endFollower(actor, target, edge freshet.ID) (ended bool, err error) {
	n, err := t.Exec("DELETE FROM followers WHERE followee = ? AND id = ? AND follower = ?", target, edge, actor)
	if err != nil || n == 0 {
		return false, err
	}
	if err := t.denote(freshet.NotifyFollow, actor, target); err != nil {
		return false, err
	}
	return true, t.exec("UPDATE users SET followers_count = followers_count - 1 WHERE id = ?", target)
}

// endFollow takes away the actor's half of an edge.
func (t *tx) endFollow(actor, target freshet.ID) error {
	if err := t.exec("DELETE FROM follows WHERE follower = ? AND followee = ?", actor, target); err != nil {
		return err
	}
	if err := t.denote(freshet.NotifyAccepted, target, actor); err != nil {
		return err
	}
	return t.countFollowing(actor, -1)
}

func (t *tx) countFollowing(actor freshet.ID, by int) error {
	return t.exec("UPDATE users SET following_count = following_count + ?2 WHERE id = ?1", actor, by)
}

// unfollow undoes follow, if there is anything to undo. Where the target is
// elsewhere its half is told, whatever may lie here of it.
func (t *tx) unfollow(actor, target freshet.ID) error {
	id, there, err := t.number("SELECT id FROM follows WHERE follower = ? AND followee = ?", actor, target)
	if err != nil || !there {
		return err
	}
	if err := t.endFollow(actor, target); err != nil {
		return err
	}
	edge := freshet.ID(id)
	away, err := t.away(target.Bucket())
	if err == nil && away {
		err = t.mirror(store.FollowEnded, actor, target, edge)
	} else if err == nil {
		_, err = t.endFollower(actor, target, edge)
	}
	if err != nil {
		return err
	}
	return t.change(store.FollowChanged, actor, target)
}

// Unfollow ends a follow.
func (d *DB) Unfollow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, _ bool) error { return t.unfollow(actor, target) })
}

// Block notes a block and ends both follows.
func (d *DB) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, here bool) error {
		edge := t.NextID(actor.Bucket())
		added, err := t.Exec("INSERT INTO blocks (blocker, blocked, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", actor, target, edge)
		if err != nil || added == 0 {
			return err
		}
		if err := t.unfollow(actor, target); err != nil {
			return err
		}
		if err := t.endRequest(target, actor); err != nil {
			return err
		}
		if here {
			err = t.mirrorBlock(actor, target, edge)
		} else {
			err = t.mirror(store.BlockMade, actor, target, edge)
		}
		if err != nil {
			return err
		}
		return t.change(store.BlockChanged, actor, target)
	})
}

// mirrorBlock makes the target's half of a block: it can't follow any more, and
// is not asked.
func (t *tx) mirrorBlock(actor, target, edge freshet.ID) error {
	if err := t.exec("INSERT INTO blocked_by (blocked, blocker, id) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id",
		target, actor, edge); err != nil {
		return err
	}
	if err := t.endRequest(actor, target); err != nil {
		return err
	}
	return t.unfollow(target, actor)
}

// endBlocked takes away the target's half of one block, if it is there.
func (t *tx) endBlocked(actor, target, edge freshet.ID) (ended bool, err error) {
	n, err := t.Exec("DELETE FROM blocked_by WHERE blocked = ? AND blocker = ? AND id = ?", target, actor, edge)
	return n > 0, err
}

// Unblock lifts a block; the follows it ended stay ended.
func (d *DB) Unblock(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, here bool) error {
		id, there, err := t.number("SELECT id FROM blocks WHERE blocker = ? AND blocked = ?", actor, target)
		if err != nil || !there {
			return err
		}
		if err := t.exec("DELETE FROM blocks WHERE blocker = ? AND blocked = ?", actor, target); err != nil {
			return err
		}
		if here {
			_, err = t.endBlocked(actor, target, freshet.ID(id))
		} else {
			err = t.mirror(store.BlockEnded, actor, target, freshet.ID(id))
		}
		if err != nil {
			return err
		}
		return t.change(store.BlockChanged, actor, target)
	})
}

// Mute notes that actor does not want to see target.
func (d *DB) Mute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, _ bool) error {
		added, err := t.Exec("INSERT INTO mutes (muter, muted, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			actor, target, t.NextID(actor.Bucket()))
		if err != nil || added == 0 {
			return err
		}
		return t.change(store.MuteChanged, actor, target)
	})
}

// Unmute lifts a mute.
func (d *DB) Unmute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, actor, target, func(t *tx, _ bool) error {
		n, err := t.Exec("DELETE FROM mutes WHERE muter = ? AND muted = ?", actor, target)
		if err != nil || n == 0 {
			return err
		}
		return t.change(store.MuteChanged, actor, target)
	})
}

func (d *DB) edges(ctx context.Context, query string, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return list(ctx, d, query, []any{user, from(before), limit}, func(r *litedb.Rows) freshet.Edge {
		return freshet.Edge{ID: r.ID(0), User: r.ID(1)}
	})
}

// Followers lists who follows a user, newest first.
func (d *DB) Followers(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "SELECT id, follower FROM followers WHERE followee = ? AND id < ? ORDER BY id DESC LIMIT ?", user, before, limit)
}

// Following lists whom a user follows, newest first.
func (d *DB) Following(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "SELECT id, followee FROM follows WHERE follower = ? AND id < ? ORDER BY id DESC LIMIT ?", user, before, limit)
}

// Blocks lists whom a user blocks, newest first.
func (d *DB) Blocks(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "SELECT id, blocked FROM blocks WHERE blocker = ? AND id < ? ORDER BY id DESC LIMIT ?", user, before, limit)
}

// Mutes lists whom a user mutes, newest first.
func (d *DB) Mutes(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "SELECT id, muted FROM mutes WHERE muter = ? AND id < ? ORDER BY id DESC LIMIT ?", user, before, limit)
}

// relations is one statement, and so one commit: no block is seen without the
// end of the follows that came with it.
const relations = `SELECT 'f', followee FROM follows WHERE follower = ?1
	UNION ALL SELECT 'b', blocked FROM blocks WHERE blocker = ?1
	UNION ALL SELECT 'b', blocker FROM blocked_by WHERE blocked = ?1
	UNION ALL SELECT 'm', muted FROM mutes WHERE muter = ?1`

// Relations gives what decides whose posts each reader sees.
func (d *DB) Relations(ctx context.Context, readers []freshet.ID) (map[freshet.ID]freshet.Relations, error) {
	all := make(map[freshet.ID]freshet.Relations, len(readers))
	err := d.file.View(ctx, func(c *litedb.Conn) error {
		for _, reader := range readers {
			var r freshet.Relations
			if err := c.Each(relations, []any{reader}, func(row *litedb.Rows) {
				switch id := row.ID(1); row.Text(0) {
				case "f":
					r.Following = append(r.Following, id)
				case "b":
					r.Blocked = append(r.Blocked, id)
				case "m":
					r.Hidden = append(r.Hidden, id)
				}
			}); err != nil {
				return err
			}
			r.Following = sorted(r.Following)
			r.Blocked = sorted(r.Blocked)
			r.Hidden = sorted(append(r.Hidden, r.Blocked...))
			all[reader] = r
		}
		return nil
	})
	return all, err
}

func sorted(ids []freshet.ID) []freshet.ID {
	slices.Sort(ids)
	return slices.Compact(ids)
}
