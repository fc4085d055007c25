package access_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"pgregory.net/rapid"
)

func newLimiter(c *clock, l access.Limits) *access.Limiter {
	l.Now = c.now
	return access.NewLimiter(l)
}

func TestDefaultLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		ask  func(l *access.Limiter) error
		want int
	}{
		"writes":  {func(l *access.Limiter) error { return l.User(1, true) }, 20},
		"reads":   {func(l *access.Limiter) error { return l.User(1, false) }, 200},
		"address": {func(l *access.Limiter) error { return l.Address(netip.MustParseAddr("192.0.2.1")) }, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			l := newLimiter(c, access.Limits{})
			for i := range tt.want {
				if err := tt.ask(l); err != nil {
					t.Fatalf("request %d: %v", i+1, err)
				}
			}
			err := tt.ask(l)
			wantCode(t, err, freshet.CodeRateLimited)
			wait := err.(*freshet.Error).RetryAfter
			if wait != time.Second/time.Duration(tt.want) {
				t.Errorf("retry after %v", wait)
			}
			c.advance(wait - 1)
			wantCode(t, tt.ask(l), freshet.CodeRateLimited)
			c.advance(1)
			wantCode(t, tt.ask(l), "")
			wantCode(t, tt.ask(l), freshet.CodeRateLimited)
		})
	}
}

// Reads, writes and users do not use up each other's share.
func TestLimitsAreApart(t *testing.T) {
	l := newLimiter(newClock(), access.Limits{Writes: access.Rate{Count: 1, Per: time.Hour}, Reads: access.Rate{Count: 1, Per: time.Hour}})
	for _, user := range []freshet.ID{1, 2} {
		for _, write := range []bool{true, false} {
			wantCode(t, l.User(user, write), "")
			wantCode(t, l.User(user, write), freshet.CodeRateLimited)
		}
	}
}

func TestAddressesByNetwork(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b string
		same bool
	}{
		"IPv4":               {"192.0.2.1", "192.0.2.2", false},
		"IPv4 in IPv6":       {"192.0.2.1", "::ffff:192.0.2.1", true},
		"one /64":            {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		"two /64":            {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"zone":               {"fe80::1%eth0", "fe80::1", true},
		"IPv4 and its /64":   {"192.0.2.1", "::1", false},
		"zone that is no /0": {"fe80::1%eth0", "fe81::1%eth0", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(newClock(), access.Limits{PerAddress: access.Rate{Count: 1, Per: time.Hour}})
			wantCode(t, l.Address(netip.MustParseAddr(tt.a)), "")
			if err := l.Address(netip.MustParseAddr(tt.b)); (err != nil) != tt.same {
				t.Errorf("%s after %s: %v", tt.b, tt.a, err)
			}
		})
	}
	wantCode(t, newLimiter(newClock(), access.Limits{}).Address(netip.Addr{}), "") // no address at all: one bucket
}

// A bucket of so many tokens that fills steadily is what the limiter must be.
func TestLimiterIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := access.Rate{
			Count: rapid.IntRange(1, 1000).Draw(t, "count"),
			Per:   time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Hour)).Draw(t, "per")),
		}
		c := newClock()
		l := newLimiter(c, access.Limits{Writes: rate})
		interval := rate.Per / time.Duration(rate.Count)
		credit := rate.Per
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			pause := time.Duration(rapid.Int64Range(0, int64(2*interval)).Draw(t, "pause"))
			c.advance(pause)
			credit = min(rate.Per, credit+pause)
			err := l.User(1, true)
			if want := credit >= interval; want != (err == nil) {
				t.Fatalf("with credit %v of %v: %v", credit, interval, err)
			}
			if err == nil {
				credit -= interval
			} else if wait := err.(*freshet.Error).RetryAfter; wait != interval-credit {
				t.Fatalf("retry after %v, want %v", wait, interval-credit)
			}
		}
	})
}

// However many callers there are, few are remembered, and those over their limit
// longer than those who are idle.
func TestLimiterMemoryIsBounded(t *testing.T) {
	c := newClock()
	l := newLimiter(c, access.Limits{PerAddress: access.Rate{Count: 2, Per: time.Hour}, Entries: 6400})
	busy := netip.MustParseAddr("192.0.2.1")
	for l.Address(busy) == nil {
	}
	var raw [4]byte
	for i := range 30_000 {
		binary.BigEndian.PutUint32(raw[:], 10<<24|uint32(i))
		wantCode(t, l.Address(netip.AddrFrom4(raw)), "")
	}
	if n := l.Remembered(); n > 6400 || n < 6000 {
		t.Errorf("%d callers are remembered, want about 6,400", n)
	}
	wantCode(t, l.Address(busy), freshet.CodeRateLimited)
}

func TestLimiterCountsExactly(t *testing.T) {
	l := newLimiter(newClock(), access.Limits{Writes: access.Rate{Count: 100, Per: time.Hour}})
	var let atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if l.User(1, true) == nil {
					let.Add(1)
				}
			}
		})
	}
	if wg.Wait(); let.Load() != 100 {
		t.Errorf("let in %d of 100", let.Load())
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := access.NewLimiter(access.Limits{PerAddress: access.Rate{Count: 1 << 30, Per: time.Second}})
	addr := netip.MustParseAddr("2001:db8::1")
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Address(addr)
		}
	})
	b.Run("always new", func(b *testing.B) {
		b.ReportAllocs()
		raw := addr.As16()
		var i uint64
		for b.Loop() {
			i++
			binary.BigEndian.PutUint64(raw[:], i)
			l.Address(netip.AddrFrom16(raw))
		}
	})
}
