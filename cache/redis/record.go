package redis

import (
	"encoding/binary"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// The first byte of a record.
const (
	kindValue    = 'v'
	kindLease    = 'l'
	kindRenewing = 's'
)

const (
	idLen       = len(cache.ID{})
	headLen     = 1 + 2*idLen // kind, lease, holder
	positionLen = 8 + 4 + 8   // big-endian, so that bytes compare as the numbers do
)

// parseRecord reads what GET returned. The record's value shares memory with raw, which is nobody else's. Bytes that are no
// record read as a value of the zero stamp, which nobody can decode: the reader counts it and fences it away.
func parseRecord(raw []byte, out *cache.Record) {
	*out = cache.Record{}
	switch {
	case len(raw) > cache.StampSize && raw[0] == kindValue:
		out.State, out.Value = cache.Filled, raw[1:]
		return
	case len(raw) >= headLen && raw[0] == kindLease:
		out.State = cache.Leased
	case len(raw) >= headLen+cache.StampSize && raw[0] == kindRenewing:
		out.State, out.Value = cache.Renewing, raw[headLen:]
	default:
		out.State, out.Value = cache.Filled, make([]byte, cache.StampSize)
		return
	}
	copy(out.Lease[:], raw[1:])
	copy(out.Holder[:], raw[1+idLen:])
}

func formatPosition(p position.Position) string {
	var b [positionLen]byte
	binary.BigEndian.PutUint64(b[:], p.System)
	binary.BigEndian.PutUint32(b[8:], p.Timeline)
	binary.BigEndian.PutUint64(b[12:], p.Offset)
	return string(b[:])
}

func parsePosition(s string) (p position.Position) {
	if len(s) == positionLen {
		p.System = binary.BigEndian.Uint64([]byte(s))
		p.Timeline = binary.BigEndian.Uint32([]byte(s[8:]))
		p.Offset = binary.BigEndian.Uint64([]byte(s[12:]))
	}
	return p
}
