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

// worthAnew is what another plan must cost of the one by which a timeline is kept: to
// build it anew takes a read of the source.
const worthAnew = 0.8

// drifted reports whether a plan does not fit any more. One that still does begins
// to count its age anew.
func (e *Engine) drifted(s *page, by *plan) bool {
	if e.reads == nil || by == nil {
		return false
	}
	now := e.o.Now()
	age := now.Sub(by.made)
	if age < feed.DriftCheck {
		return false
	}
	reads := e.reads.Rate(s.Reader, now)
	if age < feed.PlanAge && reads <= by.reads*feed.DriftFactor && reads*feed.DriftFactor >= by.reads {
		return false
	}
	if e.worse(by, reads, s.Relations.Following, now) {
		return true
	}
	kept := *by
	kept.made, kept.reads = now, reads
	e.shard(s.Reader).replan(s.Reader, by, &kept)
	return false
}

// worse reports whether a plan costs much more than the best that there is now.
func (e *Engine) worse(by *plan, reads float64, authors []freshet.ID, now time.Time) bool {
	r := e.rule(authors, now)
	defer rules.Put(r)
	best := e.o.Costs.PerHour(e.o.Costs.Choose(reads, r.posts, r.pull), reads, r.posts, r.pull)
	for i, author := range authors {
		r.pull[i] = by.merges(author)
	}
	return best <= worthAnew*e.o.Costs.PerHour(feed.PerAuthor, reads, r.posts, r.pull)
}

// replan puts one plan of a reader's in the place of another that says the same.
func (h *shard) replan(reader freshet.ID, by, next *plan) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.find(reader); t != nil && t.by == by {
		t.by = next
	}
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

// rule has the rates of authors as of now.
func (e *Engine) rule(authors []freshet.ID, now time.Time) *rule {
	r := rules.Get().(*rule)
	r.posts, r.pull = r.posts[:0], slices.Grow(r.pull[:0], len(authors))[:len(authors)]
	for _, author := range authors {
		r.posts = append(r.posts, e.writes.Rate(author, now))
	}
	return r
}

func (e *Engine) planByCost(reader freshet.ID, authors []freshet.ID, by *plan) (pushed []freshet.ID) {
	by.made = e.o.Now()
	by.reads = e.reads.Rate(reader, by.made)
	r := e.rule(authors, by.made)
	defer rules.Put(r)
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
