package feedtest

import (
	"sync"
	"sync/atomic"
)

// A concurrent run is judged by what each write may have looked like to a read
// that overlaps it (Lamport's regular register):
//
//	write follow:      ├──────────┤
//	read:       ├─┤                              must not see it
//	read:            ├──────┤                    may or may not
//	read:                           ├────┤       must see it
//
// clock numbers the moments at which operations begin and end.
type clock struct{ now atomic.Int64 }

func (c *clock) tick() int64 { return c.now.Add(1) }

// span is how long an operation took.
type span struct{ begin, end int64 }

// write is one write of a register.
type write[V comparable] struct {
	span
	value V
}

// register is one fact that users change: an edge, a post's being there, its
// text. Before all writes it holds the zero value.
type register[V comparable] struct {
	mu     sync.Mutex
	writes []write[V]
}

func (r *register[V]) wrote(s span, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, write[V]{s, value})
}

// may reports whether a read may have seen a value: whether there is a write of
// it that began before the read ended, and no other lies wholly between the two.
func (r *register[V]) may(read span, value V) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := int64(-1) // beginning of the last write that was over before the read began
	for _, w := range r.writes {
		if w.end < read.begin {
			newest = max(newest, w.begin)
		}
	}
	var zero V
	if value == zero && newest < 0 {
		return true
	}
	for _, w := range r.writes {
		if w.value == value && w.begin < read.end && w.end >= newest {
			return true
		}
	}
	return false
}

// history is all that was done in a concurrent run.
type history struct {
	clock
	mu    sync.Mutex
	edges map[edge]*register[bool]
	posts []*record
}

// record is one post of a history.
type record struct {
	PageItem
	there register[bool]
	text  register[string]
}

func (h *history) edge(r relation, from, to int) *register[bool] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.edges[edgeOf(r, from, to)]
}

// must and may report whether a post by author is sure to show, or can show, in
// a page of reader by what is known of their edges.
func (h *history) must(reader, author int, read span) bool {
	return reader == author || !h.edge(follows, reader, author).may(read, false) &&
		!h.edge(mutes, reader, author).may(read, true) &&
		!h.edge(blocks, reader, author).may(read, true) && !h.edge(blocks, author, reader).may(read, true)
}

func (h *history) may(reader, author int, read span) bool {
	return reader == author || h.edge(follows, reader, author).may(read, true) &&
		h.edge(mutes, reader, author).may(read, false) &&
		h.edge(blocks, reader, author).may(read, false) && h.edge(blocks, author, reader).may(read, false)
}
