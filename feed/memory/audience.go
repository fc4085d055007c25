package memory

import (
	"slices"
	"sync"

	"github.com/freshet/freshet"
)

// audiences are the readers to whom an author's posts are delivered: those who
// have a timeline and do not merge the author at read time. A fan-out walks them
// and not the followers, so that it costs nothing for the dormant.
//
// A build enters its reader before it reads the source, and a fan-out lists the
// readers after its post was committed: who is not listed finds the post.
//
//	build:    opens timeline ── enters audiences ──── source is read ── installs
//	fan-out:                                 │ post commits ── lists the audience
//
// Who is in an audience without need (the timeline was dropped, the author is
// not followed any more) costs a delivery in vain.
type audiences struct {
	// wants reports whether a timeline is there and is to get an author's posts.
	wants   func(h handle, author freshet.ID, generation uint64) bool
	stripes [64]audienceStripe
}

type audienceStripe struct {
	mu sync.Mutex
	of map[freshet.ID]*audience // by author
	_  [64]byte
}

// audience is the readers of one author. The list is only appended to, so that
// who holds it can walk it without the lock.
type audience struct {
	generation uint64 // of the timelines; those of an earlier one are gone
	readers    []handle
	kept       int // how many were found to be wanted when the list was made
	vain       int // deliveries since then
}

// handle names a timeline in four bytes: its shard, its slot there, and which of
// the timelines that have had the slot it is, as far as that fits. One that fits
// another in their place brings that one posts which no read shows.
type handle uint32

const (
	handleSlots = 22 // bits
	handleTurns = 4
	maxReaders  = 1 << handleSlots // of a shard
)

func newHandle(shard int, slot uint32, turn uint8) handle {
	return handle(uint32(shard)<<(handleSlots+handleTurns) | uint32(turn)%(1<<handleTurns)<<handleSlots | slot)
}

func (h handle) shard() int   { return int(h >> (handleSlots + handleTurns)) }
func (h handle) slot() uint32 { return uint32(h) % maxReaders }
func (h handle) turn() uint8  { return uint8(h >> handleSlots % (1 << handleTurns)) }

const (
	smallAudience = 16
	tidyLooks     = 4
)

func newAudiences(wants func(h handle, author freshet.ID, generation uint64) bool) *audiences {
	a := &audiences{wants: wants}
	for i := range a.stripes {
		a.stripes[i].of = make(map[freshet.ID]*audience)
	}
	return a
}

func (a *audiences) stripe(author freshet.ID) *audienceStripe { return &a.stripes[mix(author)>>58] }

// enter adds the timeline of a generation to the audience of an author. It must
// be there: a list that has doubled is made anew of those who are wanted.
func (a *audiences) enter(h handle, generation uint64, author freshet.ID) {
	s := a.stripe(author)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[author]
	switch {
	case x == nil:
		a.tidy(s, generation)
		x = &audience{generation: generation}
		s.of[author] = x
	case x.generation > generation:
		return // it is gone already
	case x.generation < generation:
		*x = audience{generation: generation}
	}
	if n := len(x.readers); n == cap(x.readers) && n >= smallAudience {
		if n >= 2*x.kept {
			a.renew(author, x)
		} else {
			x.readers = roomy(x.readers)
		}
	}
	x.readers = append(x.readers, h)
}

// tidy looks at a few of the audiences, whichever the map gives first, and takes
// out those whose readers have all gone. As it is done for each that is made, those
// that are there for nothing stay few.
func (a *audiences) tidy(s *audienceStripe, generation uint64) {
	looked := 0
	for author, x := range s.of {
		if looked++; looked > tidyLooks {
			return
		}
		if x.generation == generation && len(x.readers) <= 4*smallAudience {
			a.renew(author, x)
		}
		if x.generation < generation || x.generation == generation && len(x.readers) == 0 {
			delete(s.of, author)
		}
	}
}

// forget takes out the audiences of generations before one.
func (a *audiences) forget(generation uint64) {
	for i := range a.stripes {
		s := &a.stripes[i]
		s.mu.Lock()
		for author, x := range s.of {
			if x.generation < generation {
				delete(s.of, author)
			}
		}
		s.mu.Unlock()
	}
}

// of gives the timelines of a generation to which an author's posts go, as of
// now. It is not changed.
func (a *audiences) of(author freshet.ID, generation uint64) []handle {
	s := a.stripe(author)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[author]; x != nil && x.generation == generation {
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
	if a.renew(author, x); x.kept == 0 {
		delete(s.of, author)
	}
}

// renew leaves those readers who want an author's posts.
func (a *audiences) renew(author freshet.ID, x *audience) {
	kept := slices.DeleteFunc(slices.Clone(x.readers), func(h handle) bool { return !a.wants(h, author, x.generation) })
	x.readers, x.kept, x.vain = roomy(kept), len(kept), 0
}

// roomy gives a copy with room for an eighth more.
func roomy(readers []handle) []handle {
	return append(make([]handle, 0, len(readers)+len(readers)/8+1), readers...)
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
