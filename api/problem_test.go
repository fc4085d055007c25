package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
)

func TestProblems(t *testing.T) {
	cause := errors.New("disk on fire at /var/lib")
	for _, test := range []struct {
		err   error
		want  Problem
		retry int
	}{
		{freshet.Invalid("text", "is empty"), Problem{Status: 422, Code: "invalid", Title: "Invalid field", Field: "text", Detail: "text is empty"}, 0},
		{freshet.NotFound("post"), Problem{Status: 404, Code: "not_found", Title: "Not found", Detail: "post not found"}, 0},
		{fmt.Errorf("outer: %w", freshet.Conflict("handle", "is taken")), Problem{Status: 409, Code: "conflict", Title: "Conflict", Field: "handle", Detail: "handle is taken"}, 0},
		{
			&freshet.Error{Code: freshet.CodeRateLimited, Message: "too many reads", RetryAfter: 1200 * time.Millisecond},
			Problem{Status: 429, Code: "rate_limited", Title: "Too many requests", Detail: "too many reads"},
			2,
		},
		{
			&freshet.Error{Code: freshet.CodeUnavailable, Message: "busy", Err: cause},
			Problem{Status: 503, Code: "unavailable", Title: "Unavailable", Detail: "busy"},
			1,
		},
		{cause, Problem{Status: 500, Code: "internal", Title: "Internal error", Detail: "something went wrong here"}, 0},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), Problem{Status: 503, Code: "unavailable", Title: "Unavailable", Detail: "this took too long"}, 1},
		{
			fmt.Errorf("fence: %w: %w", cache.ErrUnconfirmed, context.DeadlineExceeded),
			Problem{Status: 503, Code: "unavailable", Title: "Unavailable", Detail: "it is done, but not every node has confirmed that yet: another may show what was before for a moment"},
			1,
		},
		{
			fieldErrors{freshet.Invalid("a", "is x"), freshet.Invalid("b", "is y")},
			Problem{Status: 422, Code: "invalid", Title: "Invalid field", Field: "a", Detail: "a is x", Errors: []FieldDetail{{"a", "a is x"}, {"b", "b is y"}}},
			0,
		},
	} {
		t.Run(test.want.Code, func(t *testing.T) {
			shown, _ := asError(test.err)
			all, _ := errors.AsType[fieldErrors](test.err)
			test.want.Type = "/docs#" + test.want.Code
			if diff := cmp.Diff(test.want, problemOf(shown, all, "")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := retryAfter(shown); got != test.retry {
				t.Errorf("Retry-After %d, want %d", got, test.retry)
			}
		})
	}
}

// What is shown of an error is not always all that the operator must know.
func TestCausesAreLogged(t *testing.T) {
	cause := errors.New("disk full")
	for _, test := range []struct {
		err    error
		logged bool
	}{
		{cause, true},
		{cache.ErrUnconfirmed, true},
		{fmt.Errorf("write: %w", &freshet.Error{Code: freshet.CodeUnavailable, Message: "try again", Err: cause}), true},
		{&freshet.Error{Code: freshet.CodeUnavailable, Message: "busy"}, false},
		{freshet.NotFound("post"), false},
	} {
		if _, logged := asError(test.err); logged != test.logged {
			t.Errorf("%v is logged: %t", test.err, logged)
		}
	}
}

// TestEveryCodeHasAStatus reads the domain's codes where they are declared: a
// new one must not become a 500 by being forgotten here.
func TestEveryCodeHasAStatus(t *testing.T) {
	source, err := os.ReadFile("../error.go")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]int)
	for _, k := range kinds {
		known[k.code.String()] = k.status
	}
	declared := regexp.MustCompile(`Code\w+\s+(?:Code )?= "(\w+)"\s*// (\d+)`).FindAllSubmatch(source, -1)
	if len(declared) < 11 {
		t.Fatalf("found %d codes in error.go", len(declared))
	}
	for _, d := range declared {
		if got := fmt.Sprint(known[string(d[1])]); got != string(d[2]) {
			t.Errorf("%s becomes %s, error.go says %s", d[1], got, d[2])
		}
	}
}

func TestRequestIDs(t *testing.T) {
	ids := newRequestIDs()
	for given, kept := range map[string]bool{
		"abc-DEF_1.2:3": true, "": false, "a b": false, "a\"b": false, "é": false, fmt.Sprintf("%0129d", 0): false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["X-Request-Id"] = []string{given}
		if got := ids.of(r); (got == given) != kept {
			t.Errorf("%q became %q", given, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	if a, b := ids.of(r), ids.of(r); a == b || !plain(a) {
		t.Errorf("made %q and %q", a, b)
	}
}

func TestETagMatches(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    bool
	}{
		{nil, false},
		{[]string{`"a"`}, true},
		{[]string{`W/"a"`}, true},
		{[]string{`"b", W/"a"`}, true},
		{[]string{`"b"`, `"a"`}, true},
		{[]string{`*`}, true},
		{[]string{`"ab"`}, false},
		{[]string{`a`}, false},
	} {
		if got := matches(test.headers, `"a"`); got != test.want {
			t.Errorf("%q: %v", test.headers, got)
		}
	}
}

// TestInternalErrorsStayInTheLog wants one line with the cause and the request's
// id, and an answer that has the id alone.
func TestInternalErrorsStayInTheLog(t *testing.T) {
	var log bytes.Buffer
	a := &API{options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r-1")
	status := a.writeProblem(w, httptest.NewRequest("GET", "/v1/feed", nil), fmt.Errorf("read page: %w", errors.New("disk on fire")), "id")
	if want := `{"type":"/docs#internal","title":"Internal error","status":500,"detail":"something went wrong here","code":"internal","request_id":"r-1"}`; status != 500 || w.Body.String() != want {
		t.Errorf("%d %s\nwant %s", status, w.Body, want)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "disk on fire") || !strings.Contains(log.String(), "request_id=r-1") {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
}
