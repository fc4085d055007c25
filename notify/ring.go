package notify

import (
	"sort"
	"time"
)

// ring holds the newest events by a number that rises by one with each.
type ring struct {
	events []*Event // by number modulo its length
	base   uint64   // of the oldest
	next   uint64   // of the event to come
}

func newRing(size int) ring { return ring{events: make([]*Event, size)} }

func (r *ring) at(seq uint64) *Event { return r.events[seq%uint64(len(r.events))] }

func (r *ring) full() bool { return r.next-r.base == uint64(len(r.events)) }

func (r *ring) push(e *Event) {
	e.seq = r.next
	r.events[r.next%uint64(len(r.events))] = e
	r.next++
}

// pop removes the oldest.
func (r *ring) pop() *Event {
	i := r.base % uint64(len(r.events))
	e := r.events[i]
	r.events[i] = nil
	r.base++
	return e
}

// after is the number of the first event that a vector does not have. Ids rise in every shard from one event to the next.
func (r *ring) after(v vector) uint64 {
	n := sort.Search(int(r.next-r.base), func(i int) bool {
		w, _ := parseVector(r.at(r.base + uint64(i)).ID)
		return !v.reaches(w)
	})
	return r.base + uint64(n)
}

// since goes back from an event to the first that was heard after a time.
func (r *ring) since(seq uint64, t time.Time) uint64 {
	for seq > r.base && r.at(seq-1).heard.After(t) {
		seq--
	}
	return seq
}
