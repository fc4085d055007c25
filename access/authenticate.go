package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// Accounts is what access needs to know of users.
type Accounts interface {
	Users(ctx context.Context, ids []freshet.ID) ([]freshet.User, error)
	UserByRef(ctx context.Context, ref string) (freshet.ID, error)
	Credentials(ctx context.Context, handle string) (freshet.Credentials, error)
	SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error)
}

// Store is the part of [store.Store] that an [Authenticator] stands on.
type Store interface {
	Accounts
	store.Sessions
	store.Keys
}

// Options says what an [Authenticator] works with. Store, Stack and Secret are
// required; other zero fields take their defaults.
type Options struct {
	Store  Store
	Stack  *cache.Stack // gets the spaces "session" and "key"
	Secret []byte       // signs user tokens: Secrets.Key(ForUserTokens)

	Passwords    *Passwords
	SessionTTL   time.Duration // after the last use; default 24 h
	UserTokenTTL time.Duration // the longest; default 1 h
	SignIns      Rate          // failed ones by address and handle; default 10 a minute
	Hashes       Rate          // passwords hashed for one address (an IPv6 /64), to sign in or up; default 60 a minute

	// UserByRef and UserExists find the user for whom a key or a user token acts, at
	// each of its requests; so they should be cached. Absent is freshet.ErrNotFound.
	// Default: Store is asked.
	UserByRef  func(ctx context.Context, ref string) (freshet.ID, error)
	UserExists func(ctx context.Context, id freshet.ID) error

	TouchFailed func(error) // a session's use could not be noted; the session goes on; default: ignored
	Now         func() time.Time
}

// Authenticator knows who bears which token. Methods are safe for concurrent use.
type Authenticator struct {
	options   Options
	store     Store
	now       func() time.Time
	passwords *Passwords
	grants    grants
	failures  *gcra[[32]byte]
	hashes    *gcra[[16]byte] // by network
	start     time.Time       // that failures and hashes count from

	sessions *cache.Cache[[32]byte, *freshet.Session] // by hash
	keys     *cache.Cache[keyRef, *freshet.APIKey]
	ended    ended
	touches  touches
}

// NewAuthenticator makes an Authenticator. Its sessions slide only while
// [Authenticator.Run] runs. It panics without a Secret of 32 bytes: anybody could
// sign under a shorter one.
func NewAuthenticator(o Options) *Authenticator {
	requireSecret(o.Secret)
	if o.Passwords == nil {
		o.Passwords = NewPasswords(PasswordOptions{})
	}
	if o.SessionTTL <= 0 {
		o.SessionTTL = 24 * time.Hour
	}
	if o.UserTokenTTL <= 0 {
		o.UserTokenTTL = time.Hour
	}
	if o.UserByRef == nil {
		o.UserByRef = o.Store.UserByRef
	}
	if o.UserExists == nil {
		o.UserExists = func(ctx context.Context, id freshet.ID) error { return exists(ctx, o.Store, id) }
	}
	if o.TouchFailed == nil {
		o.TouchFailed = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &Authenticator{
		options:   o,
		store:     o.Store,
		now:       o.Now,
		passwords: o.Passwords,
		grants:    grants{key: o.Secret},
		failures:  newGCRA[[32]byte](o.SignIns.or(10, time.Minute), 100_000),
		hashes:    newGCRA[[16]byte](o.Hashes.or(60, time.Minute), 100_000),
		start:     o.Now(),
		touches:   newTouches(),
	}
	a.defineSpaces(o.Stack)
	return a
}

func exists(ctx context.Context, db Accounts, id freshet.ID) error {
	users, err := db.Users(ctx, []freshet.ID{id})
	if err == nil && len(users) == 0 {
		return freshet.NotFound("user")
	}
	return err
}

// defineSpaces keeps who is signed in out of the remote layer: what lies there is readable for whoever reaches its server.
func (a *Authenticator) defineSpaces(stack *cache.Stack) {
	policy := cache.Policy{TTL: time.Minute} // never stale: a source that fails must not keep a revoked token alive
	a.sessions = cache.Define(stack, cache.Space[[32]byte, *freshet.Session]{
		Name: "session", Policy: policy, LoadMany: a.loadSessions, Local: true,
	})
	a.keys = cache.Define(stack, cache.Space[keyRef, *freshet.APIKey]{
		Name: "key", Policy: policy, LoadMany: a.loadKeys, Local: true, Key: keyRef.text,
	})
}

// Presented is what a request bears of who asks.
type Presented struct {
	Authorization string // the header
	Cookie        string // the value of the cookie [Cookie]; looked at where there is no Authorization
	ActFor        string // the header [UserHeader]
	Ticket        string // of a stream, [Authenticator.MintTicket]; "": none. With one nothing else is looked at
}

// The first letters of a token say what it is.
const (
	sessionPrefix = "fs_"
	keyPrefix     = "fk_"
	grantPrefix   = "ft_"

	secretBytes = 32
	tokenLength = 3 + (secretBytes*8+5)/6 // of sessions and keys
)

var (
	errToken     = &freshet.Error{Code: freshet.CodeUnauthenticated, Message: "the token is wrong, has expired or was revoked"}
	errNotBearer = &freshet.Error{Code: freshet.CodeMalformed, Field: "Authorization", Message: "is not of the form: Bearer TOKEN"}
	errActFor    = &freshet.Error{Code: freshet.CodeForbidden, Message: "only an API key acts for the user in Freshet-User"}
)

// Authenticate says who bears what a request presented: nobody, if nothing.
// What is presented must be right also where it is not needed. The errors are
// [freshet.CodeUnauthenticated] (wrong, expired or revoked),
// [freshet.CodeMalformed], [freshet.CodeForbidden] and, for a user who does not
// exist, [freshet.CodeInvalid]; others come from the store.
//
// A session met before costs a SHA-256 and a cache hit, and no allocation.
func (a *Authenticator) Authenticate(ctx context.Context, by Presented) (Principal, error) {
	p, err := a.bearer(ctx, by)
	if err != nil {
		return Principal{}, err
	}
	if by.ActFor == "" || by.Ticket != "" {
		return p, nil
	}
	if p.Kind != ByKey {
		return Principal{}, errActFor
	}
	if p.User, err = a.actFor(ctx, by.ActFor); err != nil {
		return Principal{}, err
	}
	return p, nil
}

func (a *Authenticator) bearer(ctx context.Context, by Presented) (Principal, error) {
	if by.Ticket != "" {
		return a.byGrant(ctx, by.Ticket, streamTicket)
	}
	if by.Authorization == "" {
		if by.Cookie == "" {
			return Principal{}, nil
		}
		p, err := a.bySession(ctx, by.Cookie)
		p.ViaCookie = err == nil
		return p, err
	}
	token, err := bearer(by.Authorization)
	switch {
	case err != nil:
		return Principal{}, err
	case strings.HasPrefix(token, sessionPrefix):
		return a.bySession(ctx, token)
	case strings.HasPrefix(token, grantPrefix):
		return a.byGrant(ctx, token, userToken)
	case strings.HasPrefix(token, keyPrefix):
		return a.byKey(ctx, token)
	default:
		return Principal{}, errToken
	}
}

// bearer reads the token of an Authorization header (RFC 6750, 2.1; the scheme
// in any case, RFC 9110, 11.1).
func bearer(authorization string) (string, error) {
	const scheme = "Bearer "
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", errNotBearer
	}
	token := strings.TrimLeft(authorization[len(scheme):], " ")
	if token == "" || strings.ContainsAny(token, " \t,") {
		return "", errNotBearer
	}
	return token, nil
}

// actFor finds the user whom an API key names.
func (a *Authenticator) actFor(ctx context.Context, named string) (id freshet.ID, err error) {
	if ref, ok := strings.CutPrefix(named, "ref:"); ok {
		if err := freshet.CheckRef(UserHeader, ref); err != nil {
			return 0, err
		}
		id, err = a.options.UserByRef(ctx, ref)
	} else {
		if id, err = freshet.ParseID(named); err != nil {
			return 0, freshet.Invalid(UserHeader, "is neither an id nor ref:<ref>")
		}
		err = a.options.UserExists(ctx, id)
	}
	if freshet.CodeOf(err) == freshet.CodeNotFound {
		return 0, freshet.Invalid(UserHeader, "names a user who does not exist")
	}
	if err != nil {
		return 0, fmt.Errorf("find user to act for: %w", err)
	}
	return id, nil
}

// newToken draws a token and the hash by which it is stored.
func newToken(prefix string) (text string, hash [32]byte) {
	var raw [secretBytes]byte
	rand.Read(raw[:]) // never fails
	text = prefix + base64.RawURLEncoding.EncodeToString(raw[:])
	hash, _ = hashToken(text, prefix)
	return text, hash
}

// hashToken gives the hash of a text that can be a token with a prefix. The
// token is 256 random bits, so a plain SHA-256 can't be searched.
func hashToken(text, prefix string) (hash [32]byte, ok bool) {
	if len(text) != tokenLength || !strings.HasPrefix(text, prefix) {
		return hash, false
	}
	var buf [tokenLength]byte
	copy(buf[:], text)
	return sha256.Sum256(buf[:]), true
}

// committed gives the context for the fence after a write that has committed:
// it is carried out also where the caller has gone.
func committed(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
