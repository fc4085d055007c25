package record

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/freshet/freshet/cache"
)

// The layout, in big endian. A part is there if its bit is set in parts, in this order:
//
//	magic 3 | parts 1 | CRC-32C of all but magic and itself 4 | epoch 8
//	fence   system 8, timeline 4, offset 8, until 8
//	lease   lease 16, holder 16, until 8
//	key     length 4, key           where the key that the server knows is only a hash
//	value   until 8, the value      to the end
//
// The checksum is there for foreign bytes and for what was cut or mixed up on its way, not against anybody.
const (
	magic = "fr\x01" // the last byte is the version

	hasFence = 1 << 0
	hasLease = 1 << 1
	hasKey   = 1 << 2
	hasValue = 1 << 3

	sumAt    = len(magic) + 1
	headSize = sumAt + 4 + 8

	// Overhead is the most by which a record is longer than its value and its key.
	Overhead = headSize + 28 + 40 + 4 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends r's bytes to b. A key is given where the server knows only a hash of it, and "" elsewhere.
func Append(b []byte, r Record, key string) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, parts(r, key), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	if r.FenceUntil != 0 {
		b = binary.BigEndian.AppendUint64(b, r.Fence.System)
		b = binary.BigEndian.AppendUint32(b, r.Fence.Timeline)
		b = binary.BigEndian.AppendUint64(b, r.Fence.Offset)
		b = appendEnd(b, r.FenceUntil)
	}
	if r.LeaseUntil != 0 {
		b = append(b, r.Lease[:]...)
		b = append(b, r.Holder[:]...)
		b = appendEnd(b, r.LeaseUntil)
	}
	if key != "" {
		b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
		b = append(b, key...)
	}
	if r.ValueUntil != 0 {
		b = appendEnd(b, r.ValueUntil)
		b = append(b, r.Value...)
	}
	binary.BigEndian.PutUint32(b[start+sumAt:], sum(b[start:]))
	return b
}

// Parse reads a record. It is ok only for the bytes that Append writes for it and this key; everything else is foreign, and
// to be taken for nothing. The record's Value is part of b.
func Parse(b []byte, key string) (r Record, ok bool) {
	if len(b) < headSize || string(b[:len(magic)]) != magic || binary.BigEndian.Uint32(b[sumAt:]) != sum(b) {
		return Record{}, false
	}
	bits := b[len(magic)]
	p := parser{rest: b[sumAt+4:]}
	r.Epoch = p.uint64()
	if bits&hasFence != 0 {
		r.Fence.System, r.Fence.Timeline, r.Fence.Offset = p.uint64(), p.uint32(), p.uint64()
		r.FenceUntil = p.end()
	}
	if bits&hasLease != 0 {
		r.Lease, r.Holder = p.id(), p.id()
		r.LeaseUntil = p.end()
	}
	var bears string
	if bits&hasKey != 0 {
		bears = string(p.take(p.uint32()))
	}
	if bits&hasValue != 0 {
		r.ValueUntil = p.end()
		r.Value, p.rest = p.rest, nil
		p.bad = p.bad || len(r.Value) < cache.StampSize
	}
	if p.bad || len(p.rest) > 0 || bears != key || bits != parts(r, key) {
		return Record{}, false
	}
	return r, true
}

func parts(r Record, key string) (bits byte) {
	for bit, has := range [...]bool{r.FenceUntil != 0, r.LeaseUntil != 0, key != "", r.ValueUntil != 0} {
		if has {
			bits |= 1 << bit
		}
	}
	return bits
}

// sum is the checksum of a record's bytes: of all but the magic and the four bytes that bear it.
func sum(b []byte) uint32 {
	s := crc32.Update(0, castagnoli, b[len(magic):sumAt])
	return crc32.Update(s, castagnoli, b[sumAt+4:])
}

func appendEnd(b []byte, until int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(until)) }

// parser takes a record's bytes from the front. Once it has run short all it gives is zero.
type parser struct {
	rest []byte
	bad  bool
}

var zeros [16]byte

func (p *parser) take(n uint32) []byte {
	if uint64(n) > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
		return zeros[:min(n, uint32(len(zeros)))]
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) uint32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *parser) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }
func (p *parser) id() cache.ID   { return cache.ID(p.take(16)) }

// end reads a part's end, which is no time before 1970 and never zero.
func (p *parser) end() int64 {
	until := int64(p.uint64())
	p.bad = p.bad || until <= 0
	return until
}
