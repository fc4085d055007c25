package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
)

// Problem is what an error looks like outside (RFC 9457).
type Problem struct {
	Type      string        `json:"type" doc:"Where the code is explained"`
	Title     string        `json:"title" doc:"The code in words"`
	Status    int           `json:"status" doc:"The HTTP status"`
	Detail    string        `json:"detail" doc:"What is wrong with this request, for people"`
	Code      string        `json:"code" doc:"What is wrong, for programs; it never changes its meaning"`
	Field     string        `json:"field,omitempty" doc:"The field, parameter or header that is wrong"`
	Errors    []FieldDetail `json:"errors,omitempty" nullable:"false" doc:"Every field that is wrong, where several are"`
	RequestID string        `json:"request_id,omitempty" doc:"Names this request in the server's log"`
}

// FieldDetail is one of several things that are wrong with a request.
type FieldDetail struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Codes that only HTTP knows.
const (
	codeMethod   freshet.Code = "method_not_allowed" // 405, with Allow
	codeInternal freshet.Code = "internal"           // 500
)

// kinds says which status a code becomes and how it reads.
var kinds = []struct {
	code   freshet.Code
	status int
	title  string
	about  string
}{
	{freshet.CodeMalformed, http.StatusBadRequest, "Malformed request", "The request can't be read: an id that is none, JSON that does not end, text that is not UTF-8."},
	{freshet.CodeUnauthenticated, http.StatusUnauthorized, "Not signed in", "Credentials are missing, wrong, expired or revoked."},
	{freshet.CodeForbidden, http.StatusForbidden, "Not allowed", "You are known, but may not do this."},
	{freshet.CodeNotFound, http.StatusNotFound, "Not found", "It never was, was deleted, or is hidden from you."},
	{codeMethod, http.StatusMethodNotAllowed, "Method not allowed", "The path exists; Allow lists what it answers to."},
	{freshet.CodeConflict, http.StatusConflict, "Conflict", "The handle, ref or name is taken."},
	{freshet.CodeInProgress, http.StatusConflict, "Still running", "The request with this Idempotency-Key has not ended; ask again after Retry-After."},
	{freshet.CodeTooLarge, http.StatusRequestEntityTooLarge, "Too large", "The body is longer than the limit."},
	{freshet.CodeInvalid, http.StatusUnprocessableEntity, "Invalid field", "The request was read, but a field holds what it may not."},
	{freshet.CodeKeyReused, http.StatusUnprocessableEntity, "Idempotency key used before", "The same Idempotency-Key came with another request."},
	{freshet.CodeRateLimited, http.StatusTooManyRequests, "Too many requests", "Ask again after Retry-After."},
	{codeInternal, http.StatusInternalServerError, "Internal error", "It is not your fault; request_id names it in the server's log."},
	{freshet.CodeUnavailable, http.StatusServiceUnavailable, "Unavailable", "Overloaded or not ready; ask again after Retry-After."},
}

// fieldErrors are several wrong fields of one body.
type fieldErrors []*freshet.Error

func (e fieldErrors) Error() string { return e[0].Error() }

// Unwrap gives the first, which stands for all.
func (e fieldErrors) Unwrap() error { return e[0] }

// asError gives the error that may be shown for err; internal is true where there
// is more to it than that, which belongs into the log: a fault here, or the cause
// for which the store is unavailable.
func asError(err error) (shown *freshet.Error, internal bool) {
	if e, ok := errors.AsType[*freshet.Error](err); ok {
		return e, e.Code == freshet.CodeUnavailable && e.Err != nil
	}
	switch {
	case errors.Is(err, cache.ErrUnconfirmed): // before ctx's errors, which may be its cause
		return &freshet.Error{
			Code: freshet.CodeUnavailable, RetryAfter: time.Second,
			Message: "it is done, but not every node has confirmed that yet: another may show what was before for a moment",
		}, true
	case errors.Is(err, context.DeadlineExceeded):
		return &freshet.Error{Code: freshet.CodeUnavailable, Message: "this took too long", RetryAfter: time.Second}, false
	case errors.Is(err, context.Canceled):
		return &freshet.Error{Code: freshet.CodeUnavailable, Message: "the request was cancelled", RetryAfter: time.Second}, false
	}
	return &freshet.Error{Code: codeInternal, Message: "something went wrong here"}, true
}

// problemOf is the one place where errors become HTTP.
func problemOf(e *freshet.Error, all fieldErrors, requestID string) Problem {
	p := Problem{
		Type: "/docs#" + e.Code.String(), Code: e.Code.String(), Field: e.Field,
		Detail: detail(e), Status: http.StatusInternalServerError, RequestID: requestID,
	}
	for _, k := range kinds {
		if k.code == e.Code {
			p.Status, p.Title = k.status, k.title
		}
	}
	if len(all) > 1 {
		for _, e := range all {
			p.Errors = append(p.Errors, FieldDetail{e.Field, detail(e)})
		}
	}
	return p
}

func detail(e *freshet.Error) string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + " " + e.Message
}

// retryAfter gives the seconds of a Retry-After header, rounded up; 0: none.
func retryAfter(e *freshet.Error) int {
	wait := e.RetryAfter
	if wait <= 0 {
		switch e.Code {
		case freshet.CodeUnavailable, freshet.CodeInProgress, freshet.CodeRateLimited:
			wait = time.Second
		}
	}
	return int((wait + time.Second - 1) / time.Second)
}

func (p *Problem) json() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return b
}
