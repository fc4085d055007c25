package cache

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/freshet/freshet/position"
	"github.com/klauspost/compress/s2"
)

// An envelope is a value, or the knowledge that there is none, as the remote layer holds it:
//
//	stamp 16 │ magic, format 2 │ flags 1 │ schema uvarint │ created, fresh until 8+8, ms │ cost uvarint, µs │ epoch 8 │
//	low, high: count, (system 8, timeline 4, offset 8) … │ tags: count, (length, bytes) … │ key: length, bytes │ payload │ CRC-32C 4
//
// It bears the key it was stored under, because a layer that hashes keys, or a client that mixes up replies, must not make
// one user's value another's. What does not decode to the last byte is nobody's envelope, and a miss.
type envelope struct {
	key        string
	schema     uint64         // Space.Version: what bears another one was written by another version of the program
	found      bool           // or an absence
	created    time.Time      // when the load began, on the remote layer's clock
	freshUntil time.Time      // on that clock too
	cost       time.Duration  // of the load
	epoch      uint64         // of tags, which the loader's node knew when the load began
	low, high  position.Token // where the source was read; empty: not known
	tags       tagNames
	payload    []byte
}

const (
	envelopeMagic  = 0xF7
	envelopeFormat = 2

	flagFound      = 1 << 0
	flagCompressed = 1 << 1
	flagsKnown     = flagFound | flagCompressed

	// compressFrom is the payload from which on s2 is worth its CPU (1.5 µs for 3 KB, which it makes half as long).
	compressFrom = 1 << 10

	// envelopeOverhead bounds what surrounds key, tags and payload.
	envelopeOverhead = StampSize + 3 + 10 + 16 + 10 + 8 + 2*(1+position.MaxSystems*20) + 10 + 10 + 4
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errEnvelope = errors.New("not an envelope of this program")
)

// append writes e with a fresh stamp.
func (e *envelope) append(buf []byte) []byte {
	start := len(buf)
	var stamp Stamp
	rand.Read(stamp[:])
	buf = append(buf, stamp[:]...)
	var flags byte
	if e.found {
		flags |= flagFound
	}
	payload := e.payload
	if len(payload) >= compressFrom {
		if packed := s2.Encode(nil, payload); len(packed) < len(payload) {
			payload, flags = packed, flags|flagCompressed
		}
	}
	buf = append(buf, envelopeMagic, envelopeFormat, flags)
	buf = binary.AppendUvarint(buf, e.schema)
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.created.UnixMilli()))
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.freshUntil.UnixMilli()))
	buf = binary.AppendUvarint(buf, uint64(e.cost.Microseconds()))
	buf = binary.BigEndian.AppendUint64(buf, e.epoch)
	buf = appendToken(appendToken(buf, e.low), e.high)
	if len(e.tags) == 0 {
		e.tags = tagNamesOf(nil)
	}
	buf = append(buf, e.tags...)
	buf = appendChunk(buf, e.key)
	buf = append(buf, payload...)
	return binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli))
}

// parseEnvelope reads what append wrote under key. The payload lies in data unless it was compressed; limit bounds what it
// may be unpacked to.
func parseEnvelope(data []byte, key string, limit int) (e envelope, err error) {
	if len(data) < StampSize+3+4 {
		return e, errEnvelope
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return e, errEnvelope
	}
	r := fieldReader{data: body[StampSize:]}
	magic, format, flags := r.byte(), r.byte(), r.byte()
	if magic != envelopeMagic || format != envelopeFormat || flags&^byte(flagsKnown) != 0 {
		return e, errEnvelope
	}
	e.found = flags&flagFound != 0
	e.schema = r.uvarint()
	e.created, e.freshUntil = time.UnixMilli(int64(r.uint64())), time.UnixMilli(int64(r.uint64()))
	e.cost = time.Duration(min(r.uvarint(), uint64(time.Hour/time.Microsecond))) * time.Microsecond
	e.epoch = r.uint64()
	e.low, e.high = r.token(), r.token()
	tags := r.data
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.chunk()
	}
	e.tags = tagNames(tags[:len(tags)-len(r.data)])
	if text := r.chunk(); r.bad || string(text) != key {
		return e, errEnvelope
	}
	e.key = key
	e.payload = r.data
	if flags&flagCompressed != 0 {
		if n, err := s2.DecodedLen(r.data); err != nil || n > limit {
			return e, errEnvelope
		}
		if e.payload, err = s2.Decode(nil, r.data); err != nil {
			return e, errEnvelope
		}
	}
	return e, nil
}

// tagNames are the tags of an envelope as they lie in it: a hit has no use for them, as it asks its value.
type tagNames []byte

func tagNamesOf(names []string) tagNames {
	list := binary.AppendUvarint(nil, uint64(len(names)))
	for _, name := range names {
		list = appendChunk(list, name)
	}
	return list
}

// list returns the names of an envelope that has been parsed.
func (t tagNames) list() (names []string) {
	r := fieldReader{data: t}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		names = append(names, string(r.chunk()))
	}
	return names
}
