package social

import (
	"context"
	"errors"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// SignUp makes a user with a handle.
func (s *Service) SignUp(ctx context.Context, u freshet.NewUser, w store.Write) (*Profile, position.Token, error) {
	if err := first(freshet.CheckHandle("handle", u.Handle), s.checkNewUser(&u)); err != nil {
		return nil, nil, err
	}
	user, at, err := s.store.CreateUser(ctx, u, w)
	if err != nil {
		return nil, nil, err
	}
	return s.changedUser(ctx, user, at)
}

// UpsertUser makes or changes the user whom a host product knows as u.Ref.
func (s *Service) UpsertUser(ctx context.Context, u freshet.NewUser, w store.Write) (user *Profile, created bool, at position.Token, err error) {
	if err := freshet.CheckRef("ref", u.Ref); err != nil {
		return nil, false, nil, err
	}
	if u.Handle != "" {
		if err := freshet.CheckHandle("handle", u.Handle); err != nil {
			return nil, false, nil, err
		}
	}
	if err := s.checkNewUser(&u); err != nil {
		return nil, false, nil, err
	}
	made, created, at, err := s.store.UpsertUser(ctx, u, w)
	if err != nil {
		return nil, false, nil, err
	}
	user, at, err = s.changedUser(ctx, made, at)
	return user, created, at, err
}

// UpdateUser changes what a user says of itself.
func (s *Service) UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (*Profile, position.Token, error) {
	var errs []error
	if p.Handle != nil {
		errs = append(errs, freshet.CheckHandle("handle", *p.Handle))
	}
	if p.Name != nil {
		errs = append(errs, freshet.CheckLine("name", *p.Name, s.limits.Name))
	}
	if p.Bio != nil {
		errs = append(errs, freshet.CheckText("bio", *p.Bio, s.limits.Bio))
	}
	if p.AvatarURL != nil {
		errs = append(errs, checkURL("avatar_url", *p.AvatarURL))
	}
	if p.Email != nil {
		errs = append(errs, checkEmail("email", *p.Email))
	}
	if err := first(errs...); err != nil {
		return nil, nil, err
	}
	if p.Private != nil && !*p.Private {
		w.Effects = append(w.Effects, openedEffect(id))
	}
	user, at, err := s.store.UpdateUser(ctx, id, p, w)
	if err != nil {
		return nil, nil, err
	}
	profile, at, err := s.changedUser(ctx, user, at)
	if err == nil && p.Private != nil && *p.Private {
		err = s.Confirm(ctx) // also of who was private: it may have become so just now, and not been confirmed
	}
	return profile, at, err
}

func (s *Service) changedUser(ctx context.Context, u freshet.User, at position.Token) (*Profile, position.Token, error) {
	return &Profile{User: u}, at, s.committed(ctx, at, store.Change{Kind: store.UserChanged, Subject: u.ID})
}

// Erase removes a user and all that the user wrote. It gives the sessions that
// ended, which the caller fences.
func (s *Service) Erase(ctx context.Context, id freshet.ID, w store.Write) ([]freshet.Session, position.Token, error) {
	gone, at, err := s.store.EraseUser(ctx, id, w)
	if err != nil {
		return nil, nil, err
	}
	changes := []store.Change{{Kind: store.UserErased, Subject: id, Also: gone.Neighbors}}
	for _, p := range gone.Posts {
		changes = append(changes, store.Change{Kind: store.PostDeleted, Subject: p, Object: id})
	}
	for _, p := range gone.Parents { // which does not tell likes from comments
		changes = append(changes,
			store.Change{Kind: store.LikeChanged, Subject: p, Object: id},
			store.Change{Kind: store.CommentChanged, Subject: p})
	}
	return gone.Sessions, at, s.withdrawn(ctx, at, changes...)
}

// User gives a user as viewer sees it (0: nobody signed in, to whom private users
// are not shown).
func (s *Service) User(ctx context.Context, viewer, id freshet.ID) (*Profile, error) {
	u, err := s.spaces.users.Get(ctx, id)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, freshet.NotFound("user")
	}
	if err != nil || viewer == id {
		return u, err
	}
	if viewer == 0 && u.Private {
		return nil, errUnsigned
	}
	hidden, err := s.blockedFor(ctx, viewer)
	if err != nil {
		return nil, err
	}
	if hidden.Blocks(id) {
		return nil, freshet.NotFound("user")
	}
	return u, nil
}

// UserByHandle finds a user by handle, without regard to case.
func (s *Service) UserByHandle(ctx context.Context, viewer freshet.ID, handle string) (*Profile, error) {
	id, err := s.store.UserByHandle(ctx, handle)
	if err != nil {
		return nil, err
	}
	return s.User(ctx, viewer, id)
}

// UserByRef finds the id of a user by the host product's own id.
func (s *Service) UserByRef(ctx context.Context, ref string) (freshet.ID, error) {
	for first := true; ; first = false {
		id, err := s.spaces.refs.Get(ctx, ref)
		if errors.Is(err, cache.ErrNotFound) {
			return 0, freshet.NotFound("user")
		}
		if err != nil {
			return 0, err
		}
		if _, err = s.User(ctx, id, id); err == nil || !first || !errors.Is(err, freshet.ErrNotFound) {
			return id, err
		}
		// The user was erased; the ref may be somebody else's by now.
		if err := s.spaces.refs.Invalidate(ctx, ref); err != nil {
			return 0, err
		}
	}
}

// profiles gives the users of ids, one for each, nil where there is none.
func (s *Service) profiles(ctx context.Context, ids []freshet.ID) ([]*Profile, error) {
	users, found := make([]*Profile, len(ids)), make([]bool, len(ids))
	err := s.spaces.users.GetInto(ctx, ids, users, found)
	return users, err
}

// Email is a user's own address, "" if there is none. Nobody else is shown it.
func (s *Service) Email(ctx context.Context, user freshet.ID) (string, error) {
	return s.store.Email(ctx, user)
}
