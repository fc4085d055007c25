package freshet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// Cursors seals and opens the opaque keyset cursors of lists. A cursor bears
// the last id scanned and a MAC over the list's name, the reader it is bound to
// and that id. It is deterministic: it holds no nonce and no time, so equal
// pages have equal cursors.
//
// Methods are safe for concurrent use.
type Cursors struct{ key []byte }

const cursorMAC = 8 // bytes; a forged cursor shows nothing that the list itself would not

// NewCursors makes a codec under a secret of at least 32 bytes.
func NewCursors(key []byte) *Cursors { return &Cursors{key: key} }

// Seal makes the cursor that continues list after id. reader is zero for a
// public list, whose cursors work for everybody.
func (c *Cursors) Seal(list string, reader, id ID) string {
	var raw [8 + cursorMAC]byte
	binary.BigEndian.PutUint64(raw[:], uint64(id))
	c.mac(raw[8:], list, reader, id)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Open reads a cursor that Seal made for the same list and reader. The empty
// cursor is the start of the list: zero. Anything else is [CodeInvalid].
func (c *Cursors) Open(list string, reader ID, cursor string) (ID, error) {
	if cursor == "" {
		return 0, nil
	}
	var raw, want [8 + cursorMAC]byte
	if base64.RawURLEncoding.DecodedLen(len(cursor)) != len(raw) {
		return 0, errCursor()
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(cursor)); err != nil {
		return 0, errCursor()
	}
	id := ID(binary.BigEndian.Uint64(raw[:]))
	c.mac(want[8:], list, reader, id)
	if id <= 0 || !hmac.Equal(raw[8:], want[8:]) {
		return 0, errCursor()
	}
	return id, nil
}

// SealRank makes the cursor that continues a ranked list after a place: its score and, among equals, its id.
func (c *Cursors) SealRank(list string, reader ID, score float64, id ID) string {
	var raw [16 + cursorMAC]byte
	binary.BigEndian.PutUint64(raw[:], math.Float64bits(score))
	binary.BigEndian.PutUint64(raw[8:], uint64(id))
	c.mac(raw[16:], list+string(raw[:8]), reader, id)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// OpenRank is Open for a cursor that SealRank made. The start of the list has no id.
func (c *Cursors) OpenRank(list string, reader ID, cursor string) (score float64, id ID, err error) {
	if cursor == "" {
		return 0, 0, nil
	}
	var raw [16 + cursorMAC]byte
	if base64.RawURLEncoding.DecodedLen(len(cursor)) != len(raw) {
		return 0, 0, errCursor()
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(cursor)); err != nil {
		return 0, 0, errCursor()
	}
	score, id = math.Float64frombits(binary.BigEndian.Uint64(raw[:])), ID(binary.BigEndian.Uint64(raw[8:]))
	if id <= 0 || c.SealRank(list, reader, score, id) != cursor {
		return 0, 0, errCursor()
	}
	return score, id, nil
}

func (c *Cursors) mac(dst []byte, list string, reader, id ID) {
	h := hmac.New(sha256.New, c.key)
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], uint64(reader))
	binary.BigEndian.PutUint64(head[8:], uint64(id))
	h.Write(head[:])
	h.Write([]byte(list))
	var sum [sha256.Size]byte
	copy(dst[:cursorMAC], h.Sum(sum[:0]))
}

func errCursor() *Error {
	return Invalid("cursor", "is not a cursor of this list; start again without one")
}
