package api

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkJSON refuses what encoding/json would pass over in silence: bytes that
// are not UTF-8 and escapes of half a surrogate pair (both become U+FFFD), and
// names that stand twice in an object (the last one wins). RFC 8259, 8.1, 8.2
// and 4, calls each of them unpredictable.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("body", "is not valid UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		at := ""
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = " at byte " + strconv.FormatInt(e.Offset, 10)
		}
		return malformed("body", "is not valid JSON"+at)
	}
	s := strictness{b: body}
	return s.value()
}

// strictness walks JSON that is known to be valid.
type strictness struct {
	b []byte
	i int
}

// value is recursive: encoding/json, which passed the text, allows 10,000 levels.
func (s *strictness) value() error {
	switch s.space(); s.b[s.i] {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		_, err := s.text()
		return err
	}
	for s.i < len(s.b) && strings.IndexByte(",]} \t\r\n", s.b[s.i]) < 0 {
		s.i++
	}
	return nil
}

func (s *strictness) object() error {
	names := make(map[string]struct{}, 8)
	for s.i++; ; s.i++ {
		if s.space(); s.b[s.i] == '}' {
			s.i++
			return nil
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if _, twice := names[name]; twice {
			return malformed(clip(name), "stands twice in one object")
		}
		names[name] = struct{}{}
		s.space()
		s.i++ // the colon
		if err := s.value(); err != nil {
			return err
		}
		if s.space(); s.b[s.i] == '}' {
			s.i++
			return nil
		}
	}
}

func (s *strictness) array() error {
	for s.i++; ; s.i++ {
		if s.space(); s.b[s.i] == ']' {
			s.i++
			return nil
		}
		if err := s.value(); err != nil {
			return err
		}
		if s.space(); s.b[s.i] == ']' {
			s.i++
			return nil
		}
	}
}

// text passes over a string and gives what it says.
func (s *strictness) text() (string, error) {
	from, escaped := s.i, false
	for s.i++; s.b[s.i] != '"'; s.i++ {
		if s.b[s.i] != '\\' {
			continue
		}
		escaped = true
		s.i++
		if s.b[s.i] != 'u' {
			continue
		}
		half, err := s.surrogate()
		if err != nil {
			return "", err
		}
		s.i += half
	}
	s.i++
	quoted := s.b[from:s.i]
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var said string
	err := json.Unmarshal(quoted, &said)
	return said, err
}

// surrogate checks the escape whose u is at s.i and gives the number of bytes
// that belong to it: a high half must be followed by a low one (RFC 8259, 7).
func (s *strictness) surrogate() (int, error) {
	switch unit := s.hex(s.i + 1); {
	case unit < 0xd800 || unit > 0xdfff:
		return 4, nil
	case unit < 0xdc00 && s.i+6 < len(s.b) && s.b[s.i+5] == '\\' && s.b[s.i+6] == 'u':
		if low := s.hex(s.i + 7); low >= 0xdc00 && low <= 0xdfff {
			return 10, nil
		}
	}
	return 0, malformed("body", "holds half of a surrogate pair")
}

func (s *strictness) hex(at int) uint64 {
	n, err := strconv.ParseUint(string(s.b[at:at+4]), 16, 16)
	if err != nil {
		return 0
	}
	return n
}

func (s *strictness) space() {
	for s.i < len(s.b) && strings.IndexByte(" \t\r\n", s.b[s.i]) >= 0 {
		s.i++
	}
}
