package social

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// A private user is seen by everybody who is signed in, so that they can ask to follow it. What it writes, whom it follows and who
// follows it is for those whom it has let follow, and itself.

// Host is a viewer who is signed in and no user: a host product's backend. It sees what somebody sees who follows nobody.
const Host freshet.ID = -1

var (
	errUnsigned = &freshet.Error{Code: freshet.CodeUnauthenticated, Message: "this account is private: sign in to see it"}
	errClosed   = &freshet.Error{Code: freshet.CodeForbidden, Message: "this account is private: ask to follow it to see its posts and lists"}
)

// open fails where viewer may not see what a user writes, whom it follows and who follows it.
func (s *Service) open(ctx context.Context, viewer, user freshet.ID) error {
	u, err := s.User(ctx, viewer, user)
	if err != nil || !u.Private || viewer == user {
		return err
	}
	r, err := s.blockedFor(ctx, viewer)
	if err == nil && !r.Follows(user) {
		err = errClosed
	}
	return err
}

// requestTries is how often a follow and a request are tried in turn, where the target goes private and public meanwhile.
const requestTries = 3

const requestPause = time.Second

// request asks a private target for a follow.
func (s *Service) request(ctx context.Context, actor, target freshet.ID, w store.Write) (requested bool, at position.Token, err error) {
	for range requestTries {
		needed, changed, at, err := s.store.RequestFollow(ctx, actor, target, w)
		if err != nil {
			return false, nil, err
		}
		if needed && changed {
			err = s.committed(ctx, at, store.Change{Kind: store.RequestChanged, Subject: target, Object: actor})
		}
		if needed {
			return true, at, err
		}
		at, err = s.relate(ctx, s.store.Follow, store.FollowChanged, actor, target, w)
		if !errors.Is(err, store.ErrPrivate) {
			return false, at, err
		}
	}
	return false, nil, &freshet.Error{Code: freshet.CodeUnavailable, Message: "the account has just changed who may follow it", RetryAfter: requestPause}
}

// AcceptRequest lets requester follow user. The follow is there when it returns; where it fails after it was accepted, a job makes it.
func (s *Service) AcceptRequest(ctx context.Context, user, requester freshet.ID, w store.Write) (position.Token, error) {
	w.Effects = append(w.Effects, acceptedEffect(user, requester))
	changed, at, err := s.store.AcceptRequest(ctx, user, requester, w)
	if errors.Is(err, freshet.ErrNotFound) {
		return nil, s.acceptedBefore(ctx, user, requester, err)
	}
	if err != nil {
		return nil, err
	}
	if changed {
		if err := s.committed(ctx, at, store.Change{Kind: store.RequestChanged, Subject: user, Object: requester}); err != nil {
			return nil, err
		}
	}
	made, err := s.complete(ctx, requester, user)
	return at.Merge(made), err
}

// acceptedBefore is nil where there is no request because it has become the follow.
func (s *Service) acceptedBefore(ctx context.Context, user, requester freshet.ID, absent error) error {
	r, err := s.spaces.relations.Get(ctx, requester)
	if err == nil && !r.Follows(user) {
		err = absent
	}
	return err
}

// RefuseRequest removes a request; whoever made it is not told, and may ask again.
func (s *Service) RefuseRequest(ctx context.Context, user, requester freshet.ID, w store.Write) (position.Token, error) {
	at, err := s.store.RefuseRequest(ctx, user, requester, w)
	if err != nil {
		return nil, err
	}
	return at, s.committed(ctx, at, store.Change{Kind: store.RequestChanged, Subject: user, Object: requester})
}

// complete turns a request into the follow, if it is still there and nobody's leave is wanted.
func (s *Service) complete(ctx context.Context, requester, target freshet.ID) (position.Token, error) {
	changed, at, err := s.store.CompleteFollow(ctx, requester, target, store.Write{})
	if errors.Is(err, freshet.ErrNotFound) || errors.Is(err, store.ErrPrivate) { // blocked, erased or withdrawn meanwhile
		return nil, nil
	}
	if err != nil || !changed {
		return at, err
	}
	return at, s.committed(ctx, at, store.Change{Kind: store.FollowChanged, Subject: requester, Object: target})
}

// Accepted and Opened are the kinds of the effects that make follows of requests: of one that was accepted, and of all of a user who
// is not private any more.
const (
	Accepted = "accepted"
	Opened   = "opened"
)

func acceptedEffect(user, requester freshet.ID) freshet.Effect {
	return freshet.Effect{Kind: Accepted, Key: user.String(), Subject: requester, Args: binary.AppendVarint(nil, int64(user))}
}

// AcceptedHandler is the job behind [Accepted].
func (s *Service) AcceptedHandler(ctx context.Context, r jobs.Run) error {
	job := r.Job()
	user, n := binary.Varint(job.Args)
	if n <= 0 {
		return jobs.Final(fmt.Errorf("complete the follow of %s: arguments %x name no user", job.Subject, job.Args))
	}
	_, err := s.complete(ctx, job.Subject, freshet.ID(user))
	return err
}

func openedEffect(user freshet.ID) freshet.Effect {
	return freshet.Effect{Kind: Opened, Key: user.String(), Subject: user, Unique: Opened + user.String()}
}

// openedChunk is how many requests are read at a time.
const openedChunk = 100

// OpenedHandler is the job behind [Opened]. Done again it goes on with the requests that are left; those of a user who has become
// private again stay.
func (s *Service) OpenedHandler(ctx context.Context, r jobs.Run) error {
	user := r.Job().Subject
	ctx, _ = position.WithLatest(ctx, position.ReadingOf(ctx).Need())
	return each(
		func(from freshet.ID) ([]freshet.Edge, error) {
			return s.store.FollowRequests(ctx, user, from, openedChunk)
		},
		func(e freshet.Edge) freshet.ID { return e.ID },
		func(e freshet.Edge) error {
			_, err := s.complete(ctx, e.User, user)
			return err
		})
}
