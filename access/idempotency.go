package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// IdempotencyOptions says what [Idempotency] works with. Store and Secret are required.
type IdempotencyOptions struct {
	Store  store.Idempotency
	Secret []byte        // seals answers: Secrets.Key(ForAnswers)
	Keep   time.Duration // of answers; default 24 h
	Now    func() time.Time
}

// Idempotency answers a request that bears an Idempotency-Key once, however
// often it comes. Methods are safe for concurrent use.
//
//	Begin ─┬─ Fresh ── write, the claim commits with it ── Save ── Release
//	       ├─ Resumed ─ the write is there, its answer is not: make the answer from Subject ── Save
//	       └─ Replayed ─ Status and Answer are those of the first time
//
// What runs in this process is known here; what another process runs at the same
// time is found by its claim, which only one write can commit.
type Idempotency struct {
	store store.Idempotency
	seal  seal
	keep  time.Duration
	now   func() time.Time

	mu      sync.Mutex
	running map[[32]byte][32]byte // key → hash of the request; as many as there are requests in flight
}

// NewIdempotency makes an Idempotency. It panics without a Secret of 32 bytes.
func NewIdempotency(o IdempotencyOptions) *Idempotency {
	requireSecret(o.Secret)
	if o.Keep <= 0 {
		o.Keep = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Idempotency{
		store: o.Store, seal: seal{o.Secret}, keep: o.Keep, now: o.Now,
		running: make(map[[32]byte][32]byte),
	}
}

// State says what is left to do for a request.
type State uint8

// The states.
const (
	Fresh    State = iota // all
	Resumed               // the write is done, the answer is not saved
	Replayed              // nothing: the answer is there
)

// Try is one request under an idempotency key. It belongs to one goroutine, which
// calls Release when the answer is made, whatever the answer is.
type Try struct {
	State   State
	Claim   *freshet.Idempotency // Fresh: for store.Write
	Subject freshet.ID           // Resumed: what the write made; zero: nothing new
	Status  int                  // Replayed
	Answer  []byte               // Replayed

	in       *Idempotency
	id       freshet.Idempotency
	scope    string
	text     string // of the key
	released bool
}

const maxIdempotencyKey = 255

var (
	errRunning = &freshet.Error{
		Code: freshet.CodeInProgress, Field: IdempotencyHeader, RetryAfter: time.Second,
		Message: "is of a request that still runs",
	}
	errReused = &freshet.Error{
		Code: freshet.CodeKeyReused, Field: IdempotencyHeader,
		Message: "came with another request before",
	}
)

// Begin starts a request of a caller ([Principal.Scope]) under a key; hash is of
// its method, path and body. It reports [freshet.CodeInvalid] for a key that is
// not 1 to 255 printable characters of ASCII, [freshet.CodeKeyReused] where the
// key came with another hash, and [freshet.CodeInProgress] while the same request
// runs.
func (i *Idempotency) Begin(ctx context.Context, scope, key string, hash [32]byte) (*Try, error) {
	if err := checkIdempotencyKey(key); err != nil {
		return nil, err
	}
	t := &Try{in: i, id: freshet.Idempotency{Key: claimKey(scope, key), Hash: hash}, scope: scope, text: key}
	if err := i.enter(t.id); err != nil {
		return nil, err
	}
	if err := t.Again(ctx); err != nil {
		t.Release()
		return nil, err
	}
	return t, nil
}

// Again reads what the store knows of the key by now. It is for a write that
// failed with [store.ErrClaimed]: another process was faster.
func (t *Try) Again(ctx context.Context) error {
	c, err := t.in.store.Claim(ctx, t.id.Key)
	switch {
	case freshet.CodeOf(err) == freshet.CodeNotFound:
		t.State, t.Claim = Fresh, &t.id
		return nil
	case err != nil:
		return fmt.Errorf("read idempotency claim: %w", err)
	case c.Hash != t.id.Hash:
		return errReused
	}
	t.State, t.Claim, t.Subject = Resumed, nil, c.Subject
	if c.Status == 0 {
		return nil
	}
	answer, ok := t.in.seal.open(t, c.Status, c.Answer)
	if ok { // else the server's secret has changed, and the answer is as good as lost
		t.State, t.Status, t.Answer = Replayed, c.Status, answer
	}
	return nil
}

const saveTimeout = 5 * time.Second

// Save keeps the answer for whoever asks again. Only what succeeded (2xx) is
// kept; everything else may be tried again. It goes on where ctx has ended,
// because a client that has gone is one that will ask again.
func (t *Try) Save(ctx context.Context, status int, answer []byte) error {
	if status < 200 || status > 299 || t.State == Replayed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	sealed, err := t.in.seal.close(t, status, answer)
	if err == nil {
		err = t.in.store.SaveAnswer(ctx, t.id, status, sealed)
	}
	if err != nil {
		return fmt.Errorf("save idempotent answer: %w", err)
	}
	return nil
}

// Release lets the next request with the key in. It may be called twice.
func (t *Try) Release() {
	if !t.released { // else another request may hold the key by now
		t.released = true
		t.in.leave(t.id.Key)
	}
}

// Purge removes claims and answers older than they are kept, and tells how many.
func (i *Idempotency) Purge(ctx context.Context) (int, error) {
	return i.store.PurgeClaims(ctx, i.now().Add(-i.keep))
}

// enter notes that a request runs, unless one with its key does.
func (i *Idempotency) enter(id freshet.Idempotency) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if hash, runs := i.running[id.Key]; runs {
		if hash != id.Hash {
			return errReused
		}
		return errRunning
	}
	i.running[id.Key] = id.Hash
	return nil
}

func (i *Idempotency) leave(key [32]byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, key)
}

func checkIdempotencyKey(key string) error {
	if key == "" || len(key) > maxIdempotencyKey {
		return freshet.Invalid(IdempotencyHeader, "must have 1 to %d characters", maxIdempotencyKey)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return freshet.Invalid(IdempotencyHeader, "may hold only printable characters of ASCII")
		}
	}
	return nil
}

// claimKey names a caller's key in the store. The length comes first, so that no
// two pairs read the same.
func claimKey(scope, key string) [32]byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(scope)+len(key)), uint32(len(scope)))
	return sha256.Sum256(append(append(b, scope...), key...))
}
