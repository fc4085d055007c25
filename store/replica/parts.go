package replica

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Elsewhere asks the primary, because what follows from the answer is written there.
func (s *Store) Elsewhere(ctx context.Context) (store.Buckets, error) {
	return s.primary.Load().Elsewhere(ctx)
}

// SetElsewhere is made by the primary.
func (s *Store) SetElsewhere(ctx context.Context, b store.Buckets) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).SetElsewhere(ctx, b) })
}

// PostsOf reads where its context allows.
func (s *Store) PostsOf(ctx context.Context, authors []freshet.ID, before freshet.ID, limit int) (out []freshet.PostRef, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.(*node).PostsOf(ctx, authors, before, limit)
		return err
	})
	return out, err
}

// CredentialsOf asks the primary, because what follows from the answer is written there.
func (s *Store) CredentialsOf(ctx context.Context, user freshet.ID) (freshet.Credentials, error) {
	return s.primary.Load().CredentialsOf(ctx, user)
}

// Halves asks the primary: it is compared with what another part has at the same time.
func (s *Store) Halves(ctx context.Context, q store.HalfQuery) ([]store.Half, error) {
	return s.primary.Load().Halves(ctx, q)
}

// Pending asks the primary, which alone knows what was settled.
func (s *Store) Pending(ctx context.Context, to store.Buckets, limit int) ([]store.Mirror, error) {
	return s.primary.Load().Pending(ctx, to, limit)
}

// Apply is made by the primary.
func (s *Store) Apply(ctx context.Context, m []store.Mirror) (out []store.Applied, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.(*node).Apply(ctx, m)
		return err
	})
	return out, at, err
}

// Settle is made by the primary.
func (s *Store) Settle(ctx context.Context, done []store.Settled) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.(*node).Settle(ctx, done)
		return err
	})
	return at, err
}

// DrawUserID is made by the primary.
func (s *Store) DrawUserID(ctx context.Context, bucket int) (id freshet.ID, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		id, err = n.(*node).DrawUserID(ctx, bucket)
		return err
	})
	return id, err
}

// ClaimNames is made by the primary.
func (s *Store) ClaimNames(ctx context.Context, c store.NameClaim) (taken []store.Name, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		taken, err = n.(*node).ClaimNames(ctx, c)
		return err
	})
	return taken, err
}

// SettleNames is made by the primary.
func (s *Store) SettleNames(ctx context.Context, c store.NameClaim, kept bool) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.(*node).SettleNames(ctx, c, kept)
		return err
	})
	return at, err
}

// NameOf asks the primary, because what follows from the answer is written there.
func (s *Store) NameOf(ctx context.Context, handle string) (store.Name, error) {
	return s.primary.Load().NameOf(ctx, handle)
}

// RefOf asks the primary, because what follows from the answer is written there.
func (s *Store) RefOf(ctx context.Context, ref string) (store.Name, error) {
	return s.primary.Load().RefOf(ctx, ref)
}

// CreateNamed is made by the primary.
func (s *Store) CreateNamed(ctx context.Context, id freshet.ID, u freshet.NewUser, w store.Write) (out freshet.User, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.(*node).CreateNamed(ctx, id, u, w)
		return err
	})
	return out, at, err
}

// UpdateNamed is made by the primary.
func (s *Store) UpdateNamed(ctx context.Context, id freshet.ID, p freshet.UserPatch, claim freshet.ID, w store.Write) (out freshet.User, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.(*node).UpdateNamed(ctx, id, p, claim, w)
		return err
	})
	return out, at, err
}

// EndClaim is made by the primary.
func (s *Store) EndClaim(ctx context.Context, claim, user freshet.ID) (handle, ref string, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		handle, ref, err = n.(*node).EndClaim(ctx, claim, user)
		return err
	})
	return handle, ref, err
}

// System is that of the servers' positions.
func (s *Store) System(ctx context.Context) (uint64, error) {
	at, _, err := s.Where(ctx)
	return at.System, err
}

// Directory asks the primary, because what follows from the answer is written by it.
func (s *Store) Directory(ctx context.Context) (store.Directory, error) {
	return s.primary.Load().Directory(ctx)
}

// SetDirectory is made by the primary.
func (s *Store) SetDirectory(ctx context.Context, d store.Directory) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).SetDirectory(ctx, d) })
}
