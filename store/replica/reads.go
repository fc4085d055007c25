package replica

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Users reads where its context allows.
func (s *Store) Users(ctx context.Context, ids []freshet.ID) (out []freshet.User, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Users(ctx, ids)
		return err
	})
	return out, err
}

// UserByHandle reads where its context allows.
func (s *Store) UserByHandle(ctx context.Context, handle string) (out freshet.ID, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.UserByHandle(ctx, handle)
		return err
	})
	return out, err
}

// UserByRef reads where its context allows.
func (s *Store) UserByRef(ctx context.Context, ref string) (out freshet.ID, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.UserByRef(ctx, ref)
		return err
	})
	return out, err
}

// ListUsers reads where its context allows.
func (s *Store) ListUsers(ctx context.Context, after freshet.ID, limit int) (out []freshet.User, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.ListUsers(ctx, after, limit)
		return err
	})
	return out, err
}

// Credentials asks the primary, because what follows from the answer is written there.
func (s *Store) Credentials(ctx context.Context, handle string) (out freshet.Credentials, err error) {
	return s.primary.Load().Credentials(ctx, handle)
}

// Email reads where its context allows.
func (s *Store) Email(ctx context.Context, id freshet.ID) (out string, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Email(ctx, id)
		return err
	})
	return out, err
}

// Followers reads where its context allows.
func (s *Store) Followers(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.Edge, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Followers(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Following reads where its context allows.
func (s *Store) Following(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.Edge, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Following(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Blocks reads where its context allows.
func (s *Store) Blocks(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.Edge, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Blocks(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Mutes reads where its context allows.
func (s *Store) Mutes(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.Edge, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Mutes(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Relations reads where its context allows.
func (s *Store) Relations(ctx context.Context, readers []freshet.ID) (out map[freshet.ID]freshet.Relations, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Relations(ctx, readers)
		return err
	})
	return out, err
}

// Posts reads where its context allows.
func (s *Store) Posts(ctx context.Context, ids []freshet.ID) (out []freshet.Post, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Posts(ctx, ids)
		return err
	})
	return out, err
}

// Counts reads where its context allows.
func (s *Store) Counts(ctx context.Context, ids []freshet.ID) (out map[freshet.ID]freshet.Counts, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Counts(ctx, ids)
		return err
	})
	return out, err
}

// ByAuthor reads where its context allows.
func (s *Store) ByAuthor(ctx context.Context, author, before freshet.ID, limit int) (out []freshet.PostRef, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.ByAuthor(ctx, author, before, limit)
		return err
	})
	return out, err
}

// Home reads where its context allows.
func (s *Store) Home(ctx context.Context, reader, before freshet.ID, limit int) (out []freshet.PostRef, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Home(ctx, reader, before, limit)
		return err
	})
	return out, err
}

// LikedBy reads where its context allows.
func (s *Store) LikedBy(ctx context.Context, user, before freshet.ID, limit int) (out []freshet.ID, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.LikedBy(ctx, user, before, limit)
		return err
	})
	return out, err
}

// Liked reads where its context allows.
func (s *Store) Liked(ctx context.Context, user freshet.ID, posts []freshet.ID) (out []freshet.ID, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Liked(ctx, user, posts)
		return err
	})
	return out, err
}

// Comments reads where its context allows.
func (s *Store) Comments(ctx context.Context, ids []freshet.ID) (out []freshet.Comment, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Comments(ctx, ids)
		return err
	})
	return out, err
}

// CommentsOn reads where its context allows.
func (s *Store) CommentsOn(ctx context.Context, post, after freshet.ID, limit int) (out []freshet.Comment, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.CommentsOn(ctx, post, after, limit)
		return err
	})
	return out, err
}

// CommentsBy reads where its context allows.
func (s *Store) CommentsBy(ctx context.Context, user, after freshet.ID, limit int) (out []freshet.Comment, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.CommentsBy(ctx, user, after, limit)
		return err
	})
	return out, err
}

// CountedViews asks the primary, because what follows from the answer is written there.
func (s *Store) CountedViews(ctx context.Context, journal [16]byte) (seq uint64, err error) {
	return s.primary.Load().CountedViews(ctx, journal)
}

// PostStats reads where its context allows.
func (s *Store) PostStats(ctx context.Context, post freshet.ID, from freshet.Hour, hours int) (out freshet.PostStats, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.PostStats(ctx, post, from, hours)
		return err
	})
	return out, err
}

// SessionByHash asks the primary: a replica may not know yet that it has begun, or that it has ended.
func (s *Store) SessionByHash(ctx context.Context, hash [32]byte) (out freshet.Session, err error) {
	s.onPrimary.Add(1)
	return s.primary.Load().SessionByHash(ctx, hash)
}

// Sessions reads where its context allows.
func (s *Store) Sessions(ctx context.Context, user freshet.ID) (out []freshet.Session, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Sessions(ctx, user)
		return err
	})
	return out, err
}

// KeyByHash asks the primary: a replica may not know yet that it has begun, or that it has ended.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (out freshet.APIKey, err error) {
	s.onPrimary.Add(1)
	return s.primary.Load().KeyByHash(ctx, hash)
}

// Keys reads where its context allows.
func (s *Store) Keys(ctx context.Context) (out []freshet.APIKey, err error) {
	err = s.read(ctx, func(ctx context.Context, n store.Store) (err error) {
		out, err = n.Keys(ctx)
		return err
	})
	return out, err
}

// Claim asks the primary, because what follows from the answer is written there.
func (s *Store) Claim(ctx context.Context, key [32]byte) (out freshet.Claim, err error) {
	return s.primary.Load().Claim(ctx, key)
}
