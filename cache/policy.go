package cache

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy says how long a space keeps what it has read and how long it waits for the source. The zero
// Policy is a good one: a field left at zero takes its default, and a negative one switches off what can
// be switched off.
//
// The same rule makes overrides: a Policy in Options.Policies replaces, field by field, what the program
// has set, as far as its fields are not zero.
type Policy struct {
	// TTL is how long a value is served without asking the source again, counted from when its load
	// began, so that no value is served which the source last confirmed longer ago than this (and the
	// 10 ms that the clock may lag). At most a century. Default 1 min.
	TTL time.Duration
	// Jitter is the fraction of TTL and NegativeTTL by which an entry may end early, drawn at random for each,
	// so that what was loaded together does not expire together. At most 1. Default 0.1; negative: none.
	Jitter float64
	// StaleFor is how long past its TTL a value may still be served while the source fails or is slower than
	// SoftTimeout. Default 0: never.
	StaleFor time.Duration
	// NegativeTTL is how long an absence is remembered. Default 10 s, or TTL where that is shorter;
	// negative: each read of an absent key asks the source.
	NegativeTTL time.Duration
	// RefreshAhead is how eagerly a value that is read is loaded again before its TTL ends, so that its readers never wait:
	// XFetch's beta. At 1 a value whose load takes d is loaded again about d before its end, at a time drawn anew for
	// each entry, so that nodes don't do it together; twice that early at 2. Default 0: not at all.
	RefreshAhead float64
	// SoftTimeout is how long a caller waits for the source where a stale value could be served instead; the load
	// goes on behind him. Default 0: as long as HardTimeout.
	SoftTimeout time.Duration
	// HardTimeout is the deadline of a load, whoever waits for it. Default 5 s.
	HardTimeout time.Duration
	// MaxEntries bounds the entries in memory, absences included. Default 65,536.
	MaxEntries int
	// MaxBytes bounds the memory of a space with Space.Weigh, in place of MaxEntries. Default 64 MiB.
	MaxBytes int
	// MaxLoads bounds the loads in flight, each being one call of the loader. A read that would begin another
	// one gets a stale value where there is one, else ErrBusy, at once: a queue before a source that is
	// already late would only make it later. Default 1,024.
	MaxLoads int
	// AuditEvery is of how many reads that memory answers one is audited, GetMany being one read: the auditor asks the source
	// for the key once more, beside the reader's way, and counts a stale read (Stats.StaleReads) where the value should have
	// been forgotten by then. 50 a second and node are audited at most. Not for sources that change without telling the cache, which
	// it would report. Default Options.AuditEvery; negative: none.
	AuditEvery int
}

// century is the longest time that an entry may live or be stale: more nanoseconds might not fit the clock.
const century = 100 * 365 * 24 * time.Hour

// validate reports the fields that make no sense in p or in an override.
func (p Policy) validate() error {
	var errs []error
	refuse := func(bad bool, field string, value any) {
		if bad {
			errs = append(errs, fmt.Errorf("%s is %v", field, value))
		}
	}
	refuse(p.TTL < 0 || p.TTL > century, "TTL", p.TTL)
	refuse(p.StaleFor > century, "StaleFor", p.StaleFor)
	refuse(p.NegativeTTL > century, "NegativeTTL", p.NegativeTTL)
	refuse(!(p.Jitter <= 1), "Jitter", p.Jitter)                      // also NaN
	refuse(!(p.RefreshAhead <= 1000), "RefreshAhead", p.RefreshAhead) // also NaN
	refuse(p.HardTimeout < 0, "HardTimeout", p.HardTimeout)
	refuse(p.MaxEntries < 0, "MaxEntries", p.MaxEntries)
	refuse(p.MaxBytes < 0, "MaxBytes", p.MaxBytes)
	refuse(p.MaxLoads < 0, "MaxLoads", p.MaxLoads)
	return errors.Join(errs...)
}

// resolve returns the policy in force: what override sets, else what p sets, else the defaults, with zero
// for what is switched off. auditEvery is the stack's default.
func (p Policy) resolve(override Policy, auditEvery int) Policy {
	ttl := cmp.Or(override.TTL, p.TTL, time.Minute)
	return Policy{
		TTL:          ttl,
		Jitter:       max(0, cmp.Or(override.Jitter, p.Jitter, 0.1)),
		StaleFor:     max(0, cmp.Or(override.StaleFor, p.StaleFor)),
		NegativeTTL:  max(0, cmp.Or(override.NegativeTTL, p.NegativeTTL, min(ttl, 10*time.Second))),
		RefreshAhead: max(0, cmp.Or(override.RefreshAhead, p.RefreshAhead)),
		SoftTimeout:  max(0, cmp.Or(override.SoftTimeout, p.SoftTimeout)),
		HardTimeout:  cmp.Or(override.HardTimeout, p.HardTimeout, 5*time.Second),
		MaxEntries:   cmp.Or(override.MaxEntries, p.MaxEntries, 1<<16),
		MaxBytes:     cmp.Or(override.MaxBytes, p.MaxBytes, 64<<20),
		MaxLoads:     cmp.Or(override.MaxLoads, p.MaxLoads, 1024),
		AuditEvery:   max(0, cmp.Or(override.AuditEvery, p.AuditEvery, auditEvery)),
	}
}

// ttl is the longest that an entry of a value, or of an absence, stays fresh in memory.
func (c *Cache[K, V]) ttl(found bool) time.Duration {
	ttl := c.policy.TTL
	if !found {
		ttl = c.policy.NegativeTTL
	}
	if c.boundedByAge() {
		ttl = min(ttl, c.stack.options.MaxStale)
	}
	return ttl
}

// boundedByAge reports whether an entry must end MaxStale after its load, because nobody tells of fences, nor of changes.
func (c *Cache[K, V]) boundedByAge() bool {
	return c.stack.remote != nil && c.stack.channel == nil && !c.stack.options.Feed && !c.stack.options.OnlyNode
}

// lifetime draws how long an entry of a value, or of an absence, stays fresh.
func (p Policy) lifetime(found bool) time.Duration {
	ttl := p.TTL
	if !found {
		ttl = p.NegativeTTL
	}
	return ttl - time.Duration(rand.Float64()*p.Jitter*float64(ttl))
}
