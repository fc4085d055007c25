package redis

import (
	"slices"
	"time"

	"github.com/freshet/freshet"
)

// stripe is what its owner knows of it: who has a timeline, where the next id goes, and whose posts go there. It is for the owner's
// goroutine alone, and lasts as long as the epoch.
type stripe struct {
	number   int
	epoch    uint64 // 0: it is not owned
	members  map[holder]*member
	order    []*member // as they were opened, gone ones too
	audience map[freshet.ID][]*member
	entered  recent     // posts that were delivered
	newest   freshet.ID // the highest id that was delivered, or filled
	applied  int        // entries behind the marker that are done
	trims    []trim     // of them
}

// trim says when so many entries had been applied.
type trim struct {
	entries int
	at      time.Time
}

// member is a holder's timeline.
type member struct {
	holder
	token     uint64
	state     state
	authors   []freshet.ID
	collected []freshet.ID // while it is built
	head      int          // where the next id goes
	places    int
	length    int // the most places it may have
	size      int // of the ring, in bytes
}

type state uint8

const (
	building state = iota // nothing is delivered yet, or it is collected
	ready
	gone
)

func newStripe(number int, epoch uint64) *stripe {
	return &stripe{number: number, epoch: epoch, members: make(map[holder]*member), audience: make(map[freshet.ID][]*member)}
}

// open makes a member anew, and gives those that had to go: the last one of the holder, and whoever was there first if there are
// too many.
func (t *stripe) open(h holder, token uint64, length, most int) (dropped []*member) {
	if m := t.drop(h); m != nil {
		dropped = append(dropped, m)
	}
	for len(t.members) >= most && len(t.order) > 0 {
		first := t.order[0]
		t.order = t.order[1:]
		if first.state != gone {
			dropped = append(dropped, t.drop(first.holder))
		}
	}
	m := &member{holder: h, token: token, length: length}
	t.members[h] = m
	if t.order = append(t.order, m); len(t.order) > 2*len(t.members)+1000 {
		t.order = slices.DeleteFunc(t.order, func(m *member) bool { return m.state == gone })
	}
	return dropped
}

// find gives the member of a holder that is being built under a token, or nil.
func (t *stripe) find(h holder, token uint64) *member {
	if m := t.members[h]; m != nil && m.token == token && m.state == building {
		return m
	}
	return nil
}

// address has a member get the posts of authors from here on.
func (t *stripe) address(m *member, authors []freshet.ID) {
	m.authors = authors
	for _, a := range authors {
		list := t.audience[a]
		if len(list) == cap(list) && len(list) > 0 { // those who are gone make room first: the author may never post
			if list = t.of(a); len(list) > cap(list)*3/4 {
				list = slices.Grow(list, len(list))
			}
		}
		t.audience[a] = append(list, m)
	}
}

// drop takes a member out, if there is one. Audiences let go of it when they are walked, or grow.
func (t *stripe) drop(h holder) *member {
	m := t.members[h]
	if m == nil {
		return nil
	}
	delete(t.members, h)
	m.state, m.collected = gone, nil
	for _, a := range m.authors {
		if list := t.audience[a]; len(list) == 1 {
			delete(t.audience, a)
		}
	}
	m.authors = nil
	return m
}

// of gives who gets an author's posts.
func (t *stripe) of(author freshet.ID) []*member {
	list := t.audience[author]
	live := list[:0]
	for _, m := range list {
		if m.state != gone {
			live = append(live, m)
		}
	}
	if len(live) == 0 {
		delete(t.audience, author)
		return nil
	}
	clear(list[len(live):])
	t.audience[author] = live
	return live
}

// late reports whether a post comes after one that is so much newer that a ring would not be in order any more.
func (t *stripe) late(post freshet.ID, disorder freshet.ID) bool { return post < t.newest-disorder }

// next gives where a ready member's next id goes; full: where it has to grow first.
func (m *member) next() (at int, full bool) {
	if m.head == m.places && m.places < m.length {
		return 0, true
	}
	at = m.head % m.places
	m.head++
	if m.head == 2*m.places {
		m.head = m.places
	}
	return at, false
}
