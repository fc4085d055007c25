package main

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// crowd is a source of very many readers that takes no memory for them: each follows the same authors, but has posts of
// its own choice out of all. Large authors, who write nothing of old, have random readers besides.
type crowd struct {
	relations freshet.Relations
	posts     int // there are ids from 1 to posts
	length    int // of a timeline
	large     map[freshet.ID][]freshet.ID
	refs      []freshet.PostRef
}

var (
	_ feed.Source = (*crowd)(nil)
	_ feed.Graph  = (*crowd)(nil)
)

func newCrowd(posts, follows, length int) *crowd {
	c := &crowd{posts: posts, length: length, large: make(map[freshet.ID][]freshet.ID)}
	for i := range follows {
		c.relations.Following = append(c.relations.Following, crowdAuthor(i))
	}
	return c
}

func crowdAuthor(i int) freshet.ID { return freshet.NewID(int64(i), i, 0) }
func crowdReader(i int) freshet.ID { return freshet.NewID(1<<30+int64(i), i, 0) }
func largeAuthor(i int) freshet.ID { return freshet.NewID(1<<31+int64(i), i, 0) } // above all others

// gives makes a large author of some readers.
func (c *crowd) gives(author freshet.ID, readers []int) {
	for _, r := range readers {
		id := crowdReader(r)
		if of := c.large[id]; len(of) == 0 || of[len(of)-1] < author {
			c.large[id] = append(of, author)
		}
	}
}

func randomReaders(rng *rand.Rand, of, n int) []int {
	readers := make([]int, n)
	for i := range readers {
		readers[i] = rng.IntN(of)
	}
	return readers
}

func (c *crowd) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	if large := c.large[reader]; len(large) > 0 {
		return &freshet.Relations{Following: slices.Concat(c.relations.Following, large), Hidden: c.relations.Hidden}, nil
	}
	return &c.relations, nil
}

// Home gives first pages, in memory that the next call overwrites: timelines are built by one goroutine.
func (c *crowd) Home(_ context.Context, reader, _ freshet.ID, limit int) ([]freshet.PostRef, error) {
	rng := rand.New(rand.NewPCG(uint64(reader), 0))
	c.refs = c.refs[:0]
	step := c.posts / c.length
	for i := range min(limit, c.length) {
		post := c.posts - i*step - rng.IntN(step)
		c.refs = append(c.refs, freshet.PostRef{ID: freshet.ID(post), Author: crowdAuthor(post % len(c.relations.Following))})
	}
	return c.refs, nil
}

// Refs is asked by no engine that keeps its timelines in memory.
func (c *crowd) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (c *crowd) ByAuthor(context.Context, freshet.ID, freshet.ID, int) ([]freshet.PostRef, error) {
	return nil, nil
}

func (c *crowd) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	return make([]int64, len(users)), nil
}

// engine is one that pushes, with a full timeline for each reader.
func (c *crowd) engine(ctx context.Context, readers int) (*memory.Engine, error) {
	e := memory.New(memory.Options{Source: c, Graph: c, Length: c.length, Readers: readers + readers/4})
	var p pageOf
	for i := range readers {
		if _, err := p.first(ctx, e, crowdReader(i)); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// post is the next post of an author.
func (c *crowd) post(author freshet.ID) freshet.PostRef {
	c.posts++
	return freshet.PostRef{ID: freshet.ID(c.posts), Author: author}
}
