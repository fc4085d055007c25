package shard

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// admit fails where a follow of somebody on another part would be refused there and undone: its own part can't know. Where the
// target's part is out of reach that is what happens.
func (s *Store) admit(ctx context.Context, actor, target freshet.ID) error {
	if s.owner(actor) == s.owner(target) {
		return nil
	}
	there, err := s.between(ctx, target, actor)
	switch {
	case freshet.CodeOf(err) == freshet.CodeUnavailable:
		return nil
	case err != nil:
		return err
	case there.Apart:
		return freshet.NotFound("user")
	case !there.Private || there.Accepted:
		return nil
	}
	here, err := s.between(ctx, actor, target)
	if err == nil && !here.Follows {
		err = store.ErrPrivate
	}
	return err
}

func (s *Store) between(ctx context.Context, user, other freshet.ID) (store.Between, error) {
	return readOn(ctx, s, user, func(p store.Part) (store.Between, error) { return p.Between(ctx, user, other) })
}

// RequestFollow is made on the target's part.
func (s *Store) RequestFollow(ctx context.Context, actor, target freshet.ID, w store.Write) (needed, changed bool, at position.Token, err error) {
	if err := s.exist(ctx, actor, target); err != nil {
		return false, false, nil, err
	}
	err = s.made(ctx, target, &at, func(p store.Part) (err error) {
		needed, changed, at, err = p.RequestFollow(ctx, actor, target, w)
		return err
	})
	return needed, changed, at, err
}

// WithdrawRequest is made on the target's part.
func (s *Store) WithdrawRequest(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.relate(ctx, target, actor, w, func(p store.Part, ctx context.Context, target, actor freshet.ID, w store.Write) (bool, position.Token, error) {
		return p.WithdrawRequest(ctx, actor, target, w)
	})
}

// AcceptRequest is made on the target's part.
func (s *Store) AcceptRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.relate(ctx, target, requester, w, store.Part.AcceptRequest)
}

// RefuseRequest is made on the target's part.
func (s *Store) RefuseRequest(ctx context.Context, target, requester freshet.ID, w store.Write) (at position.Token, err error) {
	_, at, err = s.relate(ctx, target, requester, w, func(p store.Part, ctx context.Context, target, requester freshet.ID, w store.Write) (bool, position.Token, error) {
		at, err := p.RefuseRequest(ctx, target, requester, w)
		return err == nil, at, err
	})
	return at, err
}

// CompleteFollow is one write where both users are on one part. Else the target is asked first, and the other half uses the request up,
// and where that was withdrawn meanwhile it is refused and undone.
func (s *Store) CompleteFollow(ctx context.Context, requester, target freshet.ID, w store.Write) (bool, position.Token, error) {
	if requester == target {
		return false, nil, freshet.Invalid("id", "is yourself")
	}
	return s.follow(ctx, requester, target, w, func(p store.Part, ctx context.Context, requester, target freshet.ID, w store.Write) (bool, position.Token, error) {
		there, err := s.between(ctx, target, requester)
		if err != nil {
			return false, nil, err
		}
		if !there.Accepted && (there.Private || !there.Asked) {
			_, err := s.between(ctx, requester, target) // who may not be there
			return false, nil, err
		}
		return p.CompleteFollow(ctx, requester, target, w)
	})
}

// FollowRequests reads from the target's part.
func (s *Store) FollowRequests(ctx context.Context, target, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return readOn(ctx, s, target, func(p store.Part) ([]freshet.Edge, error) { return p.FollowRequests(ctx, target, before, limit) })
}
