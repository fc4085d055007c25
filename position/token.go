package position

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// Token is a vector of positions, one per system, in ascending order of System.
// The zero Token asks for nothing. Tokens are immutable: methods return new ones.
type Token []Position

// MaxSystems bounds how many positions a token may bear.
const MaxSystems = 64

// Raise is t with p in it, unless t already bears a later one of p's system.
func (t Token) Raise(p Position) Token {
	if p.IsZero() {
		return t
	}
	i, found := slices.BinarySearchFunc(t, p.System, func(q Position, s uint64) int {
		if q.System < s {
			return -1
		} else if q.System > s {
			return 1
		}
		return 0
	})
	if !found {
		return slices.Insert(slices.Clone(t), i, p)
	}
	if order, _ := t[i].Compare(p); order >= 0 {
		return t
	}
	t = slices.Clone(t)
	t[i] = p
	return t
}

// Merge is the later of t and u in every system.
func (t Token) Merge(u Token) Token {
	for _, p := range u {
		t = t.Raise(p)
	}
	return t
}

// At is t's position in a system, or the zero Position.
func (t Token) At(system uint64) Position {
	for _, p := range t {
		if p.System == system {
			return p
		}
	}
	return Position{}
}

// Signer seals tokens into text under a secret, so that a client can carry
// them but not make them. Methods are safe for concurrent use.
type Signer struct{ key []byte }

const (
	tokenVersion = 1
	tokenMAC     = 16
)

// ErrToken says that a text is not a token of this signer.
var ErrToken = errors.New("position: not a token of this deployment")

// NewSigner makes a signer under a secret of at least 32 bytes.
func NewSigner(key []byte) *Signer { return &Signer{key: key} }

// Seal writes a token as text: version, varints, MAC, base64url. It is
// deterministic.
func (s *Signer) Seal(t Token) string {
	raw := make([]byte, 0, 128)
	raw = append(raw, tokenVersion)
	for _, p := range t {
		raw = binary.BigEndian.AppendUint64(raw, p.System)
		raw = binary.AppendUvarint(raw, uint64(p.Timeline))
		raw = binary.AppendUvarint(raw, p.Offset)
	}
	raw = s.appendMAC(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Open reads a text that Seal wrote; anything else is [ErrToken].
func (s *Signer) Open(text string) (Token, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < 1+tokenMAC || raw[0] != tokenVersion || len(text) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		// The decoder passes over line breaks; a token has one form.
		return nil, ErrToken
	}
	body := raw[:len(raw)-tokenMAC]
	if !hmac.Equal(s.appendMAC(slices.Clone(body)), raw) {
		return nil, ErrToken
	}
	return parse(body[1:])
}

func parse(b []byte) (Token, error) {
	var t Token
	for len(b) > 0 {
		if len(b) < 8 || len(t) == MaxSystems {
			return nil, ErrToken
		}
		p := Position{System: binary.BigEndian.Uint64(b)}
		b = b[8:]
		timeline, n := binary.Uvarint(b)
		if n <= 0 || timeline > 1<<32-1 {
			return nil, ErrToken
		}
		b = b[n:]
		offset, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, ErrToken
		}
		b = b[n:]
		p.Timeline, p.Offset = uint32(timeline), offset
		if len(t) > 0 && t[len(t)-1].System >= p.System {
			return nil, ErrToken
		}
		t = append(t, p)
	}
	return t, nil
}

func (s *Signer) appendMAC(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	var sum [sha256.Size]byte
	return append(body, h.Sum(sum[:0])[:tokenMAC]...)
}
