package memcached

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed says that the layer was closed.
var ErrClosed = errors.New("memcached: closed")

// TooLargeError names keys whose values the server does not take (its option -I). They hold nothing now; everything else
// in the batch was done as its answers say.
type TooLargeError struct {
	Keys  []string
	Limit int // the longest item of the server, in bytes: key, value and about 200 of ours
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("store %s: the server takes items of at most %d bytes\nhint: memcached -I", strings.Join(quoted(e.Keys), ", "), e.Limit)
}

func quoted(keys []string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = fmt.Sprintf("%q", key)
	}
	return out
}

// ServerError is what a server said instead of doing what it was asked, where it can go on: it has no memory, for instance.
type ServerError struct {
	Server  string
	Message string
}

func (e *ServerError) Error() string { return fmt.Sprintf("memcached %s: %s", e.Server, e.Message) }

// protocolError is an answer that is none: the stream is in doubt.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "memcached: not an answer: " + e.what }

func doubt(format string, args ...any) error { return &protocolError{fmt.Sprintf(format, args...)} }
