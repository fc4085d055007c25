package freshet

import (
	"errors"
	"fmt"
	"time"
)

// Code says which decision a caller can take about an error. Codes are part of
// the HTTP contract and never change their meaning.
type Code string

// The codes, each with the HTTP status it becomes.
const (
	CodeMalformed       Code = "malformed"         // 400: not readable at all
	CodeUnauthenticated Code = "unauthenticated"   // 401: nobody is signed in
	CodeForbidden       Code = "forbidden"         // 403: signed in, but not allowed
	CodeNotFound        Code = "not_found"         // 404: absent, deleted or blocked
	CodeConflict        Code = "conflict"          // 409: the name or ref is taken
	CodeInProgress      Code = "in_progress"       // 409: the same idempotent request still runs
	CodeTooLarge        Code = "too_large"         // 413
	CodeInvalid         Code = "invalid"           // 422: readable, but a field is wrong
	CodeKeyReused       Code = "idempotency_reuse" // 422: the key came with another body before
	CodeRateLimited     Code = "rate_limited"      // 429
	CodeUnavailable     Code = "unavailable"       // 503: try again
)

// Error is an error whose text may be shown to the caller. Everything else that
// an operation returns is internal and becomes a plain 500.
type Error struct {
	Code       Code
	Field      string        // the field of the request that is wrong, if one is
	Message    string        // for people; starts in lower case, without the field
	RetryAfter time.Duration // when trying again makes sense; zero: not said
	Err        error         // the cause, for logs only
	NotMade    bool          // a write that had no effect for certain: it may be tried elsewhere
}

// Error gives the whole text, the cause included.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + " " + s
	}
	if e.Err != nil {
		s = fmt.Sprintf("%s: %v", s, e.Err)
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrNotFound) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Field == "" && t.Message == t.Code.String()
}

// String is the code as the API spells it.
func (c Code) String() string { return string(c) }

// Sentinels for errors.Is; each stands for every error of its code.
var (
	ErrNotFound        = sentinel(CodeNotFound)
	ErrConflict        = sentinel(CodeConflict)
	ErrUnauthenticated = sentinel(CodeUnauthenticated)
	ErrForbidden       = sentinel(CodeForbidden)
	ErrInvalid         = sentinel(CodeInvalid)
	ErrUnavailable     = sentinel(CodeUnavailable)
)

func sentinel(c Code) *Error { return &Error{Code: c, Message: string(c)} }

// Invalid reports a field that can be read but is wrong.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotFound reports that what (a noun: "post", "user") is absent, deleted or hidden.
func NotFound(what string) *Error {
	return &Error{Code: CodeNotFound, Message: what + " not found"}
}

// Conflict reports that the value of a field is taken.
func Conflict(field, format string, args ...any) *Error {
	return &Error{Code: CodeConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of err, or "" for an internal error.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
