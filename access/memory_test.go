package access_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// memory is the store that these tests run on: the ports that access needs, over
// maps. Its counters tell how often it was asked, its hooks run inside a verb.
type memory struct {
	mu       sync.Mutex
	lastID   freshet.ID
	users    map[freshet.ID]freshet.User
	creds    map[string]freshet.Credentials // by handle
	sessions map[freshet.ID]freshet.Session
	keys     map[freshet.ID]freshet.APIKey
	claims   map[[32]byte]freshet.Claim

	purged  time.Time // claims before it
	reads   int       // of sessions and keys by hash
	touched int
	fail    error  // of TouchSession, SessionByHash
	before  func() // CreateSession
	after   func() // CreateSession
	asked   func() // after SessionByHash has read
}

var (
	_ access.Store      = (*memory)(nil)
	_ store.Idempotency = (*memory)(nil)
)

func newMemory() *memory {
	return &memory{
		lastID:   freshet.NewID(1, 1, 0),
		users:    map[freshet.ID]freshet.User{},
		creds:    map[string]freshet.Credentials{},
		sessions: map[freshet.ID]freshet.Session{},
		keys:     map[freshet.ID]freshet.APIKey{},
		claims:   map[[32]byte]freshet.Claim{},
	}
}

func (m *memory) nextID() freshet.ID { m.lastID++; return m.lastID }

func (m *memory) addUser(handle, ref, hash string) freshet.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.nextID()
	m.users[id] = freshet.User{ID: id, Handle: handle, Ref: ref}
	m.creds[strings.ToLower(handle)] = freshet.Credentials{User: id, PasswordHash: hash}
	return id
}

func (m *memory) erase(id freshet.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.users, id)
}

func (m *memory) Users(_ context.Context, ids []freshet.ID) (found []freshet.User, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if u, ok := m.users[id]; ok {
			found = append(found, u)
		}
	}
	return found, nil
}

func (m *memory) UserByRef(_ context.Context, ref string) (freshet.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, u := range m.users {
		if u.Ref == ref {
			return id, nil
		}
	}
	return 0, freshet.NotFound("user")
}

func (m *memory) Credentials(_ context.Context, handle string) (freshet.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.creds[strings.ToLower(handle)]; ok {
		return c, nil
	}
	return freshet.Credentials{}, freshet.NotFound("user")
}

func (m *memory) SetPassword(_ context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[id]
	if !ok {
		return nil, freshet.NotFound("user")
	}
	c := m.creds[strings.ToLower(u.Handle)]
	c.PasswordHash, c.Admin = hash, c.Admin || admin
	m.creds[strings.ToLower(u.Handle)] = c
	for sid, s := range m.sessions {
		if s.User == id {
			ended = append(ended, s)
			delete(m.sessions, sid)
		}
	}
	return ended, nil
}

func (m *memory) CreateSession(_ context.Context, s freshet.Session, _ store.Write) (freshet.Session, position.Token, error) {
	if m.before != nil {
		m.before()
	}
	if m.after != nil {
		defer m.after() // deferred calls run from the last, so the lock is free
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ID = m.nextID()
	m.sessions[s.ID] = s
	return s, position.Token{}.Raise(position.Position{System: 1, Offset: uint64(s.ID)}), nil
}

func (m *memory) SessionByHash(_ context.Context, hash [32]byte) (freshet.Session, error) {
	s, err := m.sessionByHash(hash)
	if m.asked != nil {
		m.asked()
	}
	return s, err
}

func (m *memory) sessionByHash(hash [32]byte) (freshet.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.fail != nil {
		return freshet.Session{}, m.fail
	}
	for _, s := range m.sessions {
		if s.Hash == hash {
			return s, nil
		}
	}
	return freshet.Session{}, freshet.NotFound("session")
}

func (m *memory) TouchSession(_ context.Context, id freshet.ID, used, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	s, ok := m.sessions[id]
	if !ok {
		return freshet.NotFound("session")
	}
	m.touched++
	s.UsedAt, s.ExpiresAt = used, expires
	m.sessions[id] = s
	return nil
}

func (m *memory) Sessions(_ context.Context, user freshet.ID) (found []freshet.Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.User == user {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b freshet.Session) int { return int(a.ID - b.ID) })
	return found, nil
}

func (m *memory) EndSession(_ context.Context, user, id freshet.ID, _ store.Write) (freshet.Session, position.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[id]
	if !ok || s.User != user {
		return freshet.Session{}, nil, freshet.NotFound("session")
	}
	delete(m.sessions, id)
	return s, nil, nil
}

func (m *memory) PurgeSessions(_ context.Context, before time.Time) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.sessions {
		if s.ExpiresAt.Before(before) {
			delete(m.sessions, id)
			n++
		}
	}
	return n, nil
}

func (m *memory) CreateKey(_ context.Context, k freshet.APIKey) (freshet.APIKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.keys {
		if other.Name == k.Name && other.RevokedAt.IsZero() {
			return k, freshet.Conflict("name", "is taken")
		}
	}
	k.ID = m.nextID()
	m.keys[k.ID] = k
	return k, nil
}

func (m *memory) KeyByHash(_ context.Context, hash [32]byte) (freshet.APIKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	for _, k := range m.keys {
		if k.Hash == hash {
			return k, nil
		}
	}
	return freshet.APIKey{}, freshet.NotFound("API key")
}

func (m *memory) Keys(context.Context) (all []freshet.APIKey, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		all = append(all, k)
	}
	return all, nil
}

func (m *memory) RevokeKey(_ context.Context, name string, at time.Time) (freshet.APIKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range m.keys {
		if k.Name == name && k.RevokedAt.IsZero() {
			k.RevokedAt = at
			m.keys[id] = k
			return k, nil
		}
	}
	return freshet.APIKey{}, freshet.NotFound("API key")
}

func (m *memory) Claim(_ context.Context, key [32]byte) (freshet.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.claims[key]; ok {
		return c, nil
	}
	return freshet.Claim{}, freshet.NotFound("claim")
}

// write commits a claim with a fact, as an engine does.
func (m *memory) write(claim *freshet.Idempotency, subject freshet.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.claims[claim.Key]; ok {
		return store.ErrClaimed
	}
	m.claims[claim.Key] = freshet.Claim{Hash: claim.Hash, Subject: subject}
	return nil
}

func (m *memory) SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.claims[id.Key]
	c.Hash, c.Status, c.Answer = id.Hash, status, answer
	m.claims[id.Key] = c
	return nil
}

func (m *memory) PurgeClaims(_ context.Context, before time.Time) (int, error) {
	m.purged = before
	return 1, nil
}

func (m *memory) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// clock is a time that stands until a test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is an Authenticator over a memory, with a clock.
type bench struct {
	*access.Authenticator
	db    *memory
	clock *clock
	stack *cache.Stack
}

const rightPassword = "correct horse"

func newBench(t testing.TB, change ...func(*access.Options)) *bench {
	t.Helper()
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{db: newMemory(), clock: newClock(), stack: stack}
	o := access.Options{
		Store: b.db, Stack: stack, Now: b.clock.now,
		Secret:    []byte(strings.Repeat("s", 32)),
		Passwords: access.CheapPasswords(access.PasswordOptions{}),
		Hashes:    access.Rate{Count: 1 << 20, Per: time.Second}, // tests that are of them set their own
	}
	for _, f := range change {
		f(&o)
	}
	b.Authenticator = access.NewAuthenticator(o)
	return b
}

// person makes a user who can sign in with rightPassword.
func (b *bench) person(t testing.TB, handle string) freshet.ID {
	t.Helper()
	hash, err := b.HashPassword(t.Context(), rightPassword)
	if err != nil {
		t.Fatal(err)
	}
	return b.db.addUser(handle, "ref-"+handle, hash)
}

// signIn begins a session.
func (b *bench) signIn(t testing.TB, handle string) (freshet.Session, string) {
	t.Helper()
	s, token, _, err := b.SignIn(t.Context(), access.SignIn{Handle: handle, Password: rightPassword}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	return s, token
}

func (b *bench) key(t testing.TB, name string, admin bool) (freshet.APIKey, string) {
	t.Helper()
	k, text, err := b.CreateKey(t.Context(), name, admin)
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

// as authenticates by a bearer token.
func (b *bench) as(t testing.TB, token string) (access.Principal, error) {
	t.Helper()
	return b.Authenticate(t.Context(), access.Presented{Authorization: "Bearer " + token})
}

// serves checks that a token is accepted.
func (b *bench) serves(t testing.TB, token string) access.Principal {
	t.Helper()
	p, err := b.as(t, token)
	if err != nil {
		t.Fatalf("%.6s… is refused: %v", token, err)
	}
	return p
}

// refuses checks that a token is refused.
func (b *bench) refuses(t testing.TB, token string) {
	t.Helper()
	if p, err := b.as(t, token); freshet.CodeOf(err) != freshet.CodeUnauthenticated {
		t.Fatalf("%.6s… is %+v, %v; want unauthenticated", token, p, err)
	}
}

func wantCode(t testing.TB, err error, code freshet.Code) {
	t.Helper()
	if freshet.CodeOf(err) != code {
		t.Fatalf("error is %v (%q), want code %q", err, freshet.CodeOf(err), code)
	}
}
