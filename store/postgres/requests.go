package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// RequestFollow asks target for a follow.
func (d *DB) RequestFollow(ctx context.Context, actor, target freshet.ID, w store.Write) (needed, changed bool, at position.Token, err error) {
	if actor == target {
		return false, false, nil, freshet.Invalid("id", "is yourself")
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT needed, changed FROM request_follow($1, $2, $3)",
		Args: []any{int64(actor), int64(target), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan(&needed, &changed) },
	})
	return needed && err == nil, changed && err == nil, at, err
}

// WithdrawRequest takes a request back.
func (d *DB) WithdrawRequest(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "withdraw_request", actor, target, w)
}

// AcceptRequest lets requester follow.
func (d *DB) AcceptRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "accept_request", target, requester, w)
}

// RefuseRequest removes a request that waits.
func (d *DB) RefuseRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (position.Token, error) {
	_, at, err := d.relate(ctx, "refuse_request", target, requester, w)
	return at, err
}

// CompleteFollow turns a request that no leave is wanted for any more into the follow. Both users are here.
func (d *DB) CompleteFollow(ctx context.Context, requester, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return d.relate(ctx, "complete_follow", requester, target, w)
}

// FollowRequests lists who asks a user for a follow, newest first.
func (d *DB) FollowRequests(ctx context.Context, target, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return list(ctx, d, scanEdge, "SELECT id, requester FROM follow_requests WHERE target = $1 AND id < $2 AND NOT accepted ORDER BY id DESC LIMIT $3",
		int64(target), from(before), limit)
}

const between = `SELECT private, EXISTS (SELECT FROM follow_requests WHERE target = $1 AND requester = $2),
	EXISTS (SELECT FROM follow_requests WHERE target = $1 AND requester = $2 AND accepted),
	EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = $2),
	EXISTS (SELECT FROM blocks WHERE blocker = $1 AND blocked = $2) OR EXISTS (SELECT FROM blocked_by WHERE blocked = $1 AND blocker = $2)
	FROM users WHERE id = $1`

// Between tells what stands between a user and another one.
func (d *DB) Between(ctx context.Context, user, other freshet.ID) (store.Between, error) {
	return get(ctx, d, "user", func(r pgx.Rows) (b store.Between, err error) {
		err = r.Scan(&b.Private, &b.Asked, &b.Accepted, &b.Follows, &b.Apart)
		return b, err
	}, between, int64(user), int64(other))
}
