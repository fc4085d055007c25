package httpchannel

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// version is the first byte of what nodes send each other and of the board.
const version = 1

const (
	maxKey    = 64 << 10 // a longer key, or tag, ends the log: all followers are told Lost
	maxURL    = 512
	maxAsk    = 1 << 10
	maxBatch  = 1 << 20          // bytes of events in an answer, unless the first alone takes more
	maxAnswer = maxBatch + 1<<18 // what is read of one
)

type kind byte

const (
	askEvents  kind = iota + 1 // what was fenced after a number; waits for it
	askKnow                    // take me for a peer: my fences are to be asked for
	askLeave                   // I do not listen any more
	askConfirm                 // answer when all your followers have been told what you have written
)

// fromNow is after everything: the answer has a gap and nothing else, and what comes is told after it.
const fromNow = 1<<64 - 1

// ask is what one node asks another.
type ask struct {
	kind  kind
	from  cache.ID
	to    cache.ID      // whom the asker takes the other for
	after uint64        // askEvents: the asker's listener was told all up to here, or fromNow
	wait  time.Duration // askEvents: how long to wait for something to tell; in milliseconds
	term  uint32        // askKnow: of the asker, see member
	url   string        // askKnow: where the asker is
}

func (a ask) append(b []byte) []byte {
	b = append(b, version, byte(a.kind))
	b = append(b, a.from[:]...)
	b = append(b, a.to[:]...)
	b = binary.BigEndian.AppendUint64(b, a.after)
	b = binary.BigEndian.AppendUint32(b, uint32(a.wait/time.Millisecond))
	b = binary.BigEndian.AppendUint32(b, a.term)
	return appendText(b, a.url)
}

func parseAsk(data []byte) (a ask, err error) {
	r, err := open(data)
	if err != nil {
		return ask{}, err
	}
	a.kind = kind(r.byte())
	a.from, a.to = r.id(), r.id()
	a.after = r.uint64()
	a.wait = time.Duration(r.uint32()) * time.Millisecond
	a.term = r.uint32()
	a.url = r.text(maxURL)
	if !r.done() || a.kind < askEvents || a.kind > askConfirm || (a.kind == askKnow) != (a.url != "") {
		return ask{}, errMalformed
	}
	return a, nil
}

// open checks the version, which comes first in all versions.
func open(data []byte) (*reader, error) {
	r := &reader{rest: data}
	if v := r.byte(); v != version && !r.bad {
		return nil, fmt.Errorf("%w: %d, and this node's is %d\nhint: nodes of one board are to run one release", ErrVersion, v, version)
	}
	return r, nil
}

// event is what listeners are to be told: of a fenced key, or of a tag's epoch.
type event struct {
	key   string
	tag   string
	epoch uint64 // zero: of a key
}

func (e event) size() int { return 1 + 8 + 4 + len(e.key) + len(e.tag) }

// answer is what it is told.
type answer struct {
	from      cache.ID
	gap       bool // events are missing before upTo: the asker has to take all for fenced
	left      bool // there will be nothing after upTo
	listening bool
	upTo      uint64
	applied   position.Token
	events    []event
}

const (
	flagGap = 1 << iota
	flagLeft
	flagListening
)

func (a answer) append(b []byte) []byte {
	flags := byte(0)
	for i, set := range []bool{a.gap, a.left, a.listening} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, version, flags)
	b = append(b, a.from[:]...)
	b = binary.BigEndian.AppendUint64(b, a.upTo)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.applied)))
	for _, p := range a.applied {
		b = binary.BigEndian.AppendUint64(b, p.System)
		b = binary.BigEndian.AppendUint32(b, p.Timeline)
		b = binary.BigEndian.AppendUint64(b, p.Offset)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.events)))
	for _, e := range a.events {
		if e.epoch == 0 {
			b = appendText(append(b, 'k'), e.key)
		} else {
			b = appendText(binary.BigEndian.AppendUint64(append(b, 't'), e.epoch), e.tag)
		}
	}
	return b
}

func parseAnswer(data []byte) (a answer, err error) {
	r, err := open(data)
	if err != nil {
		return answer{}, err
	}
	flags := r.byte()
	a.gap, a.left, a.listening = flags&flagGap != 0, flags&flagLeft != 0, flags&flagListening != 0
	a.from = r.id()
	a.upTo = r.uint64()
	for range r.count(20, position.MaxSystems) {
		p := position.Position{System: r.uint64(), Timeline: r.uint32(), Offset: r.uint64()}
		if n := len(a.applied); p.IsZero() || n > 0 && a.applied[n-1].System >= p.System {
			r.bad = true
		}
		a.applied = append(a.applied, p)
	}
	n := r.count(5, maxAnswer)
	a.events = make([]event, 0, n)
	for range n {
		a.events = append(a.events, r.event())
	}
	if !r.done() || flags >= flagListening<<1 {
		return answer{}, errMalformed
	}
	return a, nil
}

func (r *reader) event() (e event) {
	switch r.byte() {
	case 'k':
		e.key = r.text(maxKey)
	case 't':
		e.epoch = r.uint64()
		e.tag = r.text(maxKey)
		r.bad = r.bad || e.epoch == 0 || e.epoch == cache.Unknown
	default:
		r.bad = true
	}
	return e
}
