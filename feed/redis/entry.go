package redis

import (
	"encoding/binary"
	"strings"

	"github.com/freshet/freshet"
)

// entry is an element of a stripe's log, in the order in which its owner applies them. A log begins with a marker: without it
// nothing of the stripe is trusted.
//
//	'E' epoch, run_id   the marker: by whose timelines the stripe is read, and the server's process that they live in
//	'P' post, author    a committed post
//	'O' holder, token   somebody builds the timeline of a holder
//	'A' holder, token   its authors are known: their posts are collected from here on
//	'F' holder, token   it is filled
//	'D' holder          it is not what it should be any more
type entry struct {
	kind byte
	a, b uint64
}

const (
	marker    = 'E'
	published = 'P'
	opened    = 'O'
	addressed = 'A'
	filled    = 'F'
	dropped   = 'D'

	entryLen = 1 + 8 + 8
)

func (e entry) String() string {
	var b [entryLen]byte
	b[0] = e.kind
	binary.BigEndian.PutUint64(b[1:], e.a)
	binary.BigEndian.PutUint64(b[9:], e.b)
	return string(b[:])
}

// parseEntry reads an element; ok is false for what this version does not know, and for markers after the first.
func parseEntry(text string) (e entry, ok bool) {
	if len(text) != entryLen || strings.IndexByte("POAFD", text[0]) < 0 {
		return entry{}, false
	}
	return entry{text[0], number(text[1:]), number(text[9:])}, true
}

// parseMarker gives the epoch of a log that begins with an element.
func parseMarker(text string) (epoch uint64, ok bool) {
	if len(text) <= 9 || text[0] != marker {
		return 0, false
	}
	return number(text[1:]), true
}

// markerOf is the marker of an epoch but for the run_id, which only the server knows.
func markerOf(epoch uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{marker}, epoch))
}

func number(text string) uint64 { return binary.BigEndian.Uint64([]byte(text[:8])) }

func (e entry) post() freshet.PostRef {
	return freshet.PostRef{ID: freshet.ID(e.a), Author: freshet.ID(e.b)}
}

func (e entry) holder() holder { return holder(e.a) }

// holder is whose timeline it is: a reader by the id, an author's ring (its newest posts, for those who merge them) by the
// negated id.
type holder freshet.ID

func reader(id freshet.ID) holder { return holder(id) }
func ringOf(id freshet.ID) holder { return -holder(id) }

// isRing tells whose newest posts these are.
func (h holder) isRing() (author freshet.ID, yes bool) { return freshet.ID(-h), h < 0 }
