package memory

import (
	"math"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// scan makes one page of candidates that come in falling order of id, from
// wherever they come. That it alone decides what shows is why push and pull
// give equal pages.
type scan struct {
	reader    freshet.ID
	relations *freshet.Relations
	dead      *table
	limit     int
	budget    int  // candidates that may still be looked at
	fromTop   bool // the page is the first one

	refs []freshet.PostRef
	last freshet.ID // only ids below it are still candidates
	more bool       // something visible follows the refs
	cut  bool       // the budget is spent
}

var nobody freshet.Relations

func newScan(q feed.Query, relations *freshet.Relations, dead *table) scan {
	if relations == nil {
		relations = &nobody
	}
	s := scan{
		reader:    q.Reader,
		relations: relations,
		dead:      dead,
		limit:     max(1, q.Limit),
		fromTop:   q.Before <= 0,
		refs:      q.Into[:0],
		last:      q.Before,
	}
	s.budget = feed.ScanLimit * s.limit
	if s.fromTop {
		s.last = math.MaxInt64
	}
	return s
}

// take looks at a candidate and reports whether the page is complete. A
// candidate may come twice in a row: in flight and from a timeline.
func (s *scan) take(post freshet.PostRef) (complete bool) {
	if post.ID >= s.last {
		return false
	}
	s.last = post.ID
	if s.dead.has(post.ID) || !s.concerns(post.Author) {
		return false
	}
	if post.Author == s.reader || !s.relations.Hides(post.Author) {
		if len(s.refs) == s.limit {
			s.more = true
			return true
		}
		if cap(s.refs) == 0 {
			s.refs = make([]freshet.PostRef, 0, min(s.limit, 128))
		}
		s.refs = append(s.refs, post)
	}
	s.budget--
	s.cut = s.budget == 0
	return s.cut
}

// concerns reports whether an author's posts are candidates at all. Timelines
// and pulls may hold others for a moment: a fan-out that read the followers
// before one of them left delivers after.
func (s *scan) concerns(author freshet.ID) bool {
	return author == s.reader || s.relations.Follows(author)
}

// page gives what was gathered. A full page goes on below its last post, also
// where more was scanned, so that every mode says the same.
func (s *scan) page() feed.Page {
	p := feed.Page{Refs: s.refs}
	switch {
	case !s.more && !s.cut:
	case len(s.refs) == s.limit:
		p.Scanned = s.refs[s.limit-1].ID
	default:
		p.Scanned = s.last
	}
	return p
}
