package social

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Like makes actor like a post; twice counts once. It gives the post's likes.
func (s *Service) Like(ctx context.Context, actor, post freshet.ID, w store.Write) (int64, position.Token, error) {
	return s.like(ctx, s.store.Like, actor, post, w)
}

// Unlike takes a like back.
func (s *Service) Unlike(ctx context.Context, actor, post freshet.ID, w store.Write) (int64, position.Token, error) {
	return s.like(ctx, s.store.Unlike, actor, post, w)
}

type like func(ctx context.Context, actor, post freshet.ID, w store.Write) (int64, bool, position.Token, error)

func (s *Service) like(ctx context.Context, write like, actor, post freshet.ID, w store.Write) (int64, position.Token, error) {
	if _, err := s.visible(ctx, actor, post); err != nil {
		return 0, nil, err
	}
	n, changed, at, err := write(ctx, actor, post, w)
	if err != nil || !changed {
		return n, at, err
	}
	return n, at, s.committed(ctx, at, store.Change{Kind: store.LikeChanged, Subject: post, Object: actor})
}

// CommentView is a comment with its author.
type CommentView struct {
	freshet.Comment
	Author *Profile
}

// CommentList is a page of comments; go on after Next, 0 at the end.
type CommentList struct {
	Comments []*CommentView
	Next     freshet.ID
}

// Comment answers a post.
func (s *Service) Comment(ctx context.Context, c freshet.NewComment, w store.Write) (*CommentView, position.Token, error) {
	if c.Text == "" {
		return nil, nil, freshet.Invalid("text", "is empty")
	}
	if err := freshet.CheckText("text", c.Text, s.limits.Comment); err != nil {
		return nil, nil, err
	}
	if _, err := s.visible(ctx, c.Author, c.Post); err != nil {
		return nil, nil, err
	}
	made, at, err := s.store.CreateComment(ctx, c, w)
	if err != nil {
		return nil, nil, err
	}
	if err := s.committed(ctx, at, store.Change{Kind: store.CommentChanged, Subject: c.Post, Object: made.ID}); err != nil {
		return nil, nil, err
	}
	author, err := s.User(ctx, c.Author, c.Author)
	return &CommentView{made, author}, at, err
}

// Uncomment removes a comment, for its author and for the author of the post.
func (s *Service) Uncomment(ctx context.Context, actor, comment freshet.ID, w store.Write) (position.Token, error) {
	c, at, err := s.store.DeleteComment(ctx, actor, comment, w)
	if err != nil {
		return nil, err
	}
	return at, s.withdrawn(ctx, at, store.Change{Kind: store.CommentChanged, Subject: c.Post, Object: comment})
}

// Comments lists the comments of a post, oldest first, after an id, as viewer sees them.
func (s *Service) Comments(ctx context.Context, viewer, post, after freshet.ID, limit int) (CommentList, error) {
	if _, err := s.visible(ctx, viewer, post); err != nil {
		return CommentList{}, err
	}
	hidden, err := s.blockedFor(ctx, viewer)
	if err != nil {
		return CommentList{}, err
	}
	var out CommentList
	out.Comments, out.Next, err = collect(after, limit,
		func(from freshet.ID, n int) ([]freshet.Comment, error) { return s.lists.comments(ctx, post, from, n) },
		func(c freshet.Comment) freshet.ID { return c.ID },
		func(rows []freshet.Comment) ([]*CommentView, error) {
			ids := make([]freshet.ID, len(rows))
			for i, c := range rows {
				ids[i] = c.Author
			}
			authors, err := s.profiles(ctx, ids)
			views := make([]*CommentView, len(rows))
			for i, c := range rows {
				if authors[i] != nil && !hidden.Blocks(c.Author) {
					views[i] = &CommentView{c, authors[i]}
				}
			}
			return views, err
		})
	return out, err
}

// CommentByID gives a comment; the author of a repeated request sees it again.
func (s *Service) CommentByID(ctx context.Context, viewer, id freshet.ID) (*CommentView, error) {
	found, err := s.store.Comments(ctx, []freshet.ID{id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, freshet.NotFound("comment")
	}
	author, err := s.User(ctx, viewer, found[0].Author)
	return &CommentView{found[0], author}, err
}
