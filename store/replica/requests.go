package replica

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// RequestFollow is made by the primary.
func (s *Store) RequestFollow(ctx context.Context, actor, target freshet.ID, w store.Write) (needed, changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		needed, changed, at, err = n.RequestFollow(ctx, actor, target, w)
		return err
	})
	return needed, changed, at, err
}

// WithdrawRequest is made by the primary.
func (s *Store) WithdrawRequest(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.WithdrawRequest(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// AcceptRequest is made by the primary.
func (s *Store) AcceptRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.AcceptRequest(ctx, target, requester, w)
		return err
	})
	return changed, at, err
}

// RefuseRequest is made by the primary.
func (s *Store) RefuseRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.RefuseRequest(ctx, target, requester, w)
		return err
	})
	return at, err
}

// CompleteFollow is made by the primary.
func (s *Store) CompleteFollow(ctx context.Context, requester, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.CompleteFollow(ctx, requester, target, w)
		return err
	})
	return changed, at, err
}

// FollowRequests reads where its context allows.
func (s *Store) FollowRequests(ctx context.Context, target, before freshet.ID, limit int) (out []freshet.Edge, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.FollowRequests(ctx, target, before, limit)
		return err
	})
	return out, err
}

// Between asks the primary, because what follows from the answer is written there.
func (s *Store) Between(ctx context.Context, user, other freshet.ID) (store.Between, error) {
	return s.primary.Load().Between(ctx, user, other)
}
