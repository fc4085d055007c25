package replica

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Notifications reads where its context allows.
func (s *Store) Notifications(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.Notification, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Notifications(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Unseen reads where its context allows.
func (s *Store) Unseen(ctx context.Context, user freshet.ID, most int) (out int, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Unseen(ctx, user, most)
		return err
	})
	return out, err
}

// SeeNotifications is made by the primary.
func (s *Store) SeeNotifications(ctx context.Context, user, upTo freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.SeeNotifications(ctx, user, upTo, w)
		return err
	})
	return changed, at, err
}

// AddNotification is made by the primary.
func (s *Store) AddNotification(ctx context.Context, user freshet.ID, name, text string, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.AddNotification(ctx, user, name, text, w)
		return err
	})
	return changed, at, err
}

// PurgeNotifications is made by the primary.
func (s *Store) PurgeNotifications(ctx context.Context, before time.Time) (out int, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.PurgeNotifications(ctx, before)
		return err
	})
	return out, err
}
