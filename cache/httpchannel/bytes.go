package httpchannel

import (
	"encoding/binary"

	"github.com/freshet/freshet/cache"
)

// Messages and the board are numbers in big endian and texts behind their lengths, so that each has one form.

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// reader takes bytes apart. Once something is missing all that follows is zero and bad stays set.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) id() (id cache.ID) {
	copy(id[:], r.take(len(id)))
	return id
}

// text reads one of at most most bytes.
func (r *reader) text(most int) string {
	n := r.uint32()
	if uint64(n) > uint64(most) {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}

// count reads how many things follow that take least bytes each, so that nothing is made for what can't be there.
func (r *reader) count(least, most int) int {
	n := r.uint32()
	if uint64(n) > uint64(most) || uint64(n)*uint64(least) > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// done reports whether all was there and nothing is left.
func (r *reader) done() bool { return !r.bad && len(r.rest) == 0 }
