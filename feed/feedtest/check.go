package feedtest

import (
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// read reads one page of a subject and compares it with the model. before and
// next are the model's numbers.
func (r *runner) read(s *subject, reader int, before freshet.ID, limit int) (next freshet.ID, err error) {
	page, err := s.system.Page(reader, s.id(before), limit)
	if err != nil {
		return 0, err
	}
	next, ok := s.numbers[page.Next]
	if page.Next != 0 && !ok {
		return 0, fmt.Errorf("the page goes on below %s, which is no post", page.Next)
	}
	got := make([]Post, len(page.Posts))
	for i, p := range page.Posts {
		got[i] = Post{ID: s.numbers[p.ID], Author: freshet.ID(p.Author), Text: p.Text, Edited: p.Edited}
	}
	if err := r.model.check(freshet.ID(reader), before, limit, got, next); err != nil {
		return 0, fmt.Errorf("user %d reads %d below %d: %w", reader, limit, before, err)
	}
	return next, nil
}

// check holds one page against the model. A page must be the next part of what
// shows; it may be short of its limit, or go on to nothing, only where the scan
// was cut.
func (m *Model) check(reader, before freshet.ID, limit int, got []Post, next freshet.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var want []Post
	candidates := 0 // down to next
	for _, p := range m.below(before) {
		if m.shows(reader, p) {
			want = append(want, p)
		}
		if p.ID >= next && m.concerns(reader, p) {
			candidates++
		}
	}
	if len(got) > limit {
		return fmt.Errorf("%d posts came where at most %d were asked for", len(got), limit)
	}
	for i, p := range got {
		if i >= len(want) || p != want[i] {
			return fmt.Errorf("post %d of the page is wrong\n\tgot  %s\n\twant %s", i, list(got), list(want[:min(len(want), limit)]))
		}
	}
	rest := want[len(got):]
	cut := candidates >= feed.ScanLimit*limit
	full := len(got) == limit
	switch {
	case next == 0 && len(rest) > 0:
		return fmt.Errorf("the feed ends, but these follow\n\tgot  %s\n\twant %s", list(got), list(rest))
	case next == 0:
		return nil
	case full && next != got[limit-1].ID:
		return fmt.Errorf("the full page goes on below %d and not below its last post\n\tgot  %s", next, list(got))
	case full && len(rest) == 0 && m.candidates(reader, before) < feed.ScanLimit*limit:
		return fmt.Errorf("the page goes on below %d, but nothing follows\n\tgot  %s", next, list(got))
	case !full && !cut:
		return fmt.Errorf("the page is short and goes on below %d after %d candidates\n\tgot  %s\n\twant %s",
			next, candidates, list(got), list(want[:min(len(want), limit)]))
	case !full && len(rest) > 0 && rest[0].ID >= next:
		return fmt.Errorf("the short page goes on below %d and skips %d\n\tgot  %s", next, rest[0].ID, list(got))
	case before > 0 && next >= before:
		return fmt.Errorf("the page goes on below %d, which is no progress", next)
	}
	return nil
}

func (m *Model) candidates(reader, before freshet.ID) (n int) {
	for _, p := range m.below(before) {
		if m.concerns(reader, p) {
			n++
		}
	}
	return n
}

func list(posts []Post) string {
	s := "["
	for i, p := range posts {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%d by %d %q", p.ID, p.Author, p.Text)
		if p.Edited {
			s += " edited"
		}
	}
	return s + "]"
}
