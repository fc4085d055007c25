package memory

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

// page is a page that is being made, and what was removed when it began.
type page struct {
	scan.Scan
	dead *table
}

func newPage(q feed.Query, relations *freshet.Relations, dead *table) page {
	return page{scan.New(q, relations), dead}
}

// take looks at a candidate and reports whether the page is complete.
func (s *page) take(post freshet.PostRef) (complete bool) {
	if s.dead.has(post.ID) {
		s.Last = min(s.Last, post.ID)
		return false
	}
	return s.Take(post)
}
