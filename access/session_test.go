package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

func TestSignIn(t *testing.T) {
	b := newBench(t)
	ana := b.person(t, "ana")
	b.db.addUser("keyonly", "", "") // made by an API key: has no password

	s, token, at, err := b.SignIn(t.Context(), access.SignIn{Handle: "ANA", Password: rightPassword, Agent: strings.Repeat("é", 150)}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	if s.User != ana || !s.ExpiresAt.Equal(b.clock.now().Add(24*time.Hour)) || len(at) != 1 || len(s.Agent) != 200 {
		t.Errorf("session is %+v at %v", s, at)
	}
	if !strings.HasPrefix(token, "fs_") || strings.Contains(string(s.Hash[:]), token[3:]) {
		t.Errorf("token is %q", token)
	}
	if p := b.serves(t, token); p.User != ana || p.Session != s.ID {
		t.Errorf("token is of %+v", p)
	}

	for name, in := range map[string]access.SignIn{
		"wrong password": {Handle: "ana", Password: "wrong horse"},
		"empty password": {Handle: "ana"},
		"unknown handle": {Handle: "bob", Password: rightPassword},
		"empty handle":   {Password: rightPassword},
		"no password":    {Handle: "keyonly", Password: ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, token, _, err := b.SignIn(t.Context(), in, store.Write{})
			if wantCode(t, err, freshet.CodeUnauthenticated); token != "" || err.Error() != "handle or password is wrong" {
				t.Errorf("got %q, %v", token, err)
			}
		})
	}
	_, _, _, err = b.SignIn(t.Context(), access.SignIn{Handle: "ana", Password: strings.Repeat("x", 1025)}, store.Write{})
	wantCode(t, err, freshet.CodeInvalid)
}

// Revocation reaches a session that is cached and in use.
func TestRevokedSessionIsRefusedAtOnce(t *testing.T) {
	for name, revoke := range map[string]func(b *bench, s freshet.Session) error{
		"sign-out": func(b *bench, s freshet.Session) error {
			_, err := b.SignOut(context.Background(), s.User, s.ID, store.Write{})
			return err
		},
		"new password": func(b *bench, s freshet.Session) error {
			return b.SetPassword(context.Background(), s.User, "another horse", false)
		},
		"erasure": func(b *bench, s freshet.Session) error {
			ended, _, err := b.db.EndSession(context.Background(), s.User, s.ID, store.Write{})
			return errors.Join(err, b.Ended(context.Background(), ended))
		},
		"caller gone after the commit": func(b *bench, s freshet.Session) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := b.SignOut(ctx, s.User, s.ID, store.Write{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.person(t, "ana")
			s, token := b.signIn(t, "ana")
			b.serves(t, token)
			if err := revoke(b, s); err != nil {
				t.Fatal(err)
			}
			b.refuses(t, token)
		})
	}
}

// What another process ended arrives by the change feed, by id.
func TestFenceEndsCachedSession(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	s, token := b.signIn(t, "ana")
	_, other := b.signIn(t, "ana")
	b.serves(t, token)
	b.serves(t, other)
	reads := b.db.reads
	b.db.EndSession(t.Context(), s.User, s.ID, store.Write{})

	change := store.Change{Kind: store.SessionEnded, Subject: s.ID, Object: s.User}
	for range 2 { // twice is harmless
		if err := b.Fence(t.Context(), change, store.Change{Kind: store.PostCreated, Subject: 1}); err != nil {
			t.Fatal(err)
		}
	}
	b.refuses(t, token)
	b.serves(t, other)
	if b.db.reads != reads {
		t.Error("one session's end emptied the cache")
	}

	b.db.EndSession(t.Context(), s.User, b.serves(t, other).Session, store.Write{})
	if err := b.Fence(t.Context(), store.Change{Kind: store.UserErased, Subject: s.User}); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, other)
}

// Tombstones are bounded: many of them are exchanged for one emptied cache.
func TestTombstonesAreBounded(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	s, token := b.signIn(t, "ana")
	b.serves(t, token)
	b.db.EndSession(t.Context(), s.User, s.ID, store.Write{})
	for i := range access.MaxEnded + 10 {
		c := store.Change{Kind: store.SessionEnded, Subject: freshet.ID(i + 1)}
		if i == 0 {
			c.Subject = s.ID
		}
		if err := b.Fence(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if i == 0 || i == access.MaxEnded || i%1000 == 0 {
			b.refuses(t, token)
		}
	}
	if n := b.Tombstones(); n != 10 {
		t.Errorf("%d tombstones are left, want 10", n)
	}
}

func TestExpiredSessionIsRefused(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	s, token := b.signIn(t, "ana")
	b.clock.advance(24*time.Hour - time.Second)
	b.serves(t, token)
	b.clock.advance(time.Second)
	b.refuses(t, token)
	reads := b.db.reads
	b.refuses(t, token)
	if b.db.reads != reads {
		t.Error("each request with an expired token reads the store")
	}
	if live, err := b.ListSessions(t.Context(), s.User); err != nil || len(live) != 0 {
		t.Errorf("listed are %v, %v", live, err)
	}
	if n, err := b.PurgeSessions(t.Context()); n != 0 || err != nil {
		t.Errorf("purged %d at once, %v", n, err)
	}
	b.clock.advance(time.Hour + time.Second)
	if n, err := b.PurgeSessions(t.Context()); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// Another node may have moved the end of a session that is cached here.
func TestExpiredInCacheIsReadAgain(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	s, token := b.signIn(t, "ana")
	b.serves(t, token)
	b.clock.advance(24 * time.Hour)
	if err := b.db.TouchSession(t.Context(), s.ID, b.clock.now(), b.clock.now().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.serves(t, token)
}

// A session slides, and its use is written at most hourly.
func TestSessionSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		b.person(t, "ana")
		_, token := b.signIn(t, "ana")
		for range 4 * 30 { // 30 hours, a request each quarter
			b.clock.advance(15 * time.Minute)
			for range 3 {
				b.serves(t, token)
			}
			synctest.Wait()
		}
		if b.db.touched != 30 {
			t.Errorf("written %d times in 30 hours", b.db.touched)
		}
		b.clock.advance(24 * time.Hour)
		b.refuses(t, token)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestFailedTouchFailsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures atomic.Int32
		b := newBench(t, func(o *access.Options) { o.TouchFailed = func(error) { failures.Add(1) } })
		go b.Run(t.Context())
		b.person(t, "ana")
		_, token := b.signIn(t, "ana")
		b.serves(t, token)
		b.clock.advance(2 * time.Hour)
		b.db.locked(func() { b.db.fail = errors.New("disk full") })
		b.serves(t, token)
		synctest.Wait()
		b.db.locked(func() { b.db.fail = nil })
		b.serves(t, token)
		synctest.Wait()
		if failures.Load() != 1 || b.db.touched != 1 {
			t.Errorf("%d failures and %d touches, want one of each", failures.Load(), b.db.touched)
		}
	})
}

// Requests do not wait for touches, and what waits is bounded, also where
// nobody takes them.
func TestTouchesAreBounded(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	tokens := make([]string, 1100)
	for i := range tokens {
		_, tokens[i] = b.signIn(t, "ana")
	}
	b.clock.advance(2 * time.Hour)
	for _, token := range tokens {
		b.serves(t, token)
		b.serves(t, token)
	}
}

// A sign-in under the old password that overlaps a change of it leaves no session.
func TestSignInDuringPasswordChange(t *testing.T) {
	for name, hook := range map[string]func(m *memory, change func()){
		"before the session is there": func(m *memory, change func()) { m.before = change },
		"after":                       func(m *memory, change func()) { m.after = change },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ana := b.person(t, "ana")
			hook(b.db, func() {
				if err := b.SetPassword(t.Context(), ana, "another horse", false); err != nil {
					t.Error(err)
				}
			})
			_, _, _, err := b.SignIn(t.Context(), access.SignIn{Handle: "ana", Password: rightPassword}, store.Write{})
			wantCode(t, err, freshet.CodeUnauthenticated)
			if live, _ := b.ListSessions(t.Context(), ana); len(live) != 0 {
				t.Errorf("sessions under the old password: %v", live)
			}
		})
	}
}

// A load that read a session before it ended must not bring it back.
func TestSlowLoadDoesNotRevive(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	s, token := b.signIn(t, "ana")
	read, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.db.asked = func() { once.Do(func() { close(read); <-goOn }) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.as(t, token) // overlaps: may be served
	}()
	<-read
	if _, err := b.SignOut(t.Context(), s.User, s.ID, store.Write{}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	<-done
	b.refuses(t, token)
}

// Under load, no request that begins after a sign-out returned is served.
func TestSignOutUnderLoad(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	for range 50 {
		s, token := b.signIn(t, "ana")
		var out atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					gone := out.Load()
					if _, err := b.as(t, token); gone && err == nil {
						t.Error("served after the sign-out was acknowledged")
					}
				}
			})
		}
		if _, err := b.SignOut(t.Context(), s.User, s.ID, store.Write{}); err != nil {
			t.Fatal(err)
		}
		out.Store(true)
		wg.Wait()
		b.refuses(t, token)
	}
}

func TestSignInAttemptsAreLimited(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	b.person(t, "bob")
	try := func(handle, password string) error {
		_, _, _, err := b.SignIn(t.Context(), access.SignIn{Handle: handle, Password: password}, store.Write{})
		return err
	}
	for range 10 {
		wantCode(t, try("ana", "wrong horse"), freshet.CodeUnauthenticated)
	}
	err := try("Ana", rightPassword)
	wantCode(t, err, freshet.CodeRateLimited)
	if wait := err.(*freshet.Error).RetryAfter; wait <= 0 || wait > time.Minute {
		t.Errorf("retry after %v", wait)
	}
	wantCode(t, try("bob", rightPassword), "")
	b.clock.advance(6 * time.Second)
	wantCode(t, try("ana", rightPassword), "") // and forgets the failures
	for range 10 {
		wantCode(t, try("ana", "wrong horse"), freshet.CodeUnauthenticated)
	}
}

// A right password is no failure, however many come together.
func TestRightSignInsAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *access.Options) {
			o.Passwords = access.CheapPasswords(access.PasswordOptions{Wait: time.Hour})
		})
		b.person(t, "ana")
		free := []func(){b.Occupy(), b.Occupy()}
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() {
				if _, _, _, err := b.SignIn(t.Context(), access.SignIn{Handle: "ana", Password: rightPassword}, store.Write{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all are in progress
		for _, f := range free {
			f()
		}
		wg.Wait()
	})
}

// Guesses that come together, all admitted before the first has failed, are told
// no more than those that come one by one.
func TestGuessesTogetherAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *access.Options) {
			o.Passwords = access.CheapPasswords(access.PasswordOptions{Wait: time.Hour})
			o.SignIns = access.Rate{Count: 3, Per: time.Minute}
		})
		b.person(t, "ana")
		free := []func(){b.Occupy(), b.Occupy()}
		codes := make(chan freshet.Code, 20)
		guess := func(password string) {
			_, _, _, err := b.SignIn(t.Context(), access.SignIn{Handle: "ana", Password: password}, store.Write{})
			codes <- freshet.CodeOf(err)
		}
		for i := range 19 {
			go guess(fmt.Sprint("wrong horse ", i))
		}
		synctest.Wait()
		go guess(rightPassword) // waits behind the others
		synctest.Wait()
		free[0]() // one place: the order of waiting holds
		told := map[freshet.Code]int{}
		for range 20 {
			told[<-codes]++
		}
		if told[freshet.CodeUnauthenticated] != 3 || told[freshet.CodeRateLimited] != 17 {
			t.Errorf("told were %v, want 3 guesses wrong and 17 refused", told)
		}
		free[1]()
	})
}

// What is hashed for one network is limited, whatever the handle, so that it
// can't keep both places to hash in.
func TestHashingIsLimitedByNetwork(t *testing.T) {
	b := newBench(t, func(o *access.Options) { o.Hashes = access.Rate{} })
	b.person(t, "ana")
	here, there := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	n := 0
	try := func(in access.SignIn) error {
		n++
		in.Handle, in.Password = fmt.Sprint("nobody", n), rightPassword
		_, _, _, err := b.SignIn(t.Context(), in, store.Write{})
		return err
	}
	for range 30 {
		wantCode(t, try(access.SignIn{Addr: here}), freshet.CodeUnauthenticated)
		wantCode(t, b.AdmitHashing(here, false), "")
	}
	err := try(access.SignIn{Addr: here.Next()})
	wantCode(t, err, freshet.CodeRateLimited)
	if e := err.(*freshet.Error); e.RetryAfter != time.Second || e.Field != "" {
		t.Errorf("refused with %+v", e)
	}
	wantCode(t, b.AdmitHashing(here, false), freshet.CodeRateLimited)
	wantCode(t, try(access.SignIn{Addr: there}), freshet.CodeUnauthenticated)
	for range 100 { // this machine
		wantCode(t, try(access.SignIn{Addr: here, Exempt: true}), freshet.CodeUnauthenticated)
		wantCode(t, b.AdmitHashing(here, true), "")
	}
	b.clock.advance(time.Second)
	wantCode(t, b.AdmitHashing(here, false), "")
	wantCode(t, b.AdmitHashing(here, false), freshet.CodeRateLimited)
}

func BenchmarkAuthenticate(b *testing.B) {
	a := newBench(b, func(o *access.Options) { o.Now = nil })
	ana := a.person(b, "ana")
	_, session := a.signIn(b, "ana")
	k, key := a.key(b, "host", false)
	grant, _, err := a.MintUserToken(b.Context(), access.Principal{Kind: access.ByKey, Key: k.ID}, ana, 0)
	if err != nil {
		b.Fatal(err)
	}
	for name, token := range map[string]string{"session": session, "key": key, "user token": grant} {
		b.Run(name, func(b *testing.B) {
			by := access.Presented{Authorization: "Bearer " + token}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), by); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPassword(b *testing.B) {
	p := access.NewPasswords(access.PasswordOptions{})
	for b.Loop() {
		if _, err := p.Verify(b.Context(), "", rightPassword); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStoreErrorIsInternal(t *testing.T) {
	b := newBench(t)
	broken := errors.New("disk gone")
	b.db.fail = broken
	_, err := b.as(t, "fs_"+strings.Repeat("A", 43))
	if !errors.Is(err, broken) || freshet.CodeOf(err) != "" {
		t.Errorf("got %v, want an internal error", err)
	}
}
