package memory

import (
	"slices"
	"sync"

	"github.com/freshet/freshet"
)

// audiences are the readers to whom an author's posts are delivered: those who
// have a timeline, and of whom this author is not merged at read time. A fan-out
// walks them and not the followers, so that it costs nothing for the dormant.
//
// A build enters its reader before it reads the source, and a fan-out lists the
// readers after its post was committed: who is not listed finds the post.
//
//	build:    opens timeline ── enters audience ──── source is read ── installs
//	fan-out:                                 │ post commits ── lists the audience
//
// Who is in an audience without need (the timeline was dropped, the author is
// not followed any more) costs a delivery in vain, and is taken out by it.
type audiences struct {
	// wants reports whether a reader has a timeline into which an author's posts are to come.
	wants   func(reader, author freshet.ID) bool
	stripes [64]audienceStripe
}

type audienceStripe struct {
	mu sync.Mutex
	of map[freshet.ID]*audience // by author
	_  [64]byte
}

// audience is the readers of one author, some perhaps twice. The list is only
// appended to, so that who holds it can walk it without the lock.
type audience struct {
	readers []freshet.ID
	vain    int // deliveries since the list was made
}

const smallAudience = 16

func newAudiences(wants func(reader, author freshet.ID) bool) *audiences {
	a := &audiences{wants: wants}
	for i := range a.stripes {
		a.stripes[i].of = make(map[freshet.ID]*audience)
	}
	return a
}

func (a *audiences) stripe(author freshet.ID) *audienceStripe { return &a.stripes[mix(author)>>58] }

// enter adds a reader to the audiences of authors. Its timeline must be there:
// a list that would have to grow is first made anew of those who are wanted.
func (a *audiences) enter(reader freshet.ID, authors []freshet.ID) {
	for _, author := range authors {
		a.enterOne(reader, author)
	}
}

func (a *audiences) enterOne(reader, author freshet.ID) {
	s := a.stripe(author)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[author]
	if x == nil {
		x = new(audience)
		s.of[author] = x
	}
	if n := len(x.readers); n == cap(x.readers) && n >= smallAudience {
		x.readers, x.vain = a.wanted(author, x.readers, 2), 0
	}
	x.readers = append(x.readers, reader)
}

// of gives the readers of an author as of now. It is not changed.
func (a *audiences) of(author freshet.ID) []freshet.ID {
	s := a.stripe(author)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[author]; x != nil {
		return x.readers
	}
	return nil
}

// inVain tells of n deliveries of an author's posts that met no timeline, or
// one that does not want them. With a quarter of the list it is made anew.
func (a *audiences) inVain(author freshet.ID, n int) {
	if n == 0 {
		return
	}
	s := a.stripe(author)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[author]
	if x == nil {
		return
	}
	if x.vain += n; x.vain*4 < len(x.readers) {
		return
	}
	if x.readers, x.vain = a.wanted(author, x.readers, 1), 0; len(x.readers) == 0 {
		delete(s.of, author)
	}
}

// wanted gives those of the readers who want an author's posts, each once, with
// room for times as many.
func (a *audiences) wanted(author freshet.ID, readers []freshet.ID, times int) []freshet.ID {
	readers = slices.Clone(readers)
	slices.Sort(readers)
	readers = slices.DeleteFunc(slices.Compact(readers), func(r freshet.ID) bool { return !a.wants(r, author) })
	return append(make([]freshet.ID, 0, len(readers)*times), readers...)
}

// size is how many entries there are.
func (a *audiences) size() (n int) {
	for i := range a.stripes {
		s := &a.stripes[i]
		s.mu.Lock()
		for _, x := range s.of {
			n += len(x.readers)
		}
		s.mu.Unlock()
	}
	return n
}
