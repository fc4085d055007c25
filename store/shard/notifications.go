package shard

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Notifications reads from the user's part.
func (s *Store) Notifications(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Notification, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Notification, error) { return p.Notifications(ctx, user, before, limit) })
}

// Unseen reads from the user's part.
func (s *Store) Unseen(ctx context.Context, user freshet.ID, most int) (int, error) {
	return readOn(ctx, s, user, func(p store.Part) (int, error) { return p.Unseen(ctx, user, most) })
}

// SeeNotifications is made on the user's part.
func (s *Store) SeeNotifications(ctx context.Context, user, upTo freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.made(ctx, user, &at, func(p store.Part) (err error) {
		changed, at, err = p.SeeNotifications(ctx, user, upTo, w)
		return err
	})
	return changed, at, err
}

// AddNotification is made on the user's part.
func (s *Store) AddNotification(ctx context.Context, user freshet.ID, name, text string, w store.Write) (changed bool, at position.Token, err error) {
	err = s.made(ctx, user, &at, func(p store.Part) (err error) {
		changed, at, err = p.AddNotification(ctx, user, name, text, w)
		return err
	})
	return changed, at, err
}

// PurgeNotifications removes what is older than a time.
func (s *Store) PurgeNotifications(ctx context.Context, before time.Time) (int, error) {
	return s.purge(func(p store.Part) (int, error) { return p.PurgeNotifications(ctx, before) })
}
