package social

import (
	"context"

	"github.com/freshet/freshet"
)

// Exported receives everything of one's own, piece by piece. An error ends the export.
type Exported interface {
	User(u freshet.User, email string) error
	Post(p freshet.Post) error
	Comment(c freshet.Comment) error
	Like(post freshet.ID) error
	// Edge gets "following", "follower", "block", "mute" or "follow_request" (by the other user, and waiting) and the other user.
	Edge(kind string, e freshet.Edge) error
	Session(s freshet.Session) error
}

// exportChunk is how many rows an export holds at once.
const exportChunk = 500

// Export gives a user all that is kept of the user, oldest things last where
// their list runs from the newest.
func (s *Service) Export(ctx context.Context, user freshet.ID, to Exported) error {
	users, err := s.store.Users(ctx, []freshet.ID{user})
	if err != nil {
		return err
	}
	if len(users) == 0 {
		return freshet.NotFound("user")
	}
	email, err := s.store.Email(ctx, user)
	if err != nil {
		return err
	}
	if err := to.User(users[0], email); err != nil {
		return err
	}
	steps := []func() error{
		func() error { return s.exportPosts(ctx, user, to) },
		func() error {
			return each(func(from freshet.ID) ([]freshet.Comment, error) {
				return s.store.CommentsBy(ctx, user, from, exportChunk)
			}, func(c freshet.Comment) freshet.ID { return c.ID }, to.Comment)
		},
		func() error {
			return each(func(from freshet.ID) ([]freshet.ID, error) { return s.store.LikedBy(ctx, user, from, exportChunk) },
				func(id freshet.ID) freshet.ID { return id }, to.Like)
		},
	}
	for _, l := range []struct {
		kind string
		list list[freshet.Edge]
	}{
		{"following", s.store.Following},
		{"follower", s.store.Followers},
		{"block", s.store.Blocks},
		{"mute", s.store.Mutes},
		{"follow_request", s.store.FollowRequests},
	} {
		steps = append(steps, func() error {
			return each(func(from freshet.ID) ([]freshet.Edge, error) { return l.list(ctx, user, from, exportChunk) },
				func(e freshet.Edge) freshet.ID { return e.ID },
				func(e freshet.Edge) error { return to.Edge(l.kind, e) })
		})
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return s.exportSessions(ctx, user, to)
}

func (s *Service) exportPosts(ctx context.Context, user freshet.ID, to Exported) error {
	return each(func(from freshet.ID) ([]freshet.Post, error) {
		refs, err := s.store.ByAuthor(ctx, user, from, exportChunk)
		if err != nil || len(refs) == 0 {
			return nil, err
		}
		ids := make([]freshet.ID, len(refs))
		for i, r := range refs {
			ids[i] = r.ID
		}
		posts, err := s.store.Posts(ctx, ids)
		byID := make(map[freshet.ID]freshet.Post, len(posts))
		for _, p := range posts {
			byID[p.ID] = p
		}
		rows := make([]freshet.Post, len(ids))
		for i, id := range ids {
			rows[i] = byID[id]
			rows[i].ID = id // a post deleted in between still carries the list on
		}
		return rows, err
	}, func(p freshet.Post) freshet.ID { return p.ID }, func(p freshet.Post) error {
		if p.Author == 0 {
			return nil
		}
		return to.Post(p)
	})
}

func (s *Service) exportSessions(ctx context.Context, user freshet.ID, to Exported) error {
	sessions, err := s.store.Sessions(ctx, user)
	if err != nil {
		return err
	}
	for _, x := range sessions {
		if err := to.Session(x); err != nil {
			return err
		}
	}
	return nil
}

// each walks a keyset list to its end.
func each[R any](list func(from freshet.ID) ([]R, error), key func(R) freshet.ID, do func(R) error) error {
	for from := freshet.ID(0); ; {
		rows, err := list(from)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := do(r); err != nil {
				return err
			}
		}
		from = key(rows[len(rows)-1])
	}
}
