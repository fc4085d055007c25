package memory

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed/internal/scan"
	"github.com/freshet/freshet/position"
)

// read makes a page of what is in flight, the reader's timeline, the rings of
// the authors whom it merges, and a pull below them. See the package comment for
// why it looks in this order.
func (e *Engine) read(ctx context.Context, s *page) error {
	var few [32]freshet.PostRef
	flying := e.inFlight.look(s, few[:0])
	g := working.Get().(*gathered)
	defer working.Put(g)
	var part [64]freshet.PostRef
	for first := true; ; first = false {
		n, floor, by, t := e.shard(s.Reader).read(s, &e.generation, part[:])
		switch {
		case t != nil:
			return e.build(ctx, s, t)
		case n >= 0 && first && e.drifted(s, by):
			e.Void(s.Reader)
			continue // builds it by another plan
		case n >= 0 && by != nil && by.all:
			return e.merge(ctx, s, s.Relations.Following)
		case n < 0:
			return e.pull(ctx, s)
		}
		g.begin(flying)
		if n == len(part) {
			g.until(part[n-1].ID, false)
		} else {
			g.until(floor, true)
		}
		if by != nil && len(by.merged) > 0 {
			if ok, err := e.gather(ctx, s, by.merged, g); !ok {
				return e.pullUnless(ctx, s, err)
			}
		}
		if done, err := e.round(ctx, s, g, part[:n]); done || err != nil {
			return err
		}
	}
}

// merge makes a page of the rings of authors and of the reader's own. Who follows
// a good part of all that may be kept would only drive the rings of others out.
func (e *Engine) merge(ctx context.Context, s *page, authors []freshet.ID) error {
	if len(authors) > max(coldRings, e.o.Rings/4) {
		return e.pull(ctx, s)
	}
	g := working.Get().(*gathered)
	defer working.Put(g)
	for {
		g.begin(nil)
		for _, of := range [][]freshet.ID{authors, {s.Reader}} {
			if ok, err := e.gather(ctx, s, of, g); !ok {
				return e.pullUnless(ctx, s, err)
			}
		}
		if done, err := e.round(ctx, s, g, nil); done || err != nil {
			return err
		}
	}
}

// round looks at what was gathered and at a part of a timeline (ids fall), down
// to where both are complete. It reports whether the page is made; else the next
// round goes on below.
func (e *Engine) round(ctx context.Context, s *page, g *gathered, part []freshet.PostRef) (done bool, err error) {
	g.sort()
	began := s.Last
	if s.takeBoth(g.refs, part, g.floor) || g.floor == 0 {
		e.fromMemory.Add(1)
		return true, nil
	}
	s.Last = min(s.Last, g.floor)
	if g.ask || s.Last == began {
		return true, e.pull(ctx, s)
	}
	return false, nil
}

// takeBoth takes two lists of falling ids in the order of ids, down to floor.
func (s *page) takeBoth(a, b []freshet.PostRef, floor freshet.ID) (complete bool) {
	for len(a)+len(b) > 0 {
		next := &a
		if len(a) == 0 || len(b) > 0 && b[0].ID > a[0].ID {
			next = &b
		}
		if (*next)[0].ID < floor {
			return false
		}
		if s.take((*next)[0]) {
			return true
		}
		*next = (*next)[1:]
	}
	return false
}

// build fills a timeline that the reader's shard holds open, and makes the page
// of the same pull. Deliveries that pass meanwhile are collected by the open
// timeline; a void meanwhile takes it out of the shard, and then nothing is
// kept. The page needs no more than the pull: what was acknowledged before it
// began was committed before.
//
//	build:    open ─ audiences entered ─ source reads posts ── install: pulled ∪ collected
//	worker:    │             commit p ── deliver p ─┐                ▲
//	           └──────────────────── collects ◀─────┘────────────────┘
//
// Whose posts it is to get is decided by whom the reader follows after it was
// opened: from then on a change of that drops it.
func (e *Engine) build(ctx context.Context, s *page, t *timeline) error {
	shard := e.shard(s.Reader)
	defer shard.abandon(t)
	relations, err := e.o.Graph.Relations(ctx, s.Reader)
	if err != nil {
		return err
	}
	if relations == nil {
		relations = &scan.Nobody
	}
	by, pushed, err := e.plan(ctx, s.Reader, relations)
	if err != nil {
		return err
	}
	name := shard.plan(t, by, shardOf(e.shards, s.Reader))
	if by != nil && by.all {
		shard.install(t, nil, true, e.o.Length)
		return e.merge(ctx, s, s.Relations.Following)
	}
	for _, author := range pushed {
		e.audiences.enter(name, t.generation, author)
	}
	e.audiences.enter(name, t.generation, s.Reader)
	latest, read := keeping(ctx)
	refs, err := e.home(latest, s.Reader, 0, e.o.Length)
	if err != nil {
		return err
	}
	read()
	ended := len(refs) < e.o.Length
	shard.install(t, refs, ended, e.o.Length)
	e.posts.help(e.all)
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

// keeping gives a context for reads of the source that are kept: they must see
// all that was acknowledged, whatever the reader may be content with, because who
// was acknowledged before them is delivered to nobody again. What it also gives
// tells the reader's own [position.Reading] of them.
func keeping(ctx context.Context) (context.Context, func()) {
	asker := position.ReadingOf(ctx)
	latest, reading := position.WithLatest(ctx, asker.Need())
	return latest, func() { asker.Report(nil, reading.High()) }
}

// pullUnless pulls the rest of a page, unless there was an error before.
func (e *Engine) pullUnless(ctx context.Context, s *page, err error) error {
	if err != nil {
		return err
	}
	return e.pull(ctx, s)
}

// pull makes the rest of a page from the source. It asks for one more than is
// missing, and for twice as many each time that it was not enough.
func (e *Engine) pull(ctx context.Context, s *page) error {
	for n := s.Missing(); ; n *= 2 {
		n = min(n, s.Budget)
		refs, err := e.home(ctx, s.Reader, s.Last, n)
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
