package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet"
)

// grant is what a signed token says. Nothing of it is stored: it holds as long
// as it says, and no longer than who issued it.
type grant struct {
	purpose purpose
	user    freshet.ID
	issuer  freshet.ID // an API key
	expires int64      // Unix seconds
}

// purpose says where a grant is accepted.
type purpose byte

const (
	userToken    purpose = 1 // as Authorization
	streamTicket purpose = 2 // in the address of a stream
)

// ticketTTL is short because addresses are logged.
const ticketTTL = time.Minute

// grants signs and opens grants:
//
//	ft_ + base64url(purpose, user 8, issuer 8, expires 8, HMAC-SHA-256 32)
type grants struct{ key []byte }

const (
	grantBody   = 1 + 8 + 8 + 8
	grantSigned = grantBody + sha256.Size // 57, a multiple of 3: each token has one spelling
)

func (g grants) seal(t grant) string {
	raw := make([]byte, 0, grantSigned)
	raw = append(raw, byte(t.purpose))
	raw = binary.BigEndian.AppendUint64(raw, uint64(t.user))
	raw = binary.BigEndian.AppendUint64(raw, uint64(t.issuer))
	raw = binary.BigEndian.AppendUint64(raw, uint64(t.expires))
	return grantPrefix + base64.RawURLEncoding.EncodeToString(g.mac(raw))
}

func (g grants) open(text string) (t grant, ok bool) {
	var raw [grantSigned]byte
	encoded, ok := strings.CutPrefix(text, grantPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return t, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(encoded)); err != nil || n != len(raw) {
		return t, false
	}
	if !hmac.Equal(g.mac(slices.Clone(raw[:grantBody])), raw[:]) {
		return t, false
	}
	return grant{
		purpose: purpose(raw[0]),
		user:    freshet.ID(binary.BigEndian.Uint64(raw[1:])),
		issuer:  freshet.ID(binary.BigEndian.Uint64(raw[9:])),
		expires: int64(binary.BigEndian.Uint64(raw[17:])),
	}, true
}

func (g grants) mac(body []byte) []byte {
	h := hmac.New(sha256.New, g.key)
	h.Write(body)
	return h.Sum(body)
}

// MintUserToken makes a token with which a browser or an app of the host product
// speaks for a user: at most [Options.UserTokenTTL] long (zero: just so long), no
// longer than the API key that asks for it is in force, and never as
// administrator.
func (a *Authenticator) MintUserToken(ctx context.Context, p Principal, user freshet.ID, ttl time.Duration) (token string, expires time.Time, err error) {
	if err := p.RequireKey(); err != nil {
		return "", expires, err
	}
	if user == 0 {
		return "", expires, errNoUser
	}
	if ttl == 0 {
		ttl = a.options.UserTokenTTL
	}
	if ttl < time.Second || ttl > a.options.UserTokenTTL {
		return "", expires, freshet.Invalid("ttl", "must be between 1s and %v", a.options.UserTokenTTL)
	}
	if user != p.User { // else it was looked up with the request
		if err := a.options.UserExists(ctx, user); err != nil {
			return "", expires, err
		}
	}
	token, expires = a.issue(grant{purpose: userToken, user: user, issuer: p.Key}, ttl)
	return token, expires, nil
}

// MintTicket makes a ticket by which a browser opens a stream of live events for a user, within a minute: its EventSource sends no
// headers.
func (a *Authenticator) MintTicket(p Principal) (ticket string, expires time.Time, err error) {
	if err := p.RequireKey(); err != nil {
		return "", expires, err
	}
	user, err := p.RequireUser()
	if err != nil {
		return "", expires, err
	}
	ticket, expires = a.issue(grant{purpose: streamTicket, user: user, issuer: p.Key}, ticketTTL)
	return ticket, expires, nil
}

func (a *Authenticator) issue(g grant, ttl time.Duration) (string, time.Time) {
	g.expires = a.now().Add(ttl).Unix()
	return a.grants.seal(g), time.Unix(g.expires, 0).UTC()
}

// byGrant accepts a grant for a purpose while its issuer is in force and its user exists.
func (a *Authenticator) byGrant(ctx context.Context, text string, as purpose) (Principal, error) {
	g, ok := a.grants.open(text)
	if !ok || g.purpose != as || a.now().Unix() >= g.expires {
		return Principal{}, errToken
	}
	return a.granted(ctx, g)
}

func (a *Authenticator) granted(ctx context.Context, g grant) (Principal, error) {
	k, err := a.key(ctx, keyRef{id: g.issuer})
	if err != nil {
		return Principal{}, err
	}
	switch err := a.options.UserExists(ctx, g.user); {
	case freshet.CodeOf(err) == freshet.CodeNotFound:
		return Principal{}, errToken
	case err != nil:
		return Principal{}, fmt.Errorf("find user of token: %w", err)
	}
	return Principal{Kind: ByUserToken, User: g.user, Key: k.ID, KeyName: k.Name}, nil
}
