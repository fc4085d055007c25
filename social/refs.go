package social

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Refs are the cached things that a change touches, by space.
type Refs struct {
	Users     []freshet.ID
	Posts     []freshet.ID
	Counts    []freshet.ID       // of posts
	Relations []freshet.ID       // of readers
	Liked     []freshet.ID       // by readers
	Timelines []freshet.ID       // of readers: pulled again
	Removed   []freshet.ID       // posts that no feed may show any more
	Rows      []cache.Dependency // that [Queries] read
	History   bool               // posts became visible below what readers have seen: every timeline is pulled again
}

// RefsOf says what a change touches. It is the one place that knows; where a
// new kind of data is cached, its keys are named here.
func RefsOf(c store.Change) Refs {
	switch c.Kind {
	case store.UserChanged:
		return Refs{Users: []freshet.ID{c.Subject}}
	case store.UserErased:
		gone := append([]freshet.ID{c.Subject}, c.Also...)
		return Refs{
			Users: gone, Relations: gone, Liked: []freshet.ID{c.Subject}, Timelines: []freshet.ID{c.Subject},
			Rows: follows(gone, gone),
		}
	case store.FollowChanged:
		return Refs{
			Users:     []freshet.ID{c.Subject, c.Object},
			Relations: []freshet.ID{c.Subject},
			Timelines: []freshet.ID{c.Subject},
			Rows:      follows([]freshet.ID{c.Subject}, []freshet.ID{c.Object}),
		}
	case store.BlockChanged: // which ends the follows both ways
		both := []freshet.ID{c.Subject, c.Object}
		return Refs{Users: both, Relations: both, Timelines: both, Rows: follows(both, both)}
	case store.MuteChanged:
		return Refs{Relations: []freshet.ID{c.Subject}}
	case store.PostCreated:
		post, author := []freshet.ID{c.Subject}, []freshet.ID{c.Object}
		return Refs{Posts: post, Counts: post, Users: author, Rows: rowsOf(postsTable, c.Object)}
	case store.PostEdited:
		return Refs{Posts: []freshet.ID{c.Subject}}
	case store.PostDeleted:
		post := []freshet.ID{c.Subject}
		return Refs{
			Posts: post, Counts: post, Removed: post, Users: []freshet.ID{c.Object},
			Rows: append(rowsOf(postsTable, c.Object), rowsOf(commentsTable, c.Subject)...),
		}
	case store.LikeChanged:
		return Refs{Counts: []freshet.ID{c.Subject}, Liked: []freshet.ID{c.Object}}
	case store.CommentChanged:
		return Refs{Counts: []freshet.ID{c.Subject}, Rows: rowsOf(commentsTable, c.Subject)}
	case store.Imported:
		return Refs{
			Users: c.Also, Relations: c.Also, History: true,
			Rows: append(follows(c.Also, c.Also), rowsOf(postsTable, c.Also...)...),
		}
	}
	return Refs{}
}

// follows are the lists of whom followers follow and who follows followed.
func follows(followers, followed []freshet.ID) []cache.Dependency {
	return append(rowsOf(followingTable, followers...), rowsOf(followersTable, followed...)...)
}

// committed fences what a write of this node has changed, and says where: what is
// cached after it must have been read there or later. Also where the caller has
// gone since.
func (s *Service) committed(ctx context.Context, at position.Token, changes ...store.Change) error {
	return s.Fence(cache.At(context.WithoutCancel(ctx), at), changes...)
}

// withdrawn is committed for what must not be seen again by anybody.
func (s *Service) withdrawn(ctx context.Context, at position.Token, changes ...store.Change) error {
	if err := s.committed(ctx, at, changes...); err != nil {
		return err
	}
	return s.Confirm(ctx)
}

// Confirm returns when no node serves what this one has taken away, or with
// [cache.ErrUnconfirmed]. It is for whoever repeats a write that failed so.
func (s *Service) Confirm(ctx context.Context) error { return s.stack.Confirm(ctx) }

// Fence makes sure that no read which begins after it returned sees what was
// before a change, on this node and in the remote layer; other nodes follow as
// the cache promises. Facts come first: relations are fenced before the timelines
// that are built from them.
func (s *Service) Fence(ctx context.Context, changes ...store.Change) error {
	for _, c := range changes {
		r := RefsOf(c)
		for _, fence := range []struct {
			invalidate func(context.Context, ...freshet.ID) error
			keys       []freshet.ID
		}{
			{s.spaces.users.Invalidate, r.Users},
			{s.spaces.posts.Invalidate, r.Posts},
			{s.spaces.counts.Invalidate, r.Counts},
			{s.spaces.relations.Invalidate, r.Relations},
			{s.spaces.liked.Invalidate, r.Liked},
		} {
			if len(fence.keys) == 0 {
				continue
			}
			if err := fence.invalidate(ctx, fence.keys...); err != nil {
				return err
			}
		}
		if len(r.Rows) > 0 {
			if err := s.stack.Changed(ctx, r.Rows...); err != nil {
				return err
			}
		}
		if r.History {
			s.feed.VoidAll()
		}
		if len(r.Removed) > 0 {
			s.feed.Remove(r.Removed...)
		}
		if len(r.Timelines) > 0 {
			s.feed.Void(r.Timelines...)
		}
	}
	return nil
}
