package memory_test

import (
	"context"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// static is a source that costs nothing, for what is measured: everybody
// follows the same authors, and each author has the same followers.
type static struct {
	relations freshet.Relations
	followers int
	posts     []freshet.PostRef
}

// newStatic makes one of authors and followers, with posts written in turn.
func newStatic(authors, followers, posts int) *static {
	s := new(static)
	for i := range authors {
		s.relations.Following = append(s.relations.Following, author(i))
	}
	s.followers = followers
	for i := posts; i > 0; i-- {
		s.posts = append(s.posts, freshet.PostRef{ID: freshet.ID(i), Author: author(i * 7 % authors)})
	}
	return s
}

func author(i int) freshet.ID   { return freshet.NewID(int64(i), i, 0) }
func follower(i int) freshet.ID { return freshet.NewID(1<<30+int64(i), i, 0) }

func (s *static) Relations(context.Context, freshet.ID) (*freshet.Relations, error) {
	return &s.relations, nil
}

func (s *static) Home(_ context.Context, _, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	at := 0
	for before > 0 && at < len(s.posts) && s.posts[at].ID >= before {
		at++
	}
	return s.posts[at:min(len(s.posts), at+limit)], nil
}

func (s *static) ByAuthor(_ context.Context, author, before freshet.ID, limit int) (refs []freshet.PostRef, err error) {
	for _, p := range s.posts {
		if p.Author == author && (before == 0 || p.ID < before) && len(refs) < limit {
			refs = append(refs, p)
		}
	}
	return refs, nil
}

func (s *static) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (s *static) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	sizes := make([]int64, len(users))
	for i := range sizes {
		sizes[i] = int64(s.followers)
	}
	return sizes, nil
}

func (s *static) engine(o memory.Options) *memory.Engine {
	o.Source, o.Graph = s, s
	return memory.New(o)
}

// warm reads the first page of the first followers.
func warm(tb testing.TB, e *memory.Engine, readers int) {
	for i := range readers {
		if _, err := e.Page(tb.Context(), feed.Query{Reader: follower(i), Limit: 50}); err != nil {
			tb.Fatal(err)
		}
	}
}
