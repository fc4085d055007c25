package freshet

import "time"

// Session is one sign-in. The token itself is never stored: Hash is its SHA-256.
type Session struct {
	ID        ID
	User      ID
	Hash      [32]byte
	Admin     bool
	Agent     string // the client's User-Agent, cut to 200 bytes
	CreatedAt time.Time
	UsedAt    time.Time // moved at most hourly
	ExpiresAt time.Time
}

// APIKey lets a host product's backend act for its users. Like a session it is
// stored as a hash.
type APIKey struct {
	ID        ID
	Name      string
	Hash      [32]byte
	Admin     bool
	CreatedAt time.Time
	RevokedAt time.Time // zero: in force
}

// Idempotency is the claim of a request that bears an Idempotency-Key. It
// commits together with the write, so that a repeated request finds it.
type Idempotency struct {
	Key  [32]byte // SHA-256 of who asks and the key: keys of different callers never meet
	Hash [32]byte // of method, path and body
}

// Claim is what a store knows of an [Idempotency] that was used before.
type Claim struct {
	Hash    [32]byte
	Subject ID     // what the write made; zero: nothing new
	Status  int    // of the saved answer; zero: the process died before it was saved
	Answer  []byte // the saved body, sealed by package access
}
