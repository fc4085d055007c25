package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// SignIn is an attempt to sign in.
type SignIn struct {
	Handle   string
	Password string
	Agent    string     // the client's User-Agent
	Addr     netip.Addr // the client's, by which failures and hashes are counted
	Exempt   bool       // as [Principal].Exempt: hashes are not counted
}

const maxAgent = 200 // bytes

var errPassword = &freshet.Error{Code: freshet.CodeUnauthenticated, Message: "handle or password is wrong"}

// SignIn checks a password and begins a session. Its token is given this once
// and can't be had again: where a claim in w was used before and its answer is
// lost, sign in anew without the claim.
//
// An unknown handle is answered like a wrong password, after the same work. Of
// one address and handle ten attempts fail a minute ([Options.SignIns]), and what
// more are tried is not answered, right or wrong; a right password that is
// answered forgets them. Right ones that come together do not count.
func (a *Authenticator) SignIn(ctx context.Context, in SignIn, w store.Write) (s freshet.Session, token string, at position.Token, err error) {
	who := attempt(in)
	if err := a.admitSignIn(who, in); err != nil {
		return s, "", nil, err
	}
	c, err := a.checkPassword(ctx, in)
	if err = a.answer(who, err); err != nil {
		return s, "", nil, err
	}
	token, hash := newToken(sessionPrefix)
	now := a.now()
	s, at, err = a.store.CreateSession(ctx, freshet.Session{
		User: c.User, Hash: hash, Admin: c.Admin, Agent: cut(in.Agent, maxAgent),
		CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(a.options.SessionTTL),
	}, w)
	if err != nil {
		return freshet.Session{}, "", nil, err
	}
	if err := a.confirm(ctx, in.Handle, c, s); err != nil {
		return freshet.Session{}, "", nil, err
	}
	a.failures.forget(who)
	return s, token, at, a.sessions.Invalidate(committed(ctx), hash)
}

// admitSignIn refuses, before anything is hashed for it, an attempt whose kind
// has failed too often or whose network has had too much hashed.
func (a *Authenticator) admitSignIn(who [32]byte, in SignIn) error {
	if err := tooManyFailures(a.failures.look(who, a.elapsed())); err != nil {
		return err
	}
	return a.AdmitHashing(in.Addr, in.Exempt)
}

// answer counts an attempt that has failed. Attempts that ran side by side were
// all admitted; as many of them are told right or wrong as if they had come one
// after the other, so that guesses gain nothing by coming together.
func (a *Authenticator) answer(who [32]byte, outcome error) error {
	count := a.failures.look
	switch outcome {
	case nil:
	case errPassword:
		count = a.failures.take
	default: // says nothing of the password
		return outcome
	}
	if err := tooManyFailures(count(who, a.elapsed())); err != nil {
		return err
	}
	return outcome
}

func tooManyFailures(wait time.Duration) error {
	return limited(wait, "too many attempts to sign in")
}

// AdmitHashing counts a password that is to be hashed for an address, unless the
// caller is [Principal].Exempt, and reports [freshet.CodeRateLimited] where there
// were too many ([Options.Hashes]): two are hashed at once for everybody, so one
// client who kept both places busy would keep everybody else out. SignIn does
// so by itself; ask before HashPassword.
func (a *Authenticator) AdmitHashing(addr netip.Addr, exempt bool) error {
	if exempt {
		return nil
	}
	return limited(a.hashes.take(network(addr), a.elapsed()), "too many passwords from your address")
}

// elapsed is the time of the limits.
func (a *Authenticator) elapsed() time.Duration { return a.now().Sub(a.start) }

// checkPassword gives the credentials that an attempt is right for.
func (a *Authenticator) checkPassword(ctx context.Context, in SignIn) (freshet.Credentials, error) {
	c, err := a.store.Credentials(ctx, in.Handle)
	if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	ok, err := a.passwords.Verify(ctx, c.PasswordHash, in.Password)
	if err == nil && !ok {
		err = errPassword
	}
	return c, err
}

// confirm ends a new session again if the password changed while it was
// checked: the change ended only the sessions that were there.
//
//	sign-in       reads hash ─────── verifies ─── session ── reads hash again
//	new password                 ▲ ends sessions, commits
func (a *Authenticator) confirm(ctx context.Context, handle string, checked freshet.Credentials, s freshet.Session) error {
	c, err := a.store.Credentials(ctx, handle)
	if err == nil && c == checked {
		return nil
	}
	if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
		err = fmt.Errorf("read credentials: %w", err)
	} else {
		err = errPassword
	}
	if _, _, failed := a.store.EndSession(committed(ctx), s.User, s.ID, store.Write{}); failed != nil && freshet.CodeOf(failed) != freshet.CodeNotFound {
		err = fmt.Errorf("end session that began under an old password: %w", failed)
	}
	return err
}

// attempt is what failures are counted by.
func attempt(in SignIn) [32]byte {
	from := network(in.Addr)
	return sha256.Sum256(append(from[:], strings.ToLower(in.Handle)...))
}

func cut(s string, max int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= max {
		return s
	}
	for !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

// SignOut ends a session of a user. When it returns nil, no node that shares this
// one's cache serves the session's token. With [cache.ErrUnconfirmed] the session
// has ended, but another node may serve it until it hears of that.
func (a *Authenticator) SignOut(ctx context.Context, user, session freshet.ID, w store.Write) (position.Token, error) {
	s, at, err := a.store.EndSession(ctx, user, session, w)
	if err != nil {
		return nil, err
	}
	return at, a.Ended(ctx, s)
}

// ListSessions gives the sessions of a user that are in force.
func (a *Authenticator) ListSessions(ctx context.Context, user freshet.ID) ([]freshet.Session, error) {
	all, err := a.store.Sessions(ctx, user)
	if err != nil {
		return nil, err
	}
	now, live := a.now(), all[:0:0]
	for _, s := range all {
		if now.Before(s.ExpiresAt) {
			live = append(live, s)
		}
	}
	return live, nil
}

// HashPassword checks a new password and gives what [freshet.NewUser] stores of it.
func (a *Authenticator) HashPassword(ctx context.Context, password string) (string, error) {
	return a.passwords.Hash(ctx, password)
}

// SetPassword gives a user a new password and ends all the user's sessions. With
// admin the user becomes an administrator.
func (a *Authenticator) SetPassword(ctx context.Context, user freshet.ID, password string, admin bool) error {
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	ended, err := a.store.SetPassword(ctx, user, hash, admin)
	if err != nil {
		return err
	}
	return a.Ended(ctx, ended...)
}

// Ended fences sessions that the store has ended, also by another station's
// write: the erasure of a user reports them. It returns when every node has
// confirmed that, or with [cache.ErrUnconfirmed].
func (a *Authenticator) Ended(ctx context.Context, sessions ...freshet.Session) error {
	if len(sessions) == 0 {
		return nil
	}
	hashes := make([][32]byte, len(sessions))
	for i, s := range sessions {
		hashes[i] = s.Hash
	}
	if err := a.sessions.InvalidateConfirmed(committed(ctx), hashes...); err != nil {
		return fmt.Errorf("fence sessions: %w", err)
	}
	return nil
}

// PurgeSessions removes sessions that expired more than an hour ago, and tells
// how many.
func (a *Authenticator) PurgeSessions(ctx context.Context) (int, error) {
	// A use that was let in just before the end may not have been noted yet.
	return a.store.PurgeSessions(ctx, a.now().Add(-time.Hour))
}

// bySession is the hot path: every request of a person takes it.
func (a *Authenticator) bySession(ctx context.Context, token string) (Principal, error) {
	hash, ok := hashToken(token, sessionPrefix)
	if !ok {
		return Principal{}, errToken
	}
	now := a.now()
	s, err := a.sessions.Get(ctx, hash)
	if err == nil && !now.Before(s.ExpiresAt) {
		s, err = a.reread(ctx, hash)
	}
	switch {
	case errors.Is(err, cache.ErrNotFound):
		return Principal{}, errToken
	case err != nil:
		return Principal{}, fmt.Errorf("read session: %w", err)
	case a.ended.has(s.ID):
		return Principal{}, errToken
	}
	if now.Sub(s.UsedAt) >= a.touchEvery() {
		a.touches.add(s)
	}
	return Principal{Kind: BySession, User: s.User, Admin: s.Admin, Session: s.ID}, nil
}

// reread looks at the store where a cached session has expired: another node may
// have moved its end meanwhile. If none has, the absence is cached.
func (a *Authenticator) reread(ctx context.Context, hash [32]byte) (*freshet.Session, error) {
	if err := a.sessions.Invalidate(ctx, hash); err != nil {
		return nil, err
	}
	return a.sessions.Get(ctx, hash)
}

// loadSessions reads sessions by their hashes; what has expired is absent.
func (a *Authenticator) loadSessions(ctx context.Context, hashes [][32]byte) (map[[32]byte]*freshet.Session, error) {
	found := make(map[[32]byte]*freshet.Session, len(hashes))
	for _, hash := range hashes {
		s, err := a.store.SessionByHash(ctx, hash)
		switch {
		case freshet.CodeOf(err) == freshet.CodeNotFound:
		case err != nil:
			return nil, err
		case a.now().Before(s.ExpiresAt):
			found[hash] = &s
		}
	}
	return found, nil
}
