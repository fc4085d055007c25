package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet"
	"golang.org/x/crypto/argon2"
)

const (
	maxPassword  = 1024 // bytes
	hashesAtOnce = 2    // each takes 19 MiB and about 31 ms of one core
)

// PasswordOptions says which passwords are accepted. Zero fields take their defaults.
type PasswordOptions struct {
	Min  int           // characters; default 8
	Wait time.Duration // for one of the two places to hash in, then 503; default 2 s
}

// Passwords hashes and checks passwords with argon2id (RFC 9106), 19 MiB and two
// passes (OWASP's floor), at most two at once. Methods are safe for concurrent use.
type Passwords struct {
	min   int
	wait  time.Duration
	slots chan struct{}
	cost  argon
}

// argon is the cost of a hash.
type argon struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

var defaultCost = argon{memory: 19 << 10, passes: 2, threads: 1}

// NewPasswords makes a hasher.
func NewPasswords(o PasswordOptions) *Passwords {
	if o.Min <= 0 {
		o.Min = 8
	}
	if o.Wait <= 0 {
		o.Wait = 2 * time.Second
	}
	return &Passwords{min: o.Min, wait: o.Wait, slots: make(chan struct{}, hashesAtOnce), cost: defaultCost}
}

// Hash checks the length of a password and gives its hash as a PHC string with
// the parameters in it.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if utf8.RuneCountInString(password) < p.min {
		return "", freshet.Invalid("password", "must have at least %d characters", p.min)
	}
	if err := checkLongest(password); err != nil {
		return "", err
	}
	h := phc{cost: p.cost, salt: make([]byte, 16)}
	rand.Read(h.salt) // never fails
	sum, err := p.derive(ctx, password, h.cost, h.salt, 32)
	if err != nil {
		return "", err
	}
	h.sum = sum
	return h.String(), nil
}

// Verify reports whether a password has a hash. An empty hash, which no password
// has, costs as much as a wrong password.
func (p *Passwords) Verify(ctx context.Context, hash, password string) (bool, error) {
	if err := checkLongest(password); err != nil {
		return false, err
	}
	h := phc{cost: p.cost, salt: make([]byte, 16), sum: make([]byte, 32)}
	if hash != "" {
		var err error
		if h, err = parsePHC(hash); err != nil {
			return false, fmt.Errorf("read password hash: %w", err)
		}
	}
	sum, err := p.derive(ctx, password, h.cost, h.salt, len(h.sum))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, h.sum) == 1 && hash != "", nil
}

func checkLongest(password string) error {
	if len(password) > maxPassword {
		return freshet.Invalid("password", "is longer than %d bytes", maxPassword)
	}
	return nil
}

var errBusy = &freshet.Error{
	Code: freshet.CodeUnavailable, RetryAfter: time.Second,
	Message: "too many people sign in at once; try again",
}

// derive waits for a place and computes the hash in it.
func (p *Passwords) derive(ctx context.Context, password string, c argon, salt []byte, length int) ([]byte, error) {
	patience := time.NewTimer(p.wait)
	defer patience.Stop()
	select {
	case p.slots <- struct{}{}:
	case <-patience.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.slots }()
	return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.threads, uint32(length)), nil
}

// phc is a hash in the PHC string format,
// $argon2id$v=19$m=19456,t=2,p=1$salt$sum (github.com/P-H-C/phc-string-format).
type phc struct {
	cost      argon
	salt, sum []byte
}

func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.cost.memory, h.cost.passes, h.cost.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
}

var errPHC = errors.New("not an argon2id hash in PHC format")

// parsePHC reads what String writes, with costs up to 1 GiB, 64 passes and 16
// threads: a hash is data, and must not be able to stop the process.
func parsePHC(s string) (phc, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	cost := strings.Split(fields[3], ",")
	if len(cost) != 3 {
		return phc{}, errPHC
	}
	m, okM := parameter(cost[0], "m=", 1<<20)
	t, okT := parameter(cost[1], "t=", 64)
	p, okP := parameter(cost[2], "p=", 16)
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(fields[4])
	sum, errSum := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	switch {
	case !okM, !okT, !okP, errSalt != nil, errSum != nil,
		strings.ContainsAny(s, "\r\n"), // which base64 passes over
		len(salt) < 8, len(salt) > 64, len(sum) < 16, len(sum) > 64:
		return phc{}, errPHC
	}
	return phc{cost: argon{memory: m, passes: t, threads: uint8(p)}, salt: salt, sum: sum}, nil
}

// parameter reads name and a decimal number from 1 to max in its only form.
func parameter(s, name string, max uint32) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n >= 1 && n <= uint64(max) && strconv.FormatUint(n, 10) == digits
}
