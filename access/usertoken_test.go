package access_test

import (
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

func TestMintUserToken(t *testing.T) {
	b := newBench(t)
	ana := b.person(t, "ana")
	k, _ := b.key(t, "root", true)
	asKey := access.Principal{Kind: access.ByKey, Key: k.ID, Admin: true}

	for name, tt := range map[string]struct {
		p    access.Principal
		user freshet.ID
		ttl  time.Duration
		code freshet.Code
	}{
		"default":    {asKey, ana, 0, ""},
		"short":      {asKey, ana, time.Minute, ""},
		"longest":    {asKey, ana, time.Hour, ""},
		"too long":   {asKey, ana, time.Hour + 1, freshet.CodeInvalid},
		"too short":  {asKey, ana, time.Millisecond, freshet.CodeInvalid},
		"negative":   {asKey, ana, -time.Minute, freshet.CodeInvalid},
		"nobody":     {asKey, 0, 0, freshet.CodeMalformed},
		"stranger":   {asKey, 12345, 0, freshet.CodeNotFound},
		"anonymous":  {access.Principal{}, ana, 0, freshet.CodeUnauthenticated},
		"session":    {access.Principal{Kind: access.BySession, User: ana}, ana, 0, freshet.CodeForbidden},
		"user token": {access.Principal{Kind: access.ByUserToken, User: ana, Key: k.ID}, ana, 0, freshet.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			token, expires, err := b.MintUserToken(t.Context(), tt.p, tt.user, tt.ttl)
			if wantCode(t, err, tt.code); err != nil {
				return
			}
			ttl := tt.ttl
			if ttl == 0 {
				ttl = time.Hour
			}
			if !expires.Equal(b.clock.now().Add(ttl)) || len(token) != 79 {
				t.Errorf("%q expires %v", token, expires)
			}
			if p := b.serves(t, token); p.User != ana || p.Admin {
				t.Errorf("token is of %+v", p)
			}
		})
	}
}

func TestUserTokenExpires(t *testing.T) {
	b := newBench(t)
	ana := b.person(t, "ana")
	k, _ := b.key(t, "host", false)
	token, _, err := b.MintUserToken(t.Context(), access.Principal{Kind: access.ByKey, Key: k.ID}, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.advance(59 * time.Second)
	b.serves(t, token)
	b.clock.advance(time.Second)
	b.refuses(t, token)
}

// A user token is in force as long as the key that made it, and as its user.
func TestUserTokenDiesWithItsKey(t *testing.T) {
	for name, end := range map[string]func(b *bench, k freshet.APIKey, user freshet.ID) error{
		"revoked here": func(b *bench, k freshet.APIKey, _ freshet.ID) error {
			_, err := b.RevokeKey(t.Context(), k.Name)
			return err
		},
		"revoked elsewhere": func(b *bench, k freshet.APIKey, _ freshet.ID) error {
			b.db.RevokeKey(t.Context(), k.Name, b.clock.now())
			return b.Fence(t.Context(), store.Change{Kind: store.KeyRevoked, Subject: k.ID})
		},
		"user erased": func(b *bench, _ freshet.APIKey, user freshet.ID) error {
			b.db.erase(user)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ana := b.person(t, "ana")
			k, _ := b.key(t, "host", false)
			token, _, err := b.MintUserToken(t.Context(), access.Principal{Kind: access.ByKey, Key: k.ID}, ana, 0)
			if err != nil {
				t.Fatal(err)
			}
			b.serves(t, token)
			if err := end(b, k, ana); err != nil {
				t.Fatal(err)
			}
			b.refuses(t, token)
		})
	}
}

func TestGrantsThatAreNotOurs(t *testing.T) {
	b, other := newBench(t), newBench(t, func(o *access.Options) { o.Secret = make([]byte, 32) })
	ana := b.person(t, "ana")
	k, _ := b.key(t, "host", false)
	later := b.clock.now().Add(time.Minute).Unix()
	good := b.Seal(1, ana, k.ID, later)
	b.serves(t, good)
	b.refuses(t, other.Seal(1, ana, k.ID, later))
	b.refuses(t, b.Seal(0, ana, k.ID, later))
	b.refuses(t, b.Seal(9, ana, k.ID, later))
	b.refuses(t, b.Seal(1, ana, k.ID+1000, later))
	b.refuses(t, b.Seal(1, ana, 0, later))
	b.refuses(t, b.Seal(1, ana, k.ID, -1))
	for i := 3; i < len(good); i++ {
		bent := []byte(good)
		bent[i] ^= 1
		b.refuses(t, string(bent))
	}
}
