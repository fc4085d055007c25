package storetest

import (
	"bytes"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var accessCases = []testCase{
	{"ASessionLivesUntilItIsEnded", testSession},
	{"ExpiredSessionsArePurged", testPurgeSessions},
	{"AKeyIsInForceUntilItIsRevoked", testKeys},
	{"ASecretStaysTheSame", testSecrets},
	{"TheStoreIsReady", func(e *env) { e.ok(e.Ready(e.Context())) }},
}

// instant is a time that every engine keeps without loss.
var instant = time.Date(2024, 11, 22, 10, 0, 0, 123456000, time.UTC)

// session makes a session with a hash of its own.
func (e *env) session(user freshet.ID, n byte) freshet.Session {
	e.Helper()
	s, at, err := e.CreateSession(e.Context(), freshet.Session{
		User: user, Hash: hash(n, byte(user), byte(user>>8), byte(user>>20)), Agent: "agent", CreatedAt: instant, UsedAt: instant, ExpiresAt: instant.Add(time.Hour),
	}, store.Write{})
	e.ok(err)
	if len(at) == 0 {
		e.Fatal("no token")
	}
	return s
}

func hash(b ...byte) (h [32]byte) {
	copy(h[:], b)
	return h
}

func testSession(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	s := e.session(a, 1)
	e.same("what was returned", s, freshet.Session{
		ID: s.ID, User: a, Hash: s.Hash, Agent: "agent", CreatedAt: instant, UsedAt: instant, ExpiresAt: instant.Add(time.Hour),
	})
	two := e.session(a, 2)
	e.session(b, 3)
	used, expires := instant.Add(time.Minute), instant.Add(2*time.Hour)
	e.ok(e.TouchSession(ctx, s.ID, used, expires))
	s.UsedAt, s.ExpiresAt = used, expires
	read, err := e.SessionByHash(ctx, s.Hash)
	e.ok(err)
	e.same("by hash, though expired long ago", read, s)
	all, err := e.Sessions(ctx, a)
	e.ok(err)
	if len(all) == 2 && all[0].ID != s.ID {
		all[0], all[1] = all[1], all[0]
	}
	e.same("sessions of a user", all, []freshet.Session{s, two})

	_, _, err = e.EndSession(ctx, b, s.ID, store.Write{})
	e.code(err, freshet.CodeNotFound)
	ended, _, err := e.EndSession(ctx, a, s.ID, store.Write{})
	e.ok(err)
	e.same("what was ended", ended, s)
	_, err = e.SessionByHash(ctx, s.Hash)
	e.code(err, freshet.CodeNotFound)
	_, _, err = e.EndSession(ctx, a, s.ID, store.Write{})
	e.code(err, freshet.CodeNotFound)
	e.code(e.TouchSession(ctx, s.ID, used, expires), freshet.CodeNotFound)
	_, _, err = e.CreateSession(ctx, freshet.Session{User: 42, Hash: hash(9), ExpiresAt: instant}, store.Write{})
	e.code(err, freshet.CodeNotFound)
	now, _, err := e.CreateSession(ctx, freshet.Session{User: a, Hash: hash(8), Admin: true, ExpiresAt: instant}, store.Write{})
	e.ok(err)
	e.same("times that nobody gave, and admin", []bool{now.CreatedAt.IsZero(), now.UsedAt.IsZero(), now.Admin}, []bool{false, false, true})
}

func testPurgeSessions(e *env) {
	a := e.user("a")
	var kept []freshet.Session
	for i := range 6 {
		s := e.session(a, byte(i))
		if i%2 == 0 {
			e.ok(e.TouchSession(e.Context(), s.ID, instant, instant.Add(time.Duration(-i)*time.Second)))
		} else {
			kept = append(kept, s)
		}
	}
	n, err := e.PurgeSessions(e.Context(), instant)
	e.ok(err)
	e.same("purged: what expired before, not at, the time", n, 2)
	all, err := e.Sessions(e.Context(), a)
	e.ok(err)
	e.same("sessions left", len(all), len(kept)+1)
}

func testKeys(e *env) {
	ctx := e.Context()
	name := e.handle("key")
	k, err := e.CreateKey(ctx, freshet.APIKey{Name: name, Hash: hash(1), Admin: true, CreatedAt: instant})
	e.ok(err)
	e.same("what was returned", k, freshet.APIKey{ID: k.ID, Name: name, Hash: hash(1), Admin: true, CreatedAt: instant})
	_, err = e.CreateKey(ctx, freshet.APIKey{Name: name, Hash: hash(2)})
	e.code(err, freshet.CodeConflict)
	read, err := e.KeyByHash(ctx, hash(1))
	e.ok(err)
	e.same("by hash", read, k)
	_, err = e.KeyByHash(ctx, hash(2))
	e.code(err, freshet.CodeNotFound)

	gone, err := e.RevokeKey(ctx, name, instant.Add(time.Hour))
	e.ok(err)
	k.RevokedAt = instant.Add(time.Hour)
	e.same("what was revoked", gone, k)
	read, err = e.KeyByHash(ctx, hash(1))
	e.ok(err)
	e.same("by hash, after its end", read, k)
	_, err = e.RevokeKey(ctx, name, instant)
	e.code(err, freshet.CodeNotFound)
	again, err := e.CreateKey(ctx, freshet.APIKey{Name: name, Hash: hash(2), CreatedAt: instant})
	e.ok(err)
	all, err := e.Keys(ctx)
	e.ok(err)
	e.same("all keys", all, []freshet.APIKey{k, again})
}

func testSecrets(e *env) {
	const callers = 8
	var got [callers][]byte
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = e.Secret(e.Context(), "cursors"); err != nil {
				e.Error(err)
			}
		})
	}
	wg.Wait()
	other, err := e.Secret(e.Context(), "tokens")
	e.ok(err)
	for _, s := range got {
		if len(s) != 32 || !bytes.Equal(s, got[0]) || bytes.Equal(s, other) {
			e.Fatalf("secrets %x and %x; another name's is %x", s, got[0], other)
		}
	}
}
