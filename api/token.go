package api

import (
	"net/http"
	"slices"

	"github.com/freshet/freshet/position"
)

// The token says how far its bearer has seen: a write hands it out, a read that
// brings it must show that write, and hands out how far it showed. Programs
// carry it in a header, browsers in a cookie. The embedded store has one
// process and fences before it acknowledges, so every read shows everything
// acknowledged, and honouring a token is reading and raising it.

const (
	tokenHeader = "Freshet-Token"
	tokenCookie = "freshet_token"
)

// sealed is the token that was sealed last; reads between two writes hand out
// the same.
type sealed struct {
	token  position.Token
	header []string
}

// seal gives a token as the value of a header. Most reads ask for the one sealed
// last.
func (a *API) seal(t position.Token) []string {
	if last := a.sealed.Load(); last != nil && slices.Equal(last.token, t) {
		return last.header
	}
	made := &sealed{token: t, header: []string{a.signer.Seal(t)}}
	a.sealed.Store(made)
	return made.header
}

// tokenOf reads the token that a request bears. A header that is not a token of
// this deployment is the client's mistake; a cookie outlives deployments, so a
// bad one is passed over.
func (a *API) tokenOf(r *http.Request, cookie bool) (position.Token, error) {
	if v := r.Header[tokenHeader]; len(v) > 0 {
		if t, ok := a.known(v[0]); ok {
			return t, nil
		}
		t, err := a.signer.Open(v[0])
		if err != nil {
			return nil, malformed(tokenHeader, "is not a token of this deployment; leave it out")
		}
		return t, nil
	}
	if !cookie {
		return nil, nil
	}
	c, err := r.Cookie(tokenCookie)
	if err != nil {
		return nil, nil
	}
	if t, ok := a.known(c.Value); ok {
		return t, nil
	}
	t, err := a.signer.Open(c.Value)
	if err != nil {
		return nil, nil //nolint:nilerr // passed over
	}
	return t, nil
}

// known recognises the token that was handed out last.
func (a *API) known(text string) (position.Token, bool) {
	last := a.sealed.Load()
	if last == nil || last.header[0] != text {
		return nil, false
	}
	return last.token, true
}
