package access

import "github.com/freshet/freshet"

// CheapPasswords hashes with the least that argon2id allows, for tests in which
// passwords are not the point.
func CheapPasswords(o PasswordOptions) *Passwords {
	p := NewPasswords(o)
	p.cost = argon{memory: 8, passes: 1, threads: 1}
	return p
}

// Occupy takes a place to hash in and gives what frees it.
func (p *Passwords) Occupy() (free func()) {
	p.slots <- struct{}{}
	return func() { <-p.slots }
}

// Seal signs a grant, as MintUserToken does, whatever it says.
func (a *Authenticator) Seal(p byte, user, issuer freshet.ID, expires int64) string {
	return a.grants.seal(grant{purpose(p), user, issuer, expires})
}

// RunningTries is how many requests hold an idempotency key.
func (i *Idempotency) RunningTries() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.running)
}

// Remembered is how many callers a limiter remembers.
func (l *Limiter) Remembered() (n int) {
	for i := range l.addresses.shards {
		n += len(l.addresses.shards[i].full)
	}
	return n
}

// MaxEnded is how many tombstones empty the cache.
const MaxEnded = maxEnded

// Tombstones is how many sessions are refused by their id.
func (a *Authenticator) Tombstones() int {
	a.ended.mu.RLock()
	defer a.ended.mu.RUnlock()
	return len(a.ended.ids)
}

// ParsePHC reads a password hash and writes it again.
func ParsePHC(s string) (string, error) {
	h, err := parsePHC(s)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// Bearer reads an Authorization header.
var Bearer = bearer

// CheckIdempotencyKey checks a key.
var CheckIdempotencyKey = checkIdempotencyKey

// ClaimKey names a caller's key.
var ClaimKey = claimKey

// Occupy takes a place to hash in, likewise.
func (a *Authenticator) Occupy() (free func()) { return a.passwords.Occupy() }
