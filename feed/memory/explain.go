package memory

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

var _ feed.Explainer = (*Engine)(nil)

// Explain tells how a post comes into a reader's feed as of now. It changes nothing.
func (e *Engine) Explain(ctx context.Context, reader freshet.ID, post freshet.PostRef) (feed.Explanation, error) {
	relations, err := e.o.Graph.Relations(ctx, reader)
	if err != nil {
		return feed.Explanation{}, fmt.Errorf("read relations of %s: %w", reader, err)
	}
	if relations == nil {
		relations = &scan.Nobody
	}
	x := feed.Explanation{Relation: feed.RelationOf(relations, reader, post.Author), Edge: feed.Merged, Found: feed.InStore}
	x.InFeed = (x.Relation == feed.Self || x.Relation == feed.Followed) && !e.removed.view().has(post.ID)
	if e.reads != nil {
		now := e.o.Now()
		x.Reads, x.Posts = e.reads.Rate(reader, now), e.writes.Rate(post.Author, now)
		x.PushCost, x.MergeCost = x.Posts*e.o.Costs.Push, x.Reads*e.o.Costs.PullAuthor
	}
	if !x.InFeed {
		x.Edge, x.Found = "", ""
		return x, nil
	}
	generation := e.generation.Load()
	pushed, holds := e.shard(reader).explain(reader, post, generation)
	if pushed {
		x.Edge = feed.Pushed
	}
	switch {
	case holds:
		x.Found = feed.InTimeline
	case e.inFlight.has(post):
		x.Found = feed.InFlight
	case !pushed && len(e.rings) > 0:
		if _, inRing := e.ring(post.Author).explain(post.Author, post, generation); inRing {
			x.Found = feed.InRing
		}
	}
	return x, nil
}

// explain reports whether an owner's timeline is there and gets an author's
// posts, and whether it holds one.
func (h *shard) explain(owner freshet.ID, post freshet.PostRef, generation uint64) (pushed, holds bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.find(owner)
	if !t.wants(post.Author, generation) {
		return false, false
	}
	_, holds = t.search(post.ID, h.posts)
	return true, holds
}
