package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// plan says whose posts are delivered into a timeline, and whose are merged by
// every read. Who merges an author needs no delivery, and one does no harm: a
// page takes each post once. So an author may begin to be merged at any moment;
// only for one to be pushed again the timeline is built anew. A plan is not
// changed; two timelines of one reader have different ones, or none.
type plan struct {
	all    bool         // every author is merged: nothing is kept but this plan
	merged []freshet.ID // ids rise; not changed
	made   time.Time    // in mode Adaptive, and then
	reads  float64      // how many pages an hour the reader read
}

func (p *plan) merges(author freshet.ID) bool {
	if p == nil || p.all {
		return p != nil
	}
	_, found := slices.BinarySearch(p.merged, author)
	return found
}

// with gives another plan by which an author is merged, too.
func (p *plan) with(author freshet.ID) *plan {
	var next plan
	if p != nil {
		next = *p
	}
	at, _ := slices.BinarySearch(next.merged, author)
	next.merged = slices.Insert(slices.Clone(next.merged), at, author)
	return &next
}

// drifted reports whether a plan does not fit any more.
func (e *Engine) drifted(reader freshet.ID, by *plan) bool {
	if e.reads == nil || by == nil {
		return false
	}
	now := e.o.Now()
	age := now.Sub(by.made)
	if age < feed.DriftCheck {
		return false
	}
	reads := e.reads.Rate(reader, now)
	return age >= feed.PlanAge || reads > by.reads*feed.DriftFactor || reads*feed.DriftFactor < by.reads
}

// plan decides whose posts are to be delivered to a reader, and whose merged.
func (e *Engine) plan(ctx context.Context, reader freshet.ID, relations *freshet.Relations) (by *plan, pushed []freshet.ID, err error) {
	switch e.o.Mode {
	case feed.Hybrid:
		by = new(plan)
		pushed, err = e.planBySize(ctx, relations.Following, by)
	case feed.Adaptive:
		by = new(plan)
		pushed = e.planByCost(reader, relations.Following, by)
	default:
		pushed = relations.Following
	}
	return by, pushed, err
}

func (e *Engine) planBySize(ctx context.Context, authors []freshet.ID, by *plan) (pushed []freshet.ID, err error) {
	if len(authors) == 0 {
		return nil, nil
	}
	sizes, err := e.o.Source.Audience(ctx, authors)
	if err != nil {
		return nil, err
	}
	for i, author := range authors {
		if sizes[i] >= int64(e.o.Threshold) {
			by.merged = append(by.merged, author)
		} else {
			pushed = append(pushed, author)
		}
	}
	return pushed, nil
}

// rule is memory for one decision.
type rule struct {
	posts []float64
	pull  []bool
}

var rules = sync.Pool{New: func() any { return new(rule) }}

func (e *Engine) planByCost(reader freshet.ID, authors []freshet.ID, by *plan) (pushed []freshet.ID) {
	r := rules.Get().(*rule)
	defer rules.Put(r)
	r.posts, r.pull = r.posts[:0], slices.Grow(r.pull[:0], len(authors))[:len(authors)]
	by.made = e.o.Now()
	by.reads = e.reads.Rate(reader, by.made)
	for _, author := range authors {
		r.posts = append(r.posts, e.writes.Rate(author, by.made))
	}
	switch e.o.Costs.Choose(by.reads, r.posts, r.pull) {
	case feed.PushAll:
		return authors
	case feed.PullAll:
		by.all = true
		return nil
	}
	for i, author := range authors {
		if r.pull[i] {
			by.merged = append(by.merged, author)
		} else {
			pushed = append(pushed, author)
		}
	}
	return pushed
}
