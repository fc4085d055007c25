package memory

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
)

// inFlight holds the posts that are committed but not delivered everywhere.
// They lie by author, so that a read asks for whom it follows or looks at all
// who have posts in flight, whichever are fewer.
type inFlight struct {
	bound   int
	posts   atomic.Int64
	authors atomic.Int64
	stripes [16]stripe
}

// stripe is a part of the authors.
type stripe struct {
	mu     sync.RWMutex
	posts  map[freshet.ID][]freshet.ID // by author; ids rise
	landed landed
	_      [64]byte
}

// landed remembers posts whose fan-out ended before they were published, which
// a quick worker can do: nobody would take them out of the set again. The
// oldest is forgotten first; a post that stays in flight for no reason costs a
// place, and nothing else.
type landed struct {
	ids  []freshet.ID
	next int
}

const landedKept = 256

func newInFlight(bound int) *inFlight {
	f := &inFlight{bound: bound}
	for i := range f.stripes {
		f.stripes[i].posts = make(map[freshet.ID][]freshet.ID)
	}
	return f
}

func (f *inFlight) stripe(author freshet.ID) *stripe { return &f.stripes[mix(author)>>60] }

// enter adds a post, and reports false if there is no room for it.
func (f *inFlight) enter(post freshet.PostRef) bool {
	s := f.stripe(post.Author)
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.posts[post.Author]
	at, found := slices.BinarySearch(ids, post.ID)
	if found || s.landed.take(post.ID) {
		return true
	}
	if f.posts.Add(1) > int64(f.bound) {
		f.posts.Add(-1)
		return false
	}
	if len(ids) == 0 {
		f.authors.Add(1)
	}
	s.posts[post.Author] = slices.Insert(ids, at, post.ID)
	return true
}

// land takes a post out.
func (f *inFlight) land(post freshet.PostRef) {
	s := f.stripe(post.Author)
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.posts[post.Author]
	at, found := slices.BinarySearch(ids, post.ID)
	if !found {
		s.landed.put(post.ID)
		return
	}
	f.posts.Add(-1)
	if len(ids) > 1 {
		s.posts[post.Author] = slices.Delete(ids, at, at+1)
		return
	}
	f.authors.Add(-1)
	delete(s.posts, post.Author)
}

func (f *inFlight) has(post freshet.PostRef) bool {
	s := f.stripe(post.Author)
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, found := slices.BinarySearch(s.posts[post.Author], post.ID)
	return found
}

// clear empties the set and calls during while no post can enter.
func (f *inFlight) clear(during func()) {
	for i := range f.stripes {
		f.stripes[i].mu.Lock()
		defer f.stripes[i].mu.Unlock()
	}
	during()
	for i := range f.stripes {
		clear(f.stripes[i].posts)
	}
	f.posts.Store(0)
	f.authors.Store(0)
}

// look appends the posts in flight that are candidates of a scan, newest first.
func (f *inFlight) look(s *page, into []freshet.PostRef) []freshet.PostRef {
	authors := int(f.authors.Load())
	if authors == 0 {
		return into
	}
	if authors <= len(s.Relations.Following) {
		for i := range f.stripes {
			into = f.stripes[i].lookAll(s, into)
		}
	} else {
		into = f.lookAt(s, s.Reader, into)
		for _, author := range s.Relations.Following {
			if author != s.Reader {
				into = f.lookAt(s, author, into)
			}
		}
	}
	slices.SortFunc(into, func(a, b freshet.PostRef) int { return byID(b, a) })
	return into
}

func (f *inFlight) lookAt(s *page, author freshet.ID, into []freshet.PostRef) []freshet.PostRef {
	t := f.stripe(author)
	t.mu.RLock()
	defer t.mu.RUnlock()
	return s.candidates(author, t.posts[author], into)
}

func (t *stripe) lookAll(s *page, into []freshet.PostRef) []freshet.PostRef {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for author, ids := range t.posts {
		if s.Concerns(author) {
			into = s.candidates(author, ids, into)
		}
	}
	return into
}

// candidates appends those of an author's posts that the page can reach.
func (s *page) candidates(author freshet.ID, ids []freshet.ID, into []freshet.PostRef) []freshet.PostRef {
	end, _ := slices.BinarySearch(ids, s.Last)
	for _, id := range ids[:end] {
		into = append(into, freshet.PostRef{ID: id, Author: author})
	}
	return into
}

func (l *landed) put(id freshet.ID) {
	if len(l.ids) < landedKept {
		l.ids = append(l.ids, id)
		return
	}
	l.ids[l.next] = id
	l.next = (l.next + 1) % landedKept
}

// take forgets a post and reports whether it was remembered.
func (l *landed) take(id freshet.ID) bool {
	i := slices.Index(l.ids, id)
	if i >= 0 {
		l.ids[i] = 0
	}
	return i >= 0
}
