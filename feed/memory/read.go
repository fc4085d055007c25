package memory

import (
	"context"

	"github.com/freshet/freshet"
)

// read makes a page of what is in flight, the reader's timeline and a pull
// below it. See the package comment for why it looks in this order.
func (e *Engine) read(ctx context.Context, s *scan) error {
	var few [32]freshet.PostRef
	flying := e.inFlight.look(s, few[:0])
	var chunk [64]freshet.PostRef
	for {
		n, floor, t := e.shard(s.reader).read(s, &e.generation, chunk[:])
		switch {
		case t != nil:
			return e.build(ctx, s, t)
		case n < 0:
			return e.pull(ctx, s)
		}
		more := n == len(chunk)
		if more {
			floor = chunk[n-1].ID
		}
		var complete bool
		flying, complete = s.merge(chunk[:n], flying, floor)
		switch {
		case complete, !more && floor == 0:
			e.fromMemory.Add(1)
			return nil
		case !more:
			s.last = min(s.last, floor)
			return e.pull(ctx, s)
		}
	}
}

// merge takes a part of a timeline, which is complete down to floor, together
// with the posts in flight that lie there, and gives those that lie below.
func (s *scan) merge(part, flying []freshet.PostRef, floor freshet.ID) (rest []freshet.PostRef, complete bool) {
	for _, post := range part {
		for len(flying) > 0 && flying[0].ID >= post.ID {
			if s.take(flying[0]) {
				return nil, true
			}
			flying = flying[1:]
		}
		if s.take(post) {
			return nil, true
		}
	}
	for len(flying) > 0 && flying[0].ID >= floor {
		if s.take(flying[0]) {
			return nil, true
		}
		flying = flying[1:]
	}
	return flying, false
}

// build fills a timeline that the reader's shard holds open, and makes the page
// of the same pull. Deliveries that pass meanwhile are collected by the open
// timeline; a void meanwhile takes it out of the shard, and then nothing is
// kept. The page needs no more than the pull: what was acknowledged before it
// began was committed before.
//
//	build:    open ─── source reads posts ───── install: pulled ∪ collected
//	worker:    │  commit p ── deliver p ─┐           ▲
//	           └───────── collects ◀─────┘───────────┘
func (e *Engine) build(ctx context.Context, s *scan, t *timeline) error {
	shard := e.shard(s.reader)
	defer shard.abandon(t)
	refs, err := e.home(ctx, s.reader, 0, e.o.Length)
	if err != nil {
		return err
	}
	ended := len(refs) < e.o.Length
	shard.install(t, refs, ended, e.o.Length)
	e.posts.help(e.shards)
	for _, post := range refs {
		if s.take(post) {
			return nil
		}
	}
	if ended {
		return nil
	}
	return e.pull(ctx, s)
}

// pull makes the rest of a page from the source. It asks for one more than is
// missing, and for twice as many each time that it was not enough.
func (e *Engine) pull(ctx context.Context, s *scan) error {
	for n := s.limit + 1 - len(s.refs); ; n *= 2 {
		n = min(n, s.budget)
		refs, err := e.home(ctx, s.reader, s.last, n)
		if err != nil {
			return err
		}
		for _, post := range refs {
			if s.take(post) {
				return nil
			}
		}
		if len(refs) < n {
			return nil
		}
	}
}

func (e *Engine) home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	e.pulled.Add(1)
	return e.o.Source.Home(ctx, reader, before, limit)
}
