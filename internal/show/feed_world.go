package main

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/load"
)

// feedWorld is the network of load as what an engine reads, and the log of all posts: user u has the id u+1. Its clock
// is the events'. It is for one goroutine that writes; while nothing is written any number may read.
type feedWorld struct {
	net       *load.Network
	relations []freshet.Relations
	posts     [][]freshet.ID    // by author; ids rise
	all       []freshet.PostRef // ids rise
	now       time.Time
	asked     int // reads of the source
}

var (
	_ feed.Source = (*feedWorld)(nil)
	_ feed.Graph  = (*feedWorld)(nil)
)

func newFeedWorld(o load.Options, hiddenOf int) (*feedWorld, error) {
	net, err := load.New(o)
	if err != nil {
		return nil, err
	}
	w := &feedWorld{net: net, relations: make([]freshet.Relations, net.Users()), now: worldBegins}
	arena := make([]freshet.ID, 0, net.Edges())
	for u := range w.relations {
		begin := len(arena)
		var hidden []freshet.ID
		for i, v := range net.Follows(u) {
			arena = append(arena, userID(v))
			if hiddenOf > 0 && i%hiddenOf == 0 {
				hidden = append(hidden, userID(v))
			}
		}
		w.relations[u] = freshet.Relations{Following: arena[begin:len(arena):len(arena)], Hidden: hidden}
	}
	w.forget()
	return w, nil
}

// worldBegins is a Monday.
var worldBegins = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func userID(u uint32) freshet.ID { return freshet.ID(u) + 1 }

// forget takes all posts away, and turns the clock back.
func (w *feedWorld) forget() {
	w.posts, w.all, w.now, w.asked = make([][]freshet.ID, w.net.Users()), nil, worldBegins, 0
}

// post writes one.
func (w *feedWorld) post(user uint32) freshet.PostRef {
	p := freshet.PostRef{ID: freshet.ID(len(w.all) + 1), Author: userID(user)}
	w.posts[user] = append(w.posts[user], p.ID)
	w.all = append(w.all, p)
	return p
}

func (w *feedWorld) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	return &w.relations[reader-1], nil
}

func (w *feedWorld) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	sizes := make([]int64, len(users))
	for i, u := range users {
		sizes[i] = int64(len(w.net.Followers(int(u - 1))))
	}
	return sizes, nil
}

// Refs is asked by no engine that keeps its timelines in memory.
func (w *feedWorld) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (w *feedWorld) ByAuthor(_ context.Context, author, before freshet.ID, limit int) (refs []freshet.PostRef, err error) {
	w.asked++
	ids := below(w.posts[author-1], before)
	for i := len(ids) - 1; i >= 0 && len(refs) < limit; i-- {
		refs = append(refs, freshet.PostRef{ID: ids[i], Author: author})
	}
	return refs, nil
}

func below(ids []freshet.ID, before freshet.ID) []freshet.ID {
	if before == 0 {
		return ids
	}
	at, _ := slices.BinarySearch(ids, before)
	return ids[:at]
}

// Home merges the posts of the followed and the reader's own.
func (w *feedWorld) Home(_ context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	w.asked++
	var h authorHeap
	for _, author := range append(slices.Clone(w.relations[reader-1].Following), reader) {
		if ids := below(w.posts[author-1], before); len(ids) > 0 {
			h = append(h, ids)
		}
	}
	heap.Init(&h)
	var refs []freshet.PostRef
	for len(h) > 0 && len(refs) < limit {
		id := h[0][len(h[0])-1]
		refs = append(refs, w.all[id-1])
		if h[0] = h[0][:len(h[0])-1]; len(h[0]) == 0 {
			heap.Pop(&h)
		} else {
			heap.Fix(&h, 0)
		}
	}
	return refs, nil
}

// authorHeap has the author with the newest post on top.
type authorHeap [][]freshet.ID

func (h authorHeap) Len() int           { return len(h) }
func (h authorHeap) Less(i, j int) bool { return h[i][len(h[i])-1] > h[j][len(h[j])-1] }
func (h authorHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *authorHeap) Push(x any)        { *h = append(*h, x.([]freshet.ID)) }
func (h *authorHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// oracle is the first page by the definition of a home feed: all posts, newest first, and whom the reader sees.
func (w *feedWorld) oracle(reader freshet.ID, limit int) (refs []freshet.PostRef) {
	r := &w.relations[reader-1]
	for i := len(w.all) - 1; i >= 0 && len(refs) < limit; i-- {
		if p := w.all[i]; p.Author == reader || r.Follows(p.Author) && !r.Hides(p.Author) {
			refs = append(refs, p)
		}
	}
	return refs
}

// uninterrupted is a fan-out that never has to go on.
type uninterrupted struct{}

func (uninterrupted) Checkpoint() []byte                 { return nil }
func (uninterrupted) Save(context.Context, []byte) error { return nil }

// pageOf asks for first pages of 50 into memory of its own.
type pageOf struct{ into []freshet.PostRef }

func (p *pageOf) first(ctx context.Context, e feed.Engine, reader freshet.ID) ([]freshet.PostRef, error) {
	if p.into == nil {
		p.into = make([]freshet.PostRef, 0, pageSize)
	}
	page, err := e.Page(ctx, feed.Query{Reader: reader, Limit: pageSize, Into: p.into})
	return page.Refs, err
}

// play has a span's events happen on an engine, each post delivered at once, and tells how many pages were read.
func (w *feedWorld) play(ctx context.Context, e feed.Engine, span time.Duration, seed uint64) (posts, pages int, err error) {
	var p pageOf
	begin := w.now
	for event := range w.net.Events(begin, span, seed) {
		w.now = event.At
		if event.Kind == load.Read {
			pages++
			if _, err := p.first(ctx, e, userID(event.User)); err != nil {
				return posts, pages, err
			}
			continue
		}
		posts++
		if err := deliver(ctx, e, w.post(event.User)); err != nil {
			return posts, pages, err
		}
	}
	w.now = begin.Add(span)
	return posts, pages, ctx.Err()
}

func deliver(ctx context.Context, e feed.Engine, post freshet.PostRef) error {
	e.Publish(post)
	return e.FanOut(ctx, post, uninterrupted{})
}
