package shard

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// A sign-up claims its names at home, then writes the user on its part, then settles the claim:
//
//	home: handle → id, pending      part: the user's row      home: handle → id
//	──────── claimed ──────────────────── made ────────────────── settled ────────▶
//
// The user's row decides. Who reads a name that is pending looks there; who wants one that has been pending for longer than
// the writer may take ends the claim there, after which the writer can't use it any more, and takes the name.

const (
	// claimPatience is how long a sign-up under way elsewhere is left alone.
	claimPatience = time.Second
	claimPause    = 20 * time.Millisecond
	// drawnHandles is how often a handle is drawn from an id until it is nobody's.
	drawnHandles = 10
)

// nameKey is a handle without regard to case.
func nameKey(handle string) string { return strings.ToLower(handle) }

// CreateUser signs a user up.
func (s *Store) CreateUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, at position.Token, err error) {
	if u.Handle != "" || u.Ref == "" {
		if err := freshet.CheckHandle("handle", u.Handle); err != nil {
			return user, nil, err
		}
	}
	bucket, drawn := s.options.Place(u), u.Handle == ""
	for range drawnHandles {
		var c store.NameClaim
		if c, err = s.claimNew(ctx, bucket, u); err != nil {
			if field(err) == "handle" && drawn {
				continue
			}
			return user, nil, s.orClaimed(ctx, w, err)
		}
		u := u
		u.Handle = c.Handle
		err = s.made(ctx, c.User, &at, func(p store.Part) (err error) {
			user, at, err = p.CreateNamed(ctx, c.User, u, w)
			return err
		})
		settled, err := s.settle(ctx, c, err)
		return user, at.Merge(settled), err
	}
	return user, nil, err
}

// claimNew draws an id and claims the names for it.
func (s *Store) claimNew(ctx context.Context, bucket int, u freshet.NewUser) (c store.NameClaim, err error) {
	err = s.on(ctx, freshet.NewID(0, bucket, 0), func(p store.Part) (err error) {
		c.ID, err = p.DrawUserID(ctx, bucket)
		return err
	})
	if err != nil {
		return c, err
	}
	if c.User, c.Handle, c.Ref = c.ID, u.Handle, u.Ref; c.Handle == "" {
		c.Handle = "u" + c.ID.String()
	}
	return c, s.claim(ctx, c)
}

// claim takes names, also those that are pending for somebody who gave up.
func (s *Store) claim(ctx context.Context, c store.NameClaim) error {
	began := time.Now()
	for {
		var taken []store.Name
		err := s.on(ctx, homeID, func(p store.Part) (err error) {
			taken, err = p.ClaimNames(ctx, c)
			return err
		})
		if err != nil || len(taken) == 0 {
			return err
		}
		waited := time.Since(began)
		if waited > 2*claimPatience {
			return freshet.Conflict("handle", "is taken") // by ever others
		}
		if err := s.contest(ctx, c, waited < claimPatience); err != nil {
			return err
		}
		select {
		case <-time.After(claimPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// contest fails with a conflict on the name that is somebody else's, and sees to it that one that nobody will have is free.
func (s *Store) contest(ctx context.Context, c store.NameClaim, patient bool) error {
	if c.Ref != "" {
		n, err := s.refOf(ctx, c.Ref)
		if err == nil {
			err = s.decide(ctx, c, n, store.NameClaim{ID: n.Claim, User: n.User, Ref: c.Ref}, patient)
		}
		if err != nil && !errors.Is(err, freshet.ErrNotFound) {
			return err
		}
	}
	if c.Handle == "" {
		return nil
	}
	n, err := s.nameOf(ctx, c.Handle)
	if err == nil {
		err = s.decide(ctx, c, n, store.NameClaim{ID: n.Claim, User: n.User, Handle: c.Handle}, patient)
	}
	if errors.Is(err, freshet.ErrNotFound) { // it has become free
		return nil
	}
	return err
}

// decide fails where a name is somebody else's. A pending one whose writer may still be about is left alone by who is patient;
// else that claim is ended, and settled by what the user's row says.
func (s *Store) decide(ctx context.Context, c store.NameClaim, n store.Name, other store.NameClaim, patient bool) error {
	field := "handle"
	if other.Handle == "" {
		field = "ref"
	}
	switch taken := freshet.Conflict(field, "is taken"); {
	case !n.Pending && n.User == c.User:
		return errOvertaken // by a later claim of its own
	case !n.Pending:
		return taken
	case patient && n.Claim == n.User && n.User != c.User:
		users, err := s.Users(ctx, []freshet.ID{n.User})
		if err == nil && len(users) > 0 {
			err = taken
		}
		return err
	case patient:
		return nil
	}
	var handle, ref string
	err := s.on(ctx, n.User, func(p store.Part) (err error) {
		handle, ref, err = p.EndClaim(ctx, n.Claim, n.User)
		return err
	})
	if err != nil {
		return err
	}
	kept := field == "ref" && ref == other.Ref || field == "handle" && nameKey(handle) == nameKey(other.Handle)
	return s.on(ctx, homeID, func(p store.Part) error {
		_, err := p.SettleNames(ctx, other, kept)
		return err
	})
}

// settle ends a claim after the write that it was for. Where nobody knows whether that was made the claim stays pending.
func (s *Store) settle(ctx context.Context, c store.NameClaim, failed error) (position.Token, error) {
	kept := failed == nil
	if !kept && !notMade(failed) {
		return nil, failed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followPatience)
	defer cancel()
	var at position.Token
	err := s.made(ctx, homeID, &at, func(p store.Part) (err error) {
		at, err = p.SettleNames(ctx, c, kept)
		return err
	})
	if err != nil {
		s.options.Log.WarnContext(ctx, "a handle stays pending until somebody asks for it", "user", c.User, "error", err)
		at = nil
	}
	return at, failed
}

// notMade reports whether an error says that nothing was written.
func notMade(err error) bool {
	if errors.Is(err, store.ErrClaimed) || errors.Is(err, store.ErrMoved) {
		return true
	}
	told, ok := errors.AsType[*freshet.Error](err)
	return ok && (told.NotMade || told.Code == freshet.CodeConflict || told.Code == freshet.CodeNotFound || told.Code == freshet.CodeInvalid)
}

// field is the field that an error is about.
func field(err error) string {
	if told, ok := errors.AsType[*freshet.Error](err); ok {
		return told.Field
	}
	return ""
}

// orClaimed is the error of a sign-up whose names are taken: perhaps by itself, under the same idempotency key.
func (s *Store) orClaimed(ctx context.Context, w store.Write, err error) error {
	if w.Idempotency == nil || freshet.CodeOf(err) != freshet.CodeConflict {
		return err
	}
	if c, read := s.Claim(ctx, w.Idempotency.Key); read == nil && c.Subject != 0 {
		return store.ErrClaimed
	}
	return err
}

// UpsertUser makes or changes the user of a ref.
func (s *Store) UpsertUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, created bool, at position.Token, err error) {
	if u.Ref == "" {
		return user, false, nil, freshet.Invalid("ref", "is empty")
	}
	given := func(s *string) *string {
		if *s == "" {
			return nil
		}
		return s
	}
	patch := freshet.UserPatch{Handle: given(&u.Handle), Name: given(&u.Name), AvatarURL: given(&u.AvatarURL), Email: given(&u.Email)}
	for range drawnHandles {
		id, err := s.UserByRef(ctx, u.Ref)
		switch {
		case err == nil:
			user, at, err = s.UpdateUser(ctx, id, patch, w)
			if errors.Is(err, freshet.ErrNotFound) { // it was erased at this moment
				continue
			}
			return user, false, at, err
		case errors.Is(err, freshet.ErrNotFound):
			user, at, err = s.CreateUser(ctx, u, w)
			if freshet.CodeOf(err) == freshet.CodeConflict && field(err) == "ref" { // somebody else was sooner
				continue
			}
			return user, err == nil, at, err
		default:
			return user, false, nil, err
		}
	}
	return user, false, nil, &freshet.Error{
		Code: freshet.CodeUnavailable, Message: "others are making and erasing the same user", RetryAfter: time.Second, NotMade: true,
	}
}

// UpdateUser changes what a user says of itself.
func (s *Store) UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (user freshet.User, at position.Token, err error) {
	if p.Handle == nil {
		err = s.made(ctx, id, &at, func(part store.Part) (err error) {
			user, at, err = part.UpdateUser(ctx, id, p, w)
			return err
		})
		return user, at, err
	}
	if err := freshet.CheckHandle("handle", *p.Handle); err != nil {
		return user, nil, err
	}
	for range drawnHandles {
		user, at, err = s.rename(ctx, id, p, w)
		if !errors.Is(err, errOvertaken) {
			return user, at, err
		}
	}
	return user, nil, &freshet.Error{
		Code: freshet.CodeUnavailable, Message: "others are renaming the same user", RetryAfter: time.Second, NotMade: true, Err: err,
	}
}

// errOvertaken is a rename whose claim was used too late: a later one of the same user came first.
var errOvertaken = errors.New("a later rename of the user came first")

// rename is UpdateUser with a handle, tried once.
func (s *Store) rename(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (user freshet.User, at position.Token, err error) {
	c := store.NameClaim{User: id, Handle: *p.Handle}
	err = s.on(ctx, id, func(part store.Part) (err error) {
		c.ID, err = part.DrawUserID(ctx, id.Bucket())
		return err
	})
	if err == nil {
		err = s.claim(ctx, c)
	}
	if err != nil {
		return user, nil, s.orClaimed(ctx, w, err)
	}
	err = s.made(ctx, id, &at, func(part store.Part) (err error) {
		user, at, err = part.UpdateNamed(ctx, id, p, c.ID, w)
		return err
	})
	settled, err := s.settle(ctx, c, err)
	if freshet.CodeOf(err) == freshet.CodeConflict { // the name was free
		err = errOvertaken
	}
	return user, at.Merge(settled), err
}

func (s *Store) nameOf(ctx context.Context, handle string) (store.Name, error) {
	return readOn(ctx, s, homeID, func(p store.Part) (store.Name, error) { return p.NameOf(ctx, handle) })
}

func (s *Store) refOf(ctx context.Context, ref string) (store.Name, error) {
	return readOn(ctx, s, homeID, func(p store.Part) (store.Name, error) { return p.RefOf(ctx, ref) })
}

// UserByHandle finds a user by handle, without regard to case.
func (s *Store) UserByHandle(ctx context.Context, handle string) (freshet.ID, error) {
	n, err := s.nameOf(ctx, handle)
	return s.named(ctx, n, err, func(u freshet.User) bool { return nameKey(u.Handle) == nameKey(handle) })
}

// UserByRef finds a user by the host product's own id.
func (s *Store) UserByRef(ctx context.Context, ref string) (freshet.ID, error) {
	n, err := s.refOf(ctx, ref)
	return s.named(ctx, n, err, func(u freshet.User) bool { return u.Ref == ref })
}

// named is whose name it is. Of one that is pending the user's row says so.
func (s *Store) named(ctx context.Context, n store.Name, err error, has func(freshet.User) bool) (freshet.ID, error) {
	if err != nil || !n.Pending {
		return n.User, err
	}
	users, err := s.Users(ctx, []freshet.ID{n.User})
	if err == nil && (len(users) == 0 || !has(users[0])) {
		err = freshet.NotFound("user")
	}
	if err != nil {
		return 0, err
	}
	return n.User, nil
}

// Credentials gives what a sign-in is checked against.
func (s *Store) Credentials(ctx context.Context, handle string) (c freshet.Credentials, err error) {
	id, err := s.UserByHandle(ctx, handle)
	if err != nil {
		return c, err
	}
	return readOn(ctx, s, id, func(p store.Part) (freshet.Credentials, error) { return p.CredentialsOf(ctx, id) })
}
