package replica

import (
	"context"
	"time"

	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// A move is the primary's. What is read for it is asked there too: it is put on another part, and must not be older than what was
// noted, or fenced, before.

// BeginMove is made by the primary.
func (s *Store) BeginMove(ctx context.Context, term uint64, b store.Buckets) (now time.Time, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		now, err = n.(*node).BeginMove(ctx, term, b)
		return err
	})
	return now, err
}

// EndMove is made by the primary.
func (s *Store) EndMove(ctx context.Context, term uint64) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).EndMove(ctx, term) })
}

// Rows asks the primary.
func (s *Store) Rows(ctx context.Context, t store.Table, after store.Row, limit int) ([]store.Row, error) {
	return s.primary.Load().Rows(ctx, t, after, limit)
}

// Noted asks the primary.
func (s *Store) Noted(ctx context.Context, after int64, limit int) (store.Noted, error) {
	return s.primary.Load().Noted(ctx, after, limit)
}

// ForgetNotes is made by the primary.
func (s *Store) ForgetNotes(ctx context.Context, term uint64, notes []int64) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).ForgetNotes(ctx, term, notes) })
}

// PutRows is made by the primary.
func (s *Store) PutRows(ctx context.Context, term uint64, changes []store.TableRows) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).PutRows(ctx, term, changes) })
}

// Fence is made by the primary. One that is promoted may know nothing of it: then Leave fails there.
func (s *Store) Fence(ctx context.Context, term uint64, lease time.Duration) (now time.Time, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		now, err = n.(*node).Fence(ctx, term, lease)
		return err
	})
	return now, err
}

// Leave is made by the primary.
func (s *Store) Leave(ctx context.Context, term uint64) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.(*node).Leave(ctx, term)
		return err
	})
	return at, err
}

// Join is made by the primary.
func (s *Store) Join(ctx context.Context, term uint64) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.(*node).Join(ctx, term)
		return err
	})
	return at, err
}

// DropRows is made by the primary.
func (s *Store) DropRows(ctx context.Context, term uint64, limit int) (dropped int, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		dropped, err = n.(*node).DropRows(ctx, term, limit)
		return err
	})
	return dropped, err
}

// MovePlan asks the primary, because what follows from the answer is written by it.
func (s *Store) MovePlan(ctx context.Context) (plan []byte, version uint64, err error) {
	return s.primary.Load().MovePlan(ctx)
}

// SetMovePlan is made by the primary.
func (s *Store) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.(*node).SetMovePlan(ctx, plan, version) })
}
