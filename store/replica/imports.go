package replica

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// ImportFollows is made by the primary.
func (s *Store) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (out store.ImportCount, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.(*node).ImportFollows(ctx, rows)
		return err
	})
	return out, err
}

// ImportPosts is made by the primary.
func (s *Store) ImportPosts(ctx context.Context, rows []store.ImportedPost) (out store.ImportCount, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.(*node).ImportPosts(ctx, rows)
		return err
	})
	return out, err
}

// NamesOf asks the primary, because what follows from the answer is written there.
func (s *Store) NamesOf(ctx context.Context, handles []string) (map[string]store.Name, error) {
	return s.primary.Load().NamesOf(ctx, handles)
}

// DrawUserIDs is made by the primary.
func (s *Store) DrawUserIDs(ctx context.Context, buckets []int) (ids []freshet.ID, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		ids, err = n.(*node).DrawUserIDs(ctx, buckets)
		return err
	})
	return ids, err
}

// ClaimUsers is made by the primary.
func (s *Store) ClaimUsers(ctx context.Context, users []store.ImportedUser) (claimed []freshet.ID, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		claimed, err = n.(*node).ClaimUsers(ctx, users)
		return err
	})
	return claimed, err
}

// CreateUsers is made by the primary.
func (s *Store) CreateUsers(ctx context.Context, users []store.ImportedUser) (made []freshet.ID, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		made, err = n.(*node).CreateUsers(ctx, users)
		return err
	})
	return made, err
}

// SettleUsers is made by the primary.
func (s *Store) SettleUsers(ctx context.Context, users []store.ImportedUser, kept bool) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).SettleUsers(ctx, users, kept) })
}
