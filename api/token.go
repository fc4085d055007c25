package api

import (
	"net/http"
	"slices"

	"github.com/freshet/freshet/position"
)

// The token says how far its bearer has seen: a write hands it out, a read that
// brings it must show that write, and hands out how far it showed. Programs
// carry it in a header, browsers in a cookie; of who does neither it is kept
// beside the session (lasttoken.go). The embedded store has one process and
// fences before it acknowledges, so every read shows everything acknowledged,
// and honouring a token is reading and raising it. Where there are replicas or
// several processes, caches and replicas answer that have reached it.

const (
	tokenHeader = "Freshet-Token"
	tokenCookie = "freshet_token"
	// seenCookie is what reads have raised the token to. Answers overtake each other: one that carried an older token must not
	// take the place of a write's.
	seenCookie = "freshet_seen"
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
	return a.inCookie(r, tokenCookie).Merge(a.inCookie(r, seenCookie)), nil
}

func (a *API) inCookie(r *http.Request, name string) position.Token {
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	if t, ok := a.known(c.Value); ok {
		return t
	}
	t, _ := a.signer.Open(c.Value) // else it is passed over
	return t
}

// ours is what a token says of the systems of the store: no cache and no replica ever reaches what it says of others.
func (a *API) ours(t position.Token) position.Token {
	if a.options.Systems == nil {
		return t
	}
	left := func(p position.Position) bool { return !slices.Contains(a.options.Systems, p.System) }
	if !slices.ContainsFunc(t, left) {
		return t
	}
	return slices.DeleteFunc(slices.Clone(t), left)
}

// known recognises the token that was handed out last.
func (a *API) known(text string) (position.Token, bool) {
	last := a.sealed.Load()
	if last == nil || last.header[0] != text {
		return nil, false
	}
	return last.token, true
}
