package social

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// FanOut is the kind of the effect that enters a post into timelines.
const FanOut = "fanout"

// Post writes a post. It is in the feeds of the author's followers when Post returns.
func (s *Service) Post(ctx context.Context, p freshet.NewPost, w store.Write) (*PostView, position.Token, error) {
	data, err := s.compact(p.Data)
	if err != nil {
		return nil, nil, err
	}
	p.Data = data
	if err := s.checkPost(p.Text, p.Data); err != nil {
		return nil, nil, err
	}
	if p.Ref != "" {
		if err := freshet.CheckRef("ref", p.Ref); err != nil {
			return nil, nil, err
		}
	}
	if s.mode != feed.Pull {
		w.Effects = append(w.Effects, fanOutEffect(p.Author))
	}
	post, at, err := s.store.CreatePost(ctx, p, w)
	if err != nil {
		return nil, nil, err
	}
	s.feed.Publish(freshet.PostRef{ID: post.ID, Author: post.Author})
	if err := s.committed(ctx, at, store.Change{Kind: store.PostCreated, Subject: post.ID, Object: post.Author}); err != nil {
		return nil, nil, err
	}
	author, err := s.User(ctx, p.Author, p.Author)
	return &PostView{Content: &Content{Post: post}, Author: author}, at, err
}

func (s *Service) checkPost(text string, data []byte) error {
	if text == "" && data == nil {
		return freshet.Invalid("text", "is empty, and there is no data")
	}
	return freshet.CheckText("text", text, s.limits.Text)
}

// Edit changes a post of its author.
func (s *Service) Edit(ctx context.Context, author, id freshet.ID, p freshet.PostPatch, w store.Write) (*PostView, position.Token, error) {
	if p.Data != nil {
		data, err := s.compact(*p.Data)
		if err != nil {
			return nil, nil, err
		}
		p.Data = &data
	}
	old, err := s.own(ctx, author, id)
	if err != nil {
		return nil, nil, err
	}
	text, data := old.Text, old.Data
	if p.Text != nil {
		text = *p.Text
	}
	if p.Data != nil {
		data = *p.Data
	}
	if err := s.checkPost(text, data); err != nil {
		return nil, nil, err
	}
	_, at, err := s.store.EditPost(ctx, author, id, p, w)
	if err != nil {
		return nil, nil, err
	}
	if err := s.committed(ctx, at, store.Change{Kind: store.PostEdited, Subject: id, Object: author}); err != nil {
		return nil, nil, err
	}
	view, err := s.PostByID(ctx, author, id)
	return view, at, err
}

// Delete removes a post of its author, with its likes and comments.
func (s *Service) Delete(ctx context.Context, author, id freshet.ID, w store.Write) (position.Token, error) {
	if _, err := s.own(ctx, author, id); err != nil {
		return nil, err
	}
	at, err := s.store.DeletePost(ctx, author, id, w)
	if err != nil {
		return nil, err
	}
	return at, s.withdrawn(ctx, at, store.Change{Kind: store.PostDeleted, Subject: id, Object: author})
}

// own gives a post that actor may change: one's own. Another's is forbidden
// where actor may see it, and not found where not.
func (s *Service) own(ctx context.Context, actor, id freshet.ID) (*Content, error) {
	p, err := s.visible(ctx, actor, id)
	if err == nil && p.Author != actor {
		err = &freshet.Error{Code: freshet.CodeForbidden, Message: "this post is somebody else's"}
	}
	return p, err
}

// FanOutHandler is the job behind [FanOut].
func (s *Service) FanOutHandler(ctx context.Context, r jobs.Run) error {
	job := r.Job()
	author, n := binary.Varint(job.Args)
	if n <= 0 {
		return jobs.Final(fmt.Errorf("fan out %s: arguments %x name no author", job.Subject, job.Args))
	}
	return s.feed.FanOut(ctx, freshet.PostRef{ID: job.Subject, Author: freshet.ID(author)}, r)
}

func fanOutEffect(author freshet.ID) freshet.Effect {
	return freshet.Effect{Kind: FanOut, Key: author.String(), Args: binary.AppendVarint(nil, int64(author))}
}
