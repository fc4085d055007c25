package app

import (
	"testing"

	"github.com/freshet/freshet"
)

// One address can't keep everybody else from signing in and up. This machine can:
// it is the operator's.
func TestAPILimitsHashing(t *testing.T) {
	const rate, tries = 60, 300 // a minute; more than refill it meanwhile
	n := startAPI(t, nil)
	signUp := func(options ...option) *reply {
		return n.ask(t, "POST", "/v1/users", `{"handle":"ada","name":"Ada","password":"short"}`, options...)
	}
	signIn := func(options ...option) *reply {
		return n.ask(t, "POST", "/v1/sessions", `{"handle":"ada","password":"short"}`, options...)
	}
	limit := func(ask func(...option) *reply) (admitted int) {
		for i := range tries {
			r := ask(with("X-Forwarded-For", "192.0.2.1"))
			if r.status != 429 {
				continue
			}
			if r.header.Get("Retry-After") != "1" || r.field("code") != string(freshet.CodeRateLimited) || r.field("field") != "(absent)" {
				t.Errorf("%v with Retry-After %q", r, r.header.Get("Retry-After"))
			}
			return i
		}
		t.Errorf("%d are not limited", tries)
		return tries
	}
	for range rate + 10 {
		signUp().wants(t, 422)
	}
	if n := limit(signUp); n < rate {
		t.Errorf("%d sign-ups are admitted, want %d", n, rate)
	}
	if n := limit(signIn); n >= 10 {
		t.Errorf("%d sign-ins are admitted beside them", n)
	}
}
