package access_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
)

// A ticket opens streams for a minute, and nothing else; what it has opened goes on until its key or its user is no more.
func TestTicket(t *testing.T) {
	b := newBench(t)
	ana, bea := b.person(t, "ana"), b.person(t, "bea")
	k, _ := b.key(t, "host", false)
	origins, err := access.NewOrigins()
	if err != nil {
		t.Fatal(err)
	}
	gate := &access.Gate{Auth: b.Authenticator, Limiter: access.NewLimiter(access.Limits{Now: b.clock.now}), Origins: origins}
	r := httptest.NewRequest("GET", "/v1/feed/stream", nil)
	ticketOf := func(user freshet.ID) (string, access.Principal) {
		t.Helper()
		ticket, expires, err := b.MintTicket(access.Principal{Kind: access.ByKey, Key: k.ID, User: user, Admin: true})
		if err != nil || !expires.Equal(b.clock.now().Add(time.Minute)) {
			t.Fatalf("expires %v, %v", expires, err)
		}
		p, err := gate.AdmitTicket(r, ticket)
		if err != nil || p.User != user || p.Admin || p.Key != k.ID {
			t.Fatalf("admitted %+v, %v", p, err)
		}
		return ticket, p
	}
	ticket, p := ticketOf(ana)
	b.refuses(t, ticket)
	token, _, err := b.MintUserToken(t.Context(), access.Principal{Kind: access.ByKey, Key: k.ID}, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{token, "x", ticket[:len(ticket)-1]} {
		_, err := gate.AdmitTicket(r, other)
		wantCode(t, err, freshet.CodeUnauthenticated)
	}
	b.clock.advance(time.Minute)
	_, err = gate.AdmitTicket(r, ticket)
	wantCode(t, err, freshet.CodeUnauthenticated)
	wantCode(t, gate.Still(t.Context(), r, p, ticket), "")

	other, q := ticketOf(bea)
	b.db.erase(bea)
	wantCode(t, gate.Still(t.Context(), r, q, other), freshet.CodeUnauthenticated)
	if _, err := b.RevokeKey(t.Context(), "host"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, gate.Still(t.Context(), r, p, ticket), freshet.CodeUnauthenticated)
	_, _, err = b.MintTicket(access.Principal{Kind: access.ByUserToken, User: ana, Key: k.ID})
	wantCode(t, err, freshet.CodeForbidden)
	_, _, err = b.MintTicket(access.Principal{Kind: access.ByKey, Key: k.ID})
	wantCode(t, err, freshet.CodeMalformed)
}

// A session goes on to be let in as long as it is in force.
func TestStill(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	origins, err := access.NewOrigins()
	if err != nil {
		t.Fatal(err)
	}
	gate := &access.Gate{Auth: b.Authenticator, Limiter: access.NewLimiter(access.Limits{Now: b.clock.now}), Origins: origins}
	_, token := b.signIn(t, "ana")
	r := httptest.NewRequest("GET", "/v1/feed/stream", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	p, err := gate.Admit(r)
	wantCode(t, err, "")
	wantCode(t, gate.Still(t.Context(), r, p, ""), "")
	b.clock.advance(25 * time.Hour)
	wantCode(t, gate.Still(t.Context(), r, p, ""), freshet.CodeUnauthenticated)
}
