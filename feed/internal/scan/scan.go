// Package scan makes one page of candidates that come in falling order of id,
// from wherever they come. That it alone decides what shows, and where a page
// ends, is why all modes on all engines give equal pages.
//
//	s := scan.New(query, relations)
//	for _, post := range candidates { // that are there: not deleted
//		if s.Take(post) { break }
//	}
//	return s.Page()
package scan

import (
	"math"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// Scan is a page that is being made. It is for one goroutine.
type Scan struct {
	Reader    freshet.ID
	Relations *freshet.Relations // not nil
	Limit     int
	Budget    int  // candidates that may still be looked at
	FromTop   bool // the page is the first one

	Refs []freshet.PostRef
	Last freshet.ID // only ids below it are still candidates

	more bool // something visible follows the refs
	cut  bool // the budget is spent
}

// Nobody are the relations of who has none.
var Nobody freshet.Relations

// New begins a page.
func New(q feed.Query, relations *freshet.Relations) Scan {
	if relations == nil {
		relations = &Nobody
	}
	s := Scan{
		Reader:    q.Reader,
		Relations: relations,
		Limit:     max(1, q.Limit),
		FromTop:   q.Before <= 0,
		Refs:      q.Into[:0],
		Last:      q.Before,
	}
	s.Budget = feed.ScanLimit * s.Limit
	if s.FromTop {
		s.Last = math.MaxInt64
	}
	return s
}

// Take looks at a candidate and reports whether the page is complete. A
// candidate may come twice in a row: in flight and from a timeline.
func (s *Scan) Take(post freshet.PostRef) (complete bool) {
	if post.ID >= s.Last {
		return false
	}
	s.Last = post.ID
	if !s.Concerns(post.Author) {
		return false
	}
	if post.Author == s.Reader || !s.Relations.Hides(post.Author) {
		if len(s.Refs) == s.Limit {
			s.more = true
			return true
		}
		if cap(s.Refs) == 0 {
			s.Refs = make([]freshet.PostRef, 0, min(s.Limit, 128))
		}
		s.Refs = append(s.Refs, post)
	}
	s.Budget--
	s.cut = s.Budget == 0
	return s.cut
}

// Concerns reports whether an author's posts are candidates at all. Timelines
// and pulls may hold others for a moment: a fan-out that read the followers
// before one of them left delivers after.
func (s *Scan) Concerns(author freshet.ID) bool {
	return author == s.Reader || s.Relations.Follows(author)
}

// Missing is how many candidates complete the page at least: one more than it
// has room for tells whether something follows.
func (s *Scan) Missing() int { return s.Limit + 1 - len(s.Refs) }

// Page gives what was gathered. A full page goes on below its last post, also
// where more was scanned, so that every mode says the same.
func (s *Scan) Page() feed.Page {
	p := feed.Page{Refs: s.Refs}
	switch {
	case !s.more && !s.cut:
	case len(s.Refs) == s.Limit:
		p.Scanned = s.Refs[s.Limit-1].ID
	default:
		p.Scanned = s.Last
	}
	return p
}
