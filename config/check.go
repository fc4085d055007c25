package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// problem says what is wrong with a value of s, "" where nothing is.
func (s setting) problem(value any) string {
	text := s.codec.format(value)
	switch {
	case len(s.oneOf) > 0 && !slices.Contains(s.oneOf, text):
		return fmt.Sprintf("%q is not possible", text)
	case s.min != "" && s.codec.compare(value, s.bound(s.min)) < 0:
		return text + " is too small"
	case s.max != "" && s.codec.compare(value, s.bound(s.max)) > 0:
		return text + " is too large"
	case s.is == "address" && !isAddress(text):
		return fmt.Sprintf("%q is not host:port", text)
	case s.is == "path" && text == "" && s.def != "":
		return "is empty"
	case s.is == "origin":
		for _, item := range value.([]string) {
			if !isOrigin(item) {
				return fmt.Sprintf("%q is not an origin", item)
			}
		}
	}
	return ""
}

func (s setting) bound(text string) any {
	value, err := s.codec.parse(text)
	if err != nil {
		panic(fmt.Sprintf("config: bound of %s: %q %v", s.key, text, err))
	}
	return value
}

// allowed says which values are, in words.
func (s setting) allowed() string {
	switch {
	case len(s.oneOf) > 0:
		return strings.Join(s.oneOf, ", ")
	case s.is == "address":
		return "host:port"
	case s.is == "path":
		return "a path"
	case s.is == "origin":
		return "scheme://host or scheme://host:port"
	case s.min == "" && s.max == "":
		return s.codec.written
	}
	text := s.min + " to " + s.max
	if s.atMost != "" {
		text += ", at most " + s.atMost
	}
	return text
}

// remedy is the hint for a value that was understood and refused.
func (s setting) remedy(text string) string {
	switch {
	case len(s.oneOf) > 0:
		return didYouMean(Nearest(text, s.oneOf), "the default is "+s.def)
	case s.is == "address":
		return "write an address as 127.0.0.1:8080, or :8080 for all of this machine's"
	case s.is == "origin":
		return "write an origin as the browser sends it, as https://app.example.com, without a path"
	case s.def != "":
		return "the default is " + s.def
	}
	return "leave it out for the default"
}

// isAddress reports whether text is host:port with a numeric port; the host may be empty.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isOrigin reports whether text is a serialized origin (RFC 6454 section 6.2): a scheme and a host in lower case,
// no path. Browsers send it so, and it is compared byte by byte.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		text == u.Scheme+"://"+strings.ToLower(u.Host)
}
