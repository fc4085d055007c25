package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/freshet/freshet"
)

// A ring is the newest posts of one author, kept like the timeline of somebody
// who follows nobody else. It holds a post from Publish on: who merges rings at
// read time sees the post without any fan-out.

// coldRings is how many rings one read fills. A reader of more whose rings are
// not there is answered by the source, and finds those the next time.
const coldRings = 16

// gathered is what a read merges in one round.
type gathered struct {
	refs  []freshet.PostRef // in no order
	heads []freshet.PostRef // the newest candidate of each author
	cold  []freshet.ID      // authors whose rings are not there

	byShard []freshet.ID      // the authors, as their rings lie
	deep    []freshet.PostRef // the lowest that was gathered of authors who may have more

	// floor is the lowest id for which refs are complete. Below it there may be more
	// here; only the source knows if ask is set.
	floor freshet.ID
	ask   bool
}

var working = sync.Pool{New: func() any { return new(gathered) }}

// begin empties it, but for posts that are in flight.
func (g *gathered) begin(flying []freshet.PostRef) {
	g.refs, g.floor, g.ask = append(g.refs[:0], flying...), 0, false
}

// until notes that one of the merged parts is complete down to floor only, and
// whether the source must be asked for what lies below.
func (g *gathered) until(floor freshet.ID, ask bool) {
	if floor > g.floor {
		g.floor, g.ask = floor, ask
	}
}

// sort puts the newest first.
func (g *gathered) sort() {
	slices.SortFunc(g.refs, func(a, b freshet.PostRef) int { return byID(b, a) })
}

// gather adds the newest candidates of authors from their rings, as many as the
// page may need. It reports false where the source is better asked for the page.
//
// Of all authors only those matter whose newest candidate is among the newest
// limit+1 of such: what the others have lies below all of these.
func (e *Engine) gather(ctx context.Context, s *page, authors []freshet.ID, g *gathered) (bool, error) {
	if len(authors) == 0 {
		return true, nil
	}
	now := e.generation.Load()
	g.heads, g.cold = g.heads[:0], g.cold[:0]
	e.heads(s, authors, now, g)
	many := len(g.cold) > coldRings
	if many && e.ring(g.cold[0]).full() {
		return false, nil // they would only drive others out, and be driven out
	}
	for _, author := range g.cold[:min(len(g.cold), coldRings)] {
		if ok, err := e.fillRing(ctx, author, now); !ok || err != nil {
			return false, err
		}
	}
	if many {
		return false, nil
	}
	if filled := len(g.cold); filled > 0 {
		e.heads(s, slices.Clone(g.cold), now, g)
		if len(g.cold) > filled {
			return false, nil // dropped at once
		}
	}
	need := s.Missing()
	if len(g.heads) > need {
		keepNewest(g.heads, need+1)
		g.until(g.heads[0].ID+1, false)
		g.heads = g.heads[1 : need+1]
	}
	return e.mergeHeads(s, need, now, g), nil
}

// enterRing enters a post into its author's ring, if that is there.
func (e *Engine) enterRing(post freshet.PostRef) {
	h, generation := e.ring(post.Author), e.generation.Load()
	if !h.has(post.Author, generation) {
		return
	}
	if o, ok := e.pin(post); ok { // else no ring is left
		h.deliverTo(post.Author, o, post, generation, e.o.Ring)
		e.posts.unpin(o)
	}
}

// fillRing makes an author's ring from the source. It reports false if somebody
// else is at it. Posts that are published meanwhile are collected, as by a
// timeline that is being built.
func (e *Engine) fillRing(ctx context.Context, author freshet.ID, generation uint64) (bool, error) {
	h := e.ring(author)
	t := h.openFor(author, generation)
	if t == nil {
		return false, nil
	}
	defer h.abandon(t)
	e.pulled.Add(1)
	latest, read := keeping(ctx)
	refs, err := e.o.Source.ByAuthor(latest, author, 0, e.o.Ring)
	if err != nil {
		return false, err
	}
	read()
	h.install(t, refs, len(refs) < e.o.Ring, e.o.Ring)
	e.posts.help(e.all)
	return true, nil
}

// full reports whether what is opened here drives something out.
func (h *shard) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers.used >= h.bound
}

// openFor opens what is not there, and gives nil if somebody fills it already, or
// it is of a later generation.
func (h *shard) openFor(owner freshet.ID, generation uint64) *timeline {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.find(owner); t != nil && (t.open && t.generation == generation || t.generation > generation) {
		return nil
	}
	return h.open(owner, generation)
}
