package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// closedTo reports whether target, who is here, is private and has not accepted
// actor.
func (t *tx) closedTo(actor, target freshet.ID) (bool, error) {
	_, closed, err := t.number(`SELECT 1 FROM users WHERE id = ?2 AND private
		AND NOT EXISTS (SELECT 1 FROM follow_requests WHERE target = ?2 AND requester = ?1 AND accepted)`, actor, target)
	return closed, err
}

// endRequest removes a request, whatever its state.
func (t *tx) endRequest(actor, target freshet.ID) error {
	if err := t.denote(freshet.NotifyRequest, actor, target); err != nil {
		return err
	}
	return t.exec("DELETE FROM follow_requests WHERE target = ? AND requester = ?", target, actor)
}

// RequestFollow asks target for a follow.
func (d *DB) RequestFollow(ctx context.Context, actor, target freshet.ID, w store.Write) (needed, changed bool, at position.Token, err error) {
	changed, at, err = d.relate(ctx, w, target, actor, func(t *tx, _ bool) (err error) {
		if err := t.apart(target, actor, "user"); err != nil {
			return err
		}
		if needed, err = t.closedTo(actor, target); err != nil || !needed {
			return err
		}
		n, err := t.Exec("INSERT INTO follow_requests (target, requester, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			target, actor, t.NextID(target.Bucket()))
		if err != nil || n == 0 {
			return err
		}
		if err := t.change(store.RequestChanged, target, actor); err != nil {
			return err
		}
		return t.notify(target, freshet.NotifyRequest, actor, target, 0)
	})
	return needed && err == nil, changed, at, err
}

// WithdrawRequest takes a request back.
func (d *DB) WithdrawRequest(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, target, actor, func(t *tx, _ bool) error {
		_, there, err := t.number("SELECT 1 FROM follow_requests WHERE target = ? AND requester = ?", target, actor)
		if err != nil || !there {
			return err
		}
		if err := t.endRequest(actor, target); err != nil {
			return err
		}
		return t.change(store.RequestChanged, target, actor)
	})
}

var errNoRequest = freshet.NotFound("follow request")

// AcceptRequest lets requester follow.
func (d *DB) AcceptRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, target, requester, func(t *tx, _ bool) error {
		accepted, there, err := t.number("SELECT accepted FROM follow_requests WHERE target = ? AND requester = ?", target, requester)
		switch {
		case err != nil:
			return err
		case !there:
			return errNoRequest
		case accepted != 0:
			return nil
		}
		if err := t.exec("UPDATE follow_requests SET accepted = 1 WHERE target = ? AND requester = ?", target, requester); err != nil {
			return err
		}
		if err := t.denote(freshet.NotifyRequest, requester, target); err != nil {
			return err
		}
		return t.change(store.RequestChanged, target, requester)
	})
}

// RefuseRequest removes a request that waits.
func (d *DB) RefuseRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (position.Token, error) {
	_, at, err := d.relate(ctx, w, target, requester, func(t *tx, _ bool) error {
		_, waits, err := t.number("SELECT 1 FROM follow_requests WHERE target = ? AND requester = ? AND NOT accepted", target, requester)
		if err != nil {
			return err
		}
		if !waits {
			return errNoRequest
		}
		if err := t.endRequest(requester, target); err != nil {
			return err
		}
		return t.change(store.RequestChanged, target, requester)
	})
	return at, err
}

// CompleteFollow turns a request that no leave is wanted for any more into the
// follow. Of a target elsewhere it takes that for granted.
func (d *DB) CompleteFollow(ctx context.Context, requester, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, w, requester, target, func(t *tx, here bool) error {
		if here {
			if _, asked, err := t.number("SELECT 1 FROM follow_requests WHERE target = ? AND requester = ?", target, requester); err != nil || !asked {
				return err
			}
			if closed, err := t.closedTo(requester, target); err != nil || closed {
				return err
			}
		}
		if there, err := t.follows(requester, target); err != nil {
			return err
		} else if there {
			if here {
				err = t.endRequest(requester, target)
			}
			return err
		}
		if err := t.follow(requester, target, here); err != nil {
			return err
		}
		return t.notify(requester, freshet.NotifyAccepted, target, requester, 0)
	})
}

// FollowRequests lists who asks a user for a follow, newest first.
func (d *DB) FollowRequests(ctx context.Context, target, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return d.edges(ctx, "SELECT id, requester FROM follow_requests WHERE target = ? AND id < ? AND NOT accepted ORDER BY id DESC LIMIT ?", target, before, limit)
}

const between = `SELECT private, EXISTS (SELECT 1 FROM follow_requests WHERE target = ?1 AND requester = ?2),
	EXISTS (SELECT 1 FROM follow_requests WHERE target = ?1 AND requester = ?2 AND accepted),
	EXISTS (SELECT 1 FROM follows WHERE follower = ?1 AND followee = ?2),
	EXISTS (SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2) OR EXISTS (SELECT 1 FROM blocked_by WHERE blocked = ?1 AND blocker = ?2)
	FROM users WHERE id = ?1`

// Between tells what stands between a user and another one.
func (d *DB) Between(ctx context.Context, user, other freshet.ID) (store.Between, error) {
	found, err := list(ctx, d, between, []any{user, other}, func(r *litedb.Rows) store.Between {
		return store.Between{Private: r.Int(0) != 0, Asked: r.Int(1) != 0, Accepted: r.Int(2) != 0, Follows: r.Int(3) != 0, Apart: r.Int(4) != 0}
	})
	if err == nil && len(found) == 0 {
		err = freshet.NotFound("user")
	}
	if err != nil {
		return store.Between{}, err
	}
	return found[0], nil
}
