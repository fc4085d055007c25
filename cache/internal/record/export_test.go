package record

import (
	"bytes"
	"encoding/binary"
)

// Mend is b with the magic and checksum that it would have if Append had written it.
func Mend(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) >= headSize {
		copy(b, magic)
		binary.BigEndian.PutUint32(b[sumAt:], sum(b))
	}
	return b
}
