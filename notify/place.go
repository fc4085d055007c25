package notify

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/freshet/freshet/position"
)

// place is a point in the feed of one shard: after the first n changes of a position. Those of one position are always heard
// together and in one order, so it means the same to every node.
type place struct {
	at position.Position
	n  uint32
}

// whole stands for all changes of a position.
const whole = math.MaxUint32

// before orders two places of one system.
func (p place) before(q place) bool {
	if order, _ := p.at.Compare(q.at); order != 0 {
		return order < 0
	}
	return p.n < q.n
}

// after is the place behind the next change, which stands at a position.
func (p place) after(at position.Position) place {
	if p.at != at || p.n == whole {
		return place{at, 1}
	}
	return place{at, p.n + 1}
}

// has reports whether nothing more can come at a position.
func (p place) has(at position.Position) bool {
	order, _ := at.Compare(p.at)
	return order < 0 || order == 0 && p.n == whole && at.System == p.at.System
}

// vector is a place for each shard.
type vector []place

const (
	idVersion = 1
	maxPlaces = position.MaxSystems
	maxID     = 2048 // characters, of an id that a client sends
)

// text is a vector as the id of an event: a version and for each shard its system, timeline, offset and n.
func (v vector) text() string {
	raw := make([]byte, 0, 1+len(v)*24)
	raw = append(raw, idVersion)
	for _, p := range v {
		raw = binary.BigEndian.AppendUint64(raw, p.at.System)
		raw = binary.AppendUvarint(raw, uint64(p.at.Timeline))
		raw = binary.AppendUvarint(raw, p.at.Offset)
		raw = binary.AppendUvarint(raw, uint64(p.n))
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseVector reads what text wrote. It is not signed: who makes one up is told events that are the reader's anyway.
func parseVector(text string) (v vector, ok bool) {
	if len(text) > maxID {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) == 0 || raw[0] != idVersion {
		return nil, false
	}
	for b := raw[1:]; len(b) > 0; {
		if len(b) < 8 || len(v) == maxPlaces {
			return nil, false
		}
		p := place{at: position.Position{System: binary.BigEndian.Uint64(b)}}
		b = b[8:]
		var numbers [3]uint64
		for i, most := range [...]uint64{math.MaxUint32, math.MaxUint64, whole} {
			n, size := binary.Uvarint(b)
			if size <= 0 || n > most {
				return nil, false
			}
			numbers[i], b = n, b[size:]
		}
		p.at.Timeline, p.at.Offset, p.n = uint32(numbers[0]), numbers[1], uint32(numbers[2])
		v = append(v, p)
	}
	return v, true
}

// token is what who has heard v has heard wholly.
func (v vector) token() (t position.Token) {
	for _, p := range v {
		t = t.Raise(p.at)
	}
	return t
}

// of is the place in a system's feed.
func (v vector) of(system uint64) (place, bool) {
	for _, p := range v {
		if p.at.System == system {
			return p, true
		}
	}
	return place{}, false
}

// reaches reports whether v has all that w has, as far as w says: of a shard that had not begun it says nothing.
func (v vector) reaches(w vector) bool {
	for _, q := range w {
		if p, ok := v.of(q.at.System); !q.at.IsZero() && (!ok || p.before(q)) {
			return false
		}
	}
	return true
}

// resumable reports whether everything after v is known to who knows all after floor and stands at now.
func (v vector) resumable(floor, now vector) bool {
	for i, f := range floor {
		p, ok := v.of(f.at.System)
		if !ok || p.at.Timeline != now[i].at.Timeline || p.before(f) {
			return false
		}
	}
	return true
}
