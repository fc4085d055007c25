package access

import (
	"net/netip"

	"github.com/freshet/freshet"
)

// What requests bear.
const (
	Cookie            = "freshet_session" // the cookie with a session token
	UserHeader        = "Freshet-User"    // for whom an API key acts: an id, or ref: and a ref
	IdempotencyHeader = "Idempotency-Key"
)

// Kind says by what a request was authenticated.
type Kind uint8

// The kinds.
const (
	Anonymous   Kind = iota // by nothing
	BySession               // by a session token, in the header or the cookie
	ByUserToken             // by what an API key made for a browser or an app
	ByKey                   // by an API key
)

// Principal is who asks. The zero Principal is anonymous.
type Principal struct {
	Kind      Kind
	User      freshet.ID // zero: anonymous, or an API key that acts for nobody
	Admin     bool
	Session   freshet.ID // the session, BySession
	Key       freshet.ID // the API key, ByKey and ByUserToken
	KeyName   string
	ViaCookie bool
	Addr      netip.Addr // the client's, where [Gate] admitted the request
	Exempt    bool       // from the limits of addresses and users: see [Gate].Loopback
}

var (
	errSignIn = &freshet.Error{Code: freshet.CodeUnauthenticated, Message: "sign in, or send a token in the Authorization header"}
	errNoUser = &freshet.Error{
		Code: freshet.CodeMalformed, Field: UserHeader,
		Message: "is missing: an API key acts for the user that this header names, as an id or as ref:<ref>",
	}
	errNoAdmin = &freshet.Error{Code: freshet.CodeForbidden, Message: "only an administrator may do this"}
	errNoKey   = &freshet.Error{Code: freshet.CodeForbidden, Message: "only an API key may do this"}
)

// RequireUser gives the user who asks. Without one it reports
// [freshet.CodeUnauthenticated], or [freshet.CodeMalformed] naming the header
// that an API key left out.
func (p Principal) RequireUser() (freshet.ID, error) {
	switch {
	case p.User != 0:
		return p.User, nil
	case p.Kind == ByKey:
		return 0, errNoUser
	default:
		return 0, errSignIn
	}
}

// RequireKey reports whether an API key asks.
func (p Principal) RequireKey() error {
	switch p.Kind {
	case ByKey:
		return nil
	case Anonymous:
		return errSignIn
	default:
		return errNoKey
	}
}

// RequireAdmin reports whether an administrator asks: by the session of a user or
// by an API key that was made one. A user token never is one.
func (p Principal) RequireAdmin() error {
	switch {
	case p.Kind == Anonymous:
		return errSignIn
	case !p.Admin:
		return errNoAdmin
	default:
		return nil
	}
}

// Scope names the caller for [Idempotency.Begin], so that equal keys of
// different callers never meet. A user is one caller by whatever token; an API
// key is one for each user it acts for; who is anonymous is known by address.
func (p Principal) Scope() string {
	switch p.Kind {
	case Anonymous:
		return "address " + p.Addr.String()
	case ByKey:
		return "key " + p.Key.String() + " user " + p.User.String()
	default:
		return "user " + p.User.String()
	}
}
