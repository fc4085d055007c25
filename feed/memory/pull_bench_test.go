package memory_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// many is a source of many authors with a few posts each, of whom every reader
// follows others.
type many struct {
	authors, follows, posts int
	relations               map[freshet.ID]*freshet.Relations
}

func (m *many) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	if r := m.relations[reader]; r != nil {
		return r, nil
	}
	random := rand.New(rand.NewPCG(uint64(reader), 1))
	r := new(freshet.Relations)
	for _, i := range random.Perm(m.authors)[:m.follows] {
		r.Following = append(r.Following, author(i))
	}
	slices.Sort(r.Following)
	m.relations[reader] = r
	return r, nil
}

func (m *many) Home(context.Context, freshet.ID, freshet.ID, int) ([]freshet.PostRef, error) {
	return nil, nil
}

// ByAuthor gives posts of everybody in turn.
func (m *many) ByAuthor(_ context.Context, of, before freshet.ID, limit int) (refs []freshet.PostRef, err error) {
	i := int(of >> 22)
	for n := m.posts - 1; n >= 0 && len(refs) < limit; n-- {
		if id := freshet.ID(n*m.authors + i + 1); before == 0 || id < before {
			refs = append(refs, freshet.PostRef{ID: id, Author: of})
		}
	}
	return refs, nil
}

func (m *many) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (m *many) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	return make([]int64, len(users)), nil
}

// BenchmarkPullOfMany merges the rings of a thousand of 20,000 authors, others for
// each reader.
func BenchmarkPullOfMany(b *testing.B) {
	m := &many{authors: 20_000, follows: 1_000, posts: 4, relations: make(map[freshet.ID]*freshet.Relations)}
	e := memory.New(memory.Options{Mode: feed.Pull, Source: m, Graph: m})
	q := feed.Query{Limit: 50, Into: make([]freshet.PostRef, 0, 50)}
	const readers = 500
	for range 80 {
		for i := range readers {
			q.Reader = follower(i)
			if _, err := e.Page(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	}
	pulled := e.Stats().Pulled
	i := 0
	for b.Loop() {
		i++
		q.Reader = follower(i % readers)
		if _, err := e.Page(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	if e.Stats().Pulled > pulled {
		b.Fatal("the source was asked")
	}
}
