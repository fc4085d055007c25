package replica

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// CreateUser is made by the primary.
func (s *Store) CreateUser(ctx context.Context, u freshet.NewUser, w store.Write) (out freshet.User, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.CreateUser(ctx, u, w)
		return err
	})
	return out, at, err
}

// UpsertUser is made by the primary.
func (s *Store) UpsertUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, created bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		user, created, at, err = n.UpsertUser(ctx, u, w)
		return err
	})
	return user, created, at, err
}

// UpdateUser is made by the primary.
func (s *Store) UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (out freshet.User, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.UpdateUser(ctx, id, p, w)
		return err
	})
	return out, at, err
}

// EraseUser is made by the primary.
func (s *Store) EraseUser(ctx context.Context, id freshet.ID, w store.Write) (out store.Erased, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.EraseUser(ctx, id, w)
		return err
	})
	return out, at, err
}

// SetPassword is made by the primary.
func (s *Store) SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		ended, err = n.SetPassword(ctx, id, hash, admin)
		return err
	})
	return ended, err
}

// Follow is made by the primary.
func (s *Store) Follow(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Follow(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Unfollow is made by the primary.
func (s *Store) Unfollow(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Unfollow(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Block is made by the primary.
func (s *Store) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Block(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Unblock is made by the primary.
func (s *Store) Unblock(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Unblock(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Mute is made by the primary.
func (s *Store) Mute(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Mute(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Unmute is made by the primary.
func (s *Store) Unmute(ctx context.Context, actor, target freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		changed, at, err = n.Unmute(ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// CreatePost is made by the primary.
func (s *Store) CreatePost(ctx context.Context, p freshet.NewPost, w store.Write) (out freshet.Post, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.CreatePost(ctx, p, w)
		return err
	})
	return out, at, err
}

// EditPost is made by the primary.
func (s *Store) EditPost(ctx context.Context, author, post freshet.ID, p freshet.PostPatch, w store.Write) (out freshet.Post, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.EditPost(ctx, author, post, p, w)
		return err
	})
	return out, at, err
}

// DeletePost is made by the primary.
func (s *Store) DeletePost(ctx context.Context, author, post freshet.ID, w store.Write) (at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		at, err = n.DeletePost(ctx, author, post, w)
		return err
	})
	return at, err
}

// Like is made by the primary.
func (s *Store) Like(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		count, changed, at, err = n.Like(ctx, actor, post, w)
		return err
	})
	return count, changed, at, err
}

// Unlike is made by the primary.
func (s *Store) Unlike(ctx context.Context, actor, post freshet.ID, w store.Write) (count int64, changed bool, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		count, changed, at, err = n.Unlike(ctx, actor, post, w)
		return err
	})
	return count, changed, at, err
}

// CreateComment is made by the primary.
func (s *Store) CreateComment(ctx context.Context, c freshet.NewComment, w store.Write) (out freshet.Comment, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.CreateComment(ctx, c, w)
		return err
	})
	return out, at, err
}

// DeleteComment is made by the primary.
func (s *Store) DeleteComment(ctx context.Context, actor, comment freshet.ID, w store.Write) (out freshet.Comment, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.DeleteComment(ctx, actor, comment, w)
		return err
	})
	return out, at, err
}

// CountViews is made by the primary.
func (s *Store) CountViews(ctx context.Context, b store.ViewBatch) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.CountViews(ctx, b) })
}

// PurgeViewHours is made by the primary.
func (s *Store) PurgeViewHours(ctx context.Context, before freshet.Hour) (out int, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.PurgeViewHours(ctx, before)
		return err
	})
	return out, err
}

// CreateSession is made by the primary.
func (s *Store) CreateSession(ctx context.Context, session freshet.Session, w store.Write) (out freshet.Session, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.CreateSession(ctx, session, w)
		return err
	})
	return out, at, err
}

// TouchSession is made by the primary.
func (s *Store) TouchSession(ctx context.Context, id freshet.ID, used, expires time.Time) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.TouchSession(ctx, id, used, expires) })
}

// EndSession is made by the primary.
func (s *Store) EndSession(ctx context.Context, user, id freshet.ID, w store.Write) (out freshet.Session, at position.Token, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, at, err = n.EndSession(ctx, user, id, w)
		return err
	})
	return out, at, err
}

// PurgeSessions is made by the primary.
func (s *Store) PurgeSessions(ctx context.Context, before time.Time) (out int, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.PurgeSessions(ctx, before)
		return err
	})
	return out, err
}

// CreateKey is made by the primary.
func (s *Store) CreateKey(ctx context.Context, k freshet.APIKey) (out freshet.APIKey, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.CreateKey(ctx, k)
		return err
	})
	return out, err
}

// RevokeKey is made by the primary.
func (s *Store) RevokeKey(ctx context.Context, name string, at time.Time) (out freshet.APIKey, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.RevokeKey(ctx, name, at)
		return err
	})
	return out, err
}

// SaveAnswer is made by the primary.
func (s *Store) SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error {
	return s.write(ctx, func(ctx context.Context, n store.Store) error { return n.SaveAnswer(ctx, id, status, answer) })
}

// PurgeClaims is made by the primary.
func (s *Store) PurgeClaims(ctx context.Context, before time.Time) (out int, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.PurgeClaims(ctx, before)
		return err
	})
	return out, err
}

// Secret is made by the primary.
func (s *Store) Secret(ctx context.Context, name string) (out []byte, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Secret(ctx, name)
		return err
	})
	return out, err
}

// Verify is made by the primary.
func (s *Store) Verify(ctx context.Context, sample int, fix bool) (checked int, found []store.Violation, err error) {
	err = s.write(ctx, func(ctx context.Context, n store.Store) (err error) {
		checked, found, err = n.(*node).Verify(ctx, sample, fix)
		return err
	})
	return checked, found, err
}
