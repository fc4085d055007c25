package cache

import (
	"encoding/binary"

	"github.com/freshet/freshet/position"
)

// appendChunk writes bytes behind their length.
func appendChunk[T []byte | string](buf []byte, chunk T) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(chunk)))
	return append(buf, chunk...)
}

func appendBool(buf []byte, b bool) []byte {
	if b {
		return append(buf, 1)
	}
	return append(buf, 0)
}

// fieldReader takes apart what may be damaged: envelopes, records of the journal. What is not there reads as zero, and bad stays
// set.
type fieldReader struct {
	data []byte
	bad  bool
}

// take returns the next n bytes, a part of the data; nil where there are fewer.
func (r *fieldReader) take(n uint64) []byte {
	if uint64(len(r.data)) < n {
		r.bad, r.data = true, nil
		return nil
	}
	field := r.data[:n]
	r.data = r.data[n:]
	return field
}

func (r *fieldReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *fieldReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *fieldReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *fieldReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

// chunk is what appendChunk wrote.
func (r *fieldReader) chunk() []byte { return r.take(r.uvarint()) }

func appendToken(buf []byte, t position.Token) []byte {
	buf = append(buf, byte(len(t)))
	for _, p := range t {
		buf = binary.BigEndian.AppendUint64(buf, p.System)
		buf = binary.BigEndian.AppendUint32(buf, p.Timeline)
		buf = binary.BigEndian.AppendUint64(buf, p.Offset)
	}
	return buf
}

// token is what appendToken wrote.
func (r *fieldReader) token() position.Token {
	n := int(r.byte())
	if n == 0 {
		return nil
	}
	if n > position.MaxSystems {
		r.bad = true
		return nil
	}
	t := make(position.Token, n)
	for i := range t {
		t[i] = position.Position{System: r.uint64(), Timeline: r.uint32(), Offset: r.uint64()}
	}
	return t
}
