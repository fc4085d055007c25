package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

var _ feed.Explainer = (*Engine)(nil)

// Explain tells how a post comes into a reader's feed as of now. It changes nothing.
func (e *Engine) Explain(ctx context.Context, id freshet.ID, post freshet.PostRef) (feed.Explanation, error) {
	relations, err := e.o.Graph.Relations(ctx, id)
	if err != nil {
		return feed.Explanation{}, fmt.Errorf("read relations of %s: %w", id, err)
	}
	if relations == nil {
		relations = &scan.Nobody
	}
	x := feed.Explanation{Relation: feed.RelationOf(relations, id, post.Author), Edge: feed.Merged, Found: feed.InStore}
	if e.reads != nil {
		x.Reads = e.reads.Rate(id, e.o.Now())
	}
	refs, err := e.o.Source.Refs(ctx, []freshet.ID{post.ID})
	if err != nil {
		return feed.Explanation{}, err
	}
	x.InFeed = (x.Relation == feed.Self || x.Relation == feed.Followed) && len(refs) == 1
	if !x.InFeed {
		x.Edge, x.Found = "", ""
		return x, nil
	}
	if e.o.Mode == feed.Pull {
		return x, nil
	}
	me, them := reader(id), ringOf(post.Author)
	l, err := e.look(ctx, me, them)
	if err != nil {
		return x, nil // a page would ask the store now
	}
	r, kept := l.rings[me]
	if kept && !r.all && !slices.Contains(r.merged, post.Author) {
		x.Edge = feed.Pushed
	}
	ring, ringThere := l.rings[them]
	switch {
	case slices.Contains(l.flying, post):
		x.Found = feed.InFlight
	case x.Edge == feed.Pushed && slices.Contains(r.ids, post.ID):
		x.Found = feed.InTimeline
	case kept && x.Edge == feed.Merged && ringThere && slices.Contains(ring.ids, post.ID):
		x.Found = feed.InRing
	}
	return x, nil
}
