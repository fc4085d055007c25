package cache

import "fmt"

// Errors a caller can act upon. They are constants: compare them with errors.Is.
const (
	// ErrNotFound: the source has nothing under this key. It may be remembered (Policy.NegativeTTL).
	ErrNotFound = constError("cache: not found")
	// ErrBusy: the space already has Policy.MaxLoads loads in flight and no stale value to serve. Try later.
	ErrBusy = constError("cache: too many loads in flight")
	// ErrClosed: the key is not in memory and the stack has been closed.
	ErrClosed = constError("cache: closed")
	// ErrUnconfirmed: not every node is known to have forgotten what was invalidated; the fence stays owed. Try again later.
	ErrUnconfirmed = constError("cache: invalidation not confirmed")
	// ErrNoChannel: the remote layer has none, so that tags can't reach other nodes.
	ErrNoChannel = constError("cache: the remote layer has no channel")
	// ErrTooLarge: a value is too long for the remote layer, which holds nothing in its place.
	ErrTooLarge = constError("cache: value too large")
	// ErrKey: a text is no key of the space it is for.
	ErrKey = constError("cache: not a key")
	// ErrUnknownSpace: an operation named a space that nobody has defined.
	ErrUnknownSpace = constError("cache: unknown space")
)

type constError string

func (e constError) Error() string { return string(e) }

// PanicError is what the waiters of a load get when its loader panics.
type PanicError struct {
	Value any    // what the loader panicked with
	Stack []byte // where, as debug.Stack prints it
}

func (e *PanicError) Error() string { return fmt.Sprintf("loader panicked: %v", e.Value) }

// Unwrap returns the value of the panic where it was an error, so that errors.Is sees through it.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
