package social

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// MaxUnseen is the most that NotificationList.Unseen says: there may be more.
const MaxUnseen = 1000

// NotificationView is a notification with who did it; nil: nobody, it came from elsewhere.
type NotificationView struct {
	freshet.Notification
	Actor *Profile
}

// NotificationList is a page of notifications; go on before Next, 0 at the end.
type NotificationList struct {
	Items  []*NotificationView
	Unseen int // of all, at most MaxUnseen, without those that are hidden
	Next   freshet.ID
}

// Notifications lists what a user was told, newest first, without what users did whom it has muted, or who are blocked either way.
func (s *Service) Notifications(ctx context.Context, user, before freshet.ID, limit int) (out NotificationList, err error) {
	hidden, err := s.spaces.relations.Get(ctx, user)
	if err != nil {
		return out, err
	}
	if out.Unseen, err = s.store.Unseen(ctx, user, MaxUnseen); err != nil {
		return out, err
	}
	out.Items, out.Next, err = collect(before, limit,
		func(from freshet.ID, n int) ([]freshet.Notification, error) {
			return s.store.Notifications(ctx, user, from, n)
		},
		func(n freshet.Notification) freshet.ID { return n.ID },
		func(rows []freshet.Notification) ([]*NotificationView, error) {
			ids := make([]freshet.ID, len(rows))
			for i, n := range rows {
				ids[i] = n.Actor
			}
			actors, err := s.profiles(ctx, ids)
			views := make([]*NotificationView, len(rows))
			for i, n := range rows {
				if n.Actor == 0 || actors[i] != nil && !hidden.Hides(n.Actor) {
					views[i] = &NotificationView{n, actors[i]}
				}
			}
			return views, err
		})
	return out, err
}

// Notification gives one of a user's, as a list shows it; [freshet.ErrNotFound] where that does not.
func (s *Service) Notification(ctx context.Context, user, id freshet.ID) (*NotificationView, error) {
	l, err := s.Notifications(ctx, user, id+1, 1)
	if err == nil && (len(l.Items) == 0 || l.Items[0].ID != id) {
		err = freshet.NotFound("notification")
	}
	if err != nil {
		return nil, err
	}
	return l.Items[0], nil
}

// SeeNotifications has a user have seen all notifications up to one, or all that are there (0).
func (s *Service) SeeNotifications(ctx context.Context, user, upTo freshet.ID, w store.Write) (position.Token, error) {
	changed, at, err := s.store.SeeNotifications(ctx, user, upTo, w)
	if err != nil || !changed {
		return at, err
	}
	return at, s.committed(ctx, at, store.Change{Kind: store.Notified, Object: user})
}
