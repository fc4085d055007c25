package freshet

import (
	"unicode"
	"unicode/utf8"
)

// CheckText checks a text that people wrote: valid UTF-8, at most max
// characters, and no control characters other than line breaks and tabs.
func CheckText(field, s string, max int) error {
	if !utf8.ValidString(s) {
		return Invalid(field, "is not valid UTF-8")
	}
	if len(s) > max && utf8.RuneCountInString(s) > max {
		return Invalid(field, "is longer than %d characters", max)
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return Invalid(field, "holds the control character U+%04X", r)
		}
	}
	return nil
}

// CheckLine is CheckText for what stands on one line: no control characters at all.
func CheckLine(field, s string, max int) error {
	if err := CheckText(field, s, max); err != nil {
		return err
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return Invalid(field, "holds a line break or tab")
		}
	}
	return nil
}

// MaxHandle is the longest handle, in characters.
const MaxHandle = 30

// CheckHandle checks a handle: 1 to 30 letters, digits and underscores of ASCII.
func CheckHandle(field, s string) error {
	if s == "" || len(s) > MaxHandle {
		return Invalid(field, "must have 1 to %d characters", MaxHandle)
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return Invalid(field, "may hold only letters a-z, digits and underscores")
		}
	}
	return nil
}

// MaxRef is the longest ref of a user or post, in bytes.
const MaxRef = 128

// CheckRef checks a host product's own id: 1 to 128 printable characters of ASCII.
func CheckRef(field, s string) error {
	if s == "" || len(s) > MaxRef {
		return Invalid(field, "must have 1 to %d characters", MaxRef)
	}
	if s == "." || s == ".." {
		return Invalid(field, "can't be a part of a path") // RFC 3986, 5.2.4
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return Invalid(field, "may hold only printable ASCII without spaces")
		}
	}
	return nil
}
