//go:build !race

package access_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/freshet/freshet/access"
)

// Every request pays these: nothing, but for the text (32 and 40 B) under which
// a cache finds a hash. The race detector allocates by itself.
func TestHotPathAllocatesNothing(t *testing.T) {
	b := newBench(t)
	b.person(t, "ana")
	_, token := b.signIn(t, "ana")
	_, key := b.key(t, "host", false)
	l := access.NewLimiter(access.Limits{PerAddress: access.Rate{Count: 1 << 30, Per: time.Second}, Reads: access.Rate{Count: 1 << 30, Per: time.Second}})
	addr := netip.MustParseAddr("2001:db8::1")
	forwarded := []string{"203.0.113.9, 10.0.0.2"}
	bySession, byKey := access.Presented{Authorization: "Bearer " + token}, access.Presented{Authorization: "Bearer " + key}
	ctx := t.Context()

	texts := map[string]float64{"session": 1, "cookie": 1, "key": 1}
	for name, f := range map[string]func() error{
		"session": func() error { _, err := b.Authenticate(ctx, bySession); return err },
		"cookie":  func() error { _, err := b.Authenticate(ctx, access.Presented{Cookie: token}); return err },
		"key":     func() error { _, err := b.Authenticate(ctx, byKey); return err },
		"address": func() error { return l.Address(addr) },
		"user":    func() error { return l.User(7, false) },
		"client address": func() error {
			access.ClientAddr("10.0.0.1:80", forwarded, proxies)
			return nil
		},
	} {
		var err error
		allocs := testing.AllocsPerRun(1000, func() { err = f() })
		if err != nil || allocs != texts[name] {
			t.Errorf("%s allocates %v times; error %v", name, allocs, err)
		}
	}
}
