package access

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// Rate is how many requests fit into a time; as many may come at once.
type Rate struct {
	Count int
	Per   time.Duration
}

func (r Rate) or(count int, per time.Duration) Rate {
	if r.Count <= 0 || r.Per <= 0 {
		return Rate{count, per}
	}
	return r
}

// Limits says how often callers may ask. Zero fields take their defaults.
type Limits struct {
	Writes     Rate // of one user; default 20 a second
	Reads      Rate // of one user; default 200 a second
	PerAddress Rate // default 1,000 a second
	Entries    int  // callers remembered for each of the three; default 100,000
	Now        func() time.Time
}

// Limiter counts the requests of users and addresses. It remembers a bounded
// number of callers: where more come, the one whose bucket is nearest to full is
// forgotten, which for an idle one loses nothing. Methods are safe for
// concurrent use and allocate nothing for a request that is let in.
type Limiter struct {
	now           func() time.Time
	start         time.Time
	writes, reads *gcra[freshet.ID]
	addresses     *gcra[[16]byte]
}

// NewLimiter makes a limiter that has seen nobody.
func NewLimiter(l Limits) *Limiter {
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Entries <= 0 {
		l.Entries = 100_000
	}
	return &Limiter{
		now:       l.Now,
		start:     l.Now(),
		writes:    newGCRA[freshet.ID](l.Writes.or(20, time.Second), l.Entries),
		reads:     newGCRA[freshet.ID](l.Reads.or(200, time.Second), l.Entries),
		addresses: newGCRA[[16]byte](l.PerAddress.or(1000, time.Second), l.Entries),
	}
}

// Address counts a request from an address and reports [freshet.CodeRateLimited]
// if it is one too many.
func (l *Limiter) Address(addr netip.Addr) error {
	return overAddress(l.addresses.take(network(addr), l.now().Sub(l.start)))
}

// Over reports what Address would, and counts nothing.
func (l *Limiter) Over(addr netip.Addr) error {
	return overAddress(l.addresses.look(network(addr), l.now().Sub(l.start)))
}

func overAddress(wait time.Duration) error {
	return limited(wait, "too many requests from your address")
}

// User counts a request of a user likewise.
func (l *Limiter) User(user freshet.ID, write bool) error {
	if write {
		return limited(l.writes.take(user, l.now().Sub(l.start)), "too many writes")
	}
	return limited(l.reads.take(user, l.now().Sub(l.start)), "too many reads")
}

func limited(wait time.Duration, message string) error {
	if wait <= 0 {
		return nil
	}
	return &freshet.Error{Code: freshet.CodeRateLimited, Message: message + "; try again later", RetryAfter: wait}
}

// network is what an address is counted as: IPv6 by its /64, which is what one
// customer gets (RFC 6177), so that nobody has 2^64 buckets.
func network(addr netip.Addr) [16]byte {
	if addr = addr.Unmap(); addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	return addr.As16()
}

// gcra is a token bucket for each key, as the generic cell rate algorithm keeps
// it (ITU-T I.371): one number, the time at which the bucket is full again. It
// takes 8 bytes a key where x/time/rate takes 80 and a pointer, and a key whose
// time has passed is as good as none, so that forgetting is free.
type gcra[K comparable] struct {
	interval time.Duration // between requests at the full rate
	burst    time.Duration // how far ahead of it one may be
	perShard int
	seed     maphash.Seed
	shards   [gcraShards]gcraShard[K]
}

type gcraShard[K comparable] struct {
	mu   sync.Mutex
	full map[K]time.Duration // when the bucket is full again, since start
}

const (
	gcraShards = 64
	gcraSample = 8 // keys looked at for one to forget, as Redis samples
)

func newGCRA[K comparable](r Rate, entries int) *gcra[K] {
	g := &gcra[K]{
		interval: max(1, r.Per/time.Duration(r.Count)),
		burst:    r.Per,
		perShard: max(1, entries/gcraShards),
		seed:     maphash.MakeSeed(),
	}
	for i := range g.shards {
		g.shards[i].full = make(map[K]time.Duration)
	}
	return g
}

// take takes one request from key's bucket at a time since start, or says how
// long until one is there; then it takes nothing.
func (g *gcra[K]) take(key K, now time.Duration) (wait time.Duration) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.full[key]
	next, over := g.next(at, now)
	if over > 0 {
		return over
	}
	if !known && len(s.full) >= g.perShard {
		s.forgetOne()
	}
	s.full[key] = next
	return 0
}

// look says what take would, and takes nothing.
func (g *gcra[K]) look(key K, now time.Duration) (wait time.Duration) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := g.next(s.full[key], now)
	return max(0, over)
}

// next says when a bucket that is full again at a time will be so after one more
// request, and how much that is over the burst.
func (g *gcra[K]) next(at, now time.Duration) (next, over time.Duration) {
	next = max(at, now) + g.interval
	return next, next - now - g.burst
}

// forget fills key's bucket.
func (g *gcra[K]) forget(key K) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.full, key)
}

func (g *gcra[K]) shard(key K) *gcraShard[K] {
	return &g.shards[maphash.Comparable(g.seed, key)%gcraShards]
}

// forgetOne removes the fullest bucket of a sample; the map begins its iteration
// at random.
func (s *gcraShard[K]) forgetOne() {
	var fullest K
	earliest, seen := time.Duration(math.MaxInt64), 0
	for key, at := range s.full {
		if at < earliest {
			fullest, earliest = key, at
		}
		if seen++; seen == gcraSample {
			break
		}
	}
	delete(s.full, fullest)
}
