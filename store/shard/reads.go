package shard

import (
	"context"
	"errors"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Users reads from the parts that have them.
func (s *Store) Users(ctx context.Context, ids []freshet.ID) ([]freshet.User, error) {
	return gather(ctx, s, ids, store.Part.Users)
}

// ListUsers merges the lists of all parts.
func (s *Store) ListUsers(ctx context.Context, after freshet.ID, limit int) ([]freshet.User, error) {
	return scatter(ctx, s, after, limit, rising(func(u freshet.User) freshet.ID { return u.ID }),
		func(ctx context.Context, _ int, p store.Part, after freshet.ID) ([]freshet.User, error) {
			return p.ListUsers(ctx, after, limit)
		})
}

// Email reads from the user's part.
func (s *Store) Email(ctx context.Context, id freshet.ID) (string, error) {
	return readOn(ctx, s, id, func(p store.Part) (string, error) { return p.Email(ctx, id) })
}

// Followers reads from the user's part, where they are mirrored.
func (s *Store) Followers(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Edge, error) { return p.Followers(ctx, user, before, limit) })
}

// Following reads from the user's part.
func (s *Store) Following(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Edge, error) { return p.Following(ctx, user, before, limit) })
}

// Blocks reads from the user's part.
func (s *Store) Blocks(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Edge, error) { return p.Blocks(ctx, user, before, limit) })
}

// Mutes reads from the user's part.
func (s *Store) Mutes(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Edge, error) { return p.Mutes(ctx, user, before, limit) })
}

// Relations reads from the readers' parts: who blocks a reader is mirrored there.
func (s *Store) Relations(ctx context.Context, readers []freshet.ID) (map[freshet.ID]freshet.Relations, error) {
	return gatherMap(ctx, s, readers, store.Part.Relations)
}

// Posts reads from the parts that have them.
func (s *Store) Posts(ctx context.Context, ids []freshet.ID) ([]freshet.Post, error) {
	return gather(ctx, s, ids, store.Part.Posts)
}

// Counts reads from the parts that have the posts.
func (s *Store) Counts(ctx context.Context, ids []freshet.ID) (map[freshet.ID]freshet.Counts, error) {
	return gatherMap(ctx, s, ids, store.Part.Counts)
}

// ByAuthor reads from the author's part.
func (s *Store) ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	return readOn(ctx, s, author, func(p store.Part) ([]freshet.PostRef, error) { return p.ByAuthor(ctx, author, before, limit) })
}

// Home asks the reader's part whom the reader follows, then each part for the posts of those that it has, and merges these.
func (s *Store) Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	dir, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	relations, err := s.Relations(ctx, []freshet.ID{reader})
	if err != nil {
		return nil, err
	}
	following := relations[reader].Following
	authors := dir.split(append(following[:len(following):len(following)], reader))
	return scatterBy(ctx, s, dir, before, limit, falling(func(p freshet.PostRef) freshet.ID { return p.ID }),
		func(ctx context.Context, i int, p store.Part, before freshet.ID) ([]freshet.PostRef, error) {
			if len(authors[i]) == 0 {
				return nil, nil
			}
			return p.PostsOf(ctx, authors[i], before, limit)
		})
}

// LikedBy merges what all parts have: a like lies on its post's.
func (s *Store) LikedBy(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.ID, error) {
	return scatter(ctx, s, before, limit, falling(func(id freshet.ID) freshet.ID { return id }),
		func(ctx context.Context, _ int, p store.Part, before freshet.ID) ([]freshet.ID, error) {
			return p.LikedBy(ctx, user, before, limit)
		})
}

// Liked reads from the parts that have the posts.
func (s *Store) Liked(ctx context.Context, user freshet.ID, posts []freshet.ID) ([]freshet.ID, error) {
	return gather(ctx, s, posts, func(p store.Part, ctx context.Context, posts []freshet.ID) ([]freshet.ID, error) {
		return p.Liked(ctx, user, posts)
	})
}

// Comments reads from the parts that have them.
func (s *Store) Comments(ctx context.Context, ids []freshet.ID) ([]freshet.Comment, error) {
	return gather(ctx, s, ids, store.Part.Comments)
}

// CommentsOn reads from the post's part.
func (s *Store) CommentsOn(ctx context.Context, post, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return readOn(ctx, s, post, func(p store.Part) ([]freshet.Comment, error) { return p.CommentsOn(ctx, post, after, limit) })
}

// CommentsBy merges what all parts have: a comment lies on its post's.
func (s *Store) CommentsBy(ctx context.Context, user, after freshet.ID, limit int) ([]freshet.Comment, error) {
	return scatter(ctx, s, after, limit, rising(func(c freshet.Comment) freshet.ID { return c.ID }),
		func(ctx context.Context, _ int, p store.Part, after freshet.ID) ([]freshet.Comment, error) {
			return p.CommentsBy(ctx, user, after, limit)
		})
}

// CountedViews reads at home, which is told last.
func (s *Store) CountedViews(ctx context.Context, journal [16]byte) (seq uint64, err error) {
	return readOn(ctx, s, homeID, func(p store.Part) (uint64, error) { return p.CountedViews(ctx, journal) })
}

// PostStats reads from the post's part.
func (s *Store) PostStats(ctx context.Context, post freshet.ID, from freshet.Hour, hours int) (freshet.PostStats, error) {
	return readOn(ctx, s, post, func(p store.Part) (freshet.PostStats, error) { return p.PostStats(ctx, post, from, hours) })
}

// SessionByHash asks all parts, because a hash names no bucket. One that is down hides only its own sessions.
func (s *Store) SessionByHash(ctx context.Context, hash [32]byte) (freshet.Session, error) {
	dir, err := s.view(ctx)
	if err != nil {
		return freshet.Session{}, err
	}
	return anyOf(ctx, s, func(ctx context.Context, i int, p store.Part) (freshet.Session, error) {
		if _, err := s.ask(ctx, dir, i); err != nil {
			return freshet.Session{}, err
		}
		found, err := p.SessionByHash(ctx, hash)
		if err == nil && int(dir.Owners[found.ID.Bucket()]) != i { // on its way from one part to another: it counts where its user is
			err = freshet.NotFound("session")
		}
		return found, err
	}, func(err error) bool { return errors.Is(err, freshet.ErrNotFound) })
}

// Sessions reads from the user's part.
func (s *Store) Sessions(ctx context.Context, user freshet.ID) ([]freshet.Session, error) {
	return readOn(ctx, s, user, func(p store.Part) ([]freshet.Session, error) { return p.Sessions(ctx, user) })
}

// KeyByHash reads at home.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (freshet.APIKey, error) {
	return readOn(ctx, s, homeID, func(p store.Part) (freshet.APIKey, error) { return p.KeyByHash(ctx, hash) })
}

// Keys reads at home.
func (s *Store) Keys(ctx context.Context) ([]freshet.APIKey, error) {
	return readOn(ctx, s, homeID, func(p store.Part) ([]freshet.APIKey, error) { return p.Keys(ctx) })
}
