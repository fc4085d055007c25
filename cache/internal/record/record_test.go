package record_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/internal/record"
	"github.com/freshet/freshet/position"
)

var (
	start = time.Unix(1_700_000_000, 0)
	one   = []byte("stamp-of-value-1:one")
	two   = []byte("stamp-of-value-2:two")
)

func at(offset uint64) position.Position {
	return position.Position{System: 7, Timeline: 1, Offset: offset}
}

func after(d time.Duration) time.Time { return start.Add(d) }

func lease(n byte) cache.LeaseAsk {
	return cache.LeaseAsk{Lease: cache.ID{n}, Holder: cache.ID{100 + n}, TTL: time.Second}
}

func fill(n byte, value []byte) cache.Fill {
	return cache.Fill{Lease: cache.ID{n}, Value: value, TTL: 10 * time.Second}
}

// must is for transitions that a test takes for granted.
func must(r record.Record, ok bool) record.Record {
	if !ok {
		panic("refused")
	}
	return r
}

func leased(old record.Record, ask cache.LeaseAsk, now time.Time) record.Record {
	r, answer := record.Lease(old, ask, now)
	return must(r, answer.Granted)
}

func filled(value []byte) record.Record {
	return must(record.Fill(leased(record.Record{}, lease(1), start), fill(1, value), start))
}

func Example() {
	now := time.Unix(1_700_000_000, 0)
	ask := cache.LeaseAsk{Lease: cache.ID{1}, TTL: time.Second}
	r, answer := record.Lease(record.Record{}, ask, now)
	fmt.Println(answer.Granted, r.View().State == cache.Leased)

	r = record.Fence(r, cache.Fence{At: position.Position{System: 1, Offset: 9}, TTL: time.Minute}, now)
	_, ok := record.Fill(r, cache.Fill{Lease: cache.ID{1}, Value: []byte("read before the fence"), TTL: time.Minute}, now)
	fmt.Println(ok)

	_, answer = record.Lease(r, cache.LeaseAsk{Lease: cache.ID{2}, TTL: time.Second}, now)
	fmt.Println(answer.Granted, answer.Fence.Offset)
	// Output:
	// true true
	// false
	// true 9
}

func TestLeaseIsGranted(t *testing.T) {
	renewing := leased(filled(one), with(lease(2), func(a *cache.LeaseAsk) { a.Renew = cache.Stamp(one) }), start)
	for _, c := range []struct {
		name string
		old  record.Record
		ask  cache.LeaseAsk
		want bool
		then cache.State
	}{
		{"absent", record.Record{}, lease(3), true, cache.Leased},
		{"a tombstone", record.Fence(record.Record{}, cache.Fence{TTL: time.Minute}, start), lease(3), true, cache.Leased},
		{"leased", leased(record.Record{}, lease(1), start), lease(3), false, cache.Leased},
		{"leased, over its lease", leased(record.Record{}, lease(1), start), over(lease(3), 1), true, cache.Leased},
		{"leased, over another", leased(record.Record{}, lease(1), start), over(lease(3), 2), false, cache.Leased},
		{"leased long ago", leased(record.Record{}, lease(1), after(-2*time.Second)), lease(3), true, cache.Leased},
		{"filled", filled(one), lease(3), false, cache.Filled},
		{"filled, to renew", filled(one), renew(lease(3), one), true, cache.Renewing},
		{"filled, to renew another", filled(one), renew(lease(3), two), false, cache.Filled},
		{"filled, over a lease", filled(one), over(lease(3), 1), false, cache.Filled},
		{"renewing", renewing, renew(lease(3), one), false, cache.Renewing},
		{"renewing, over its lease", renewing, over(lease(3), 2), true, cache.Renewing},
	} {
		r, answer := record.Lease(c.old, c.ask, start)
		if answer.Granted != c.want || answer.Record.State != c.then {
			t.Errorf("%s: granted %t and %v, want %t and %v", c.name, answer.Granted, answer.Record.State, c.want, c.then)
		}
		if bears := r.Lease[0] == 3; bears != c.want {
			t.Errorf("%s: the record bears lease %v", c.name, r.Lease[0])
		}
	}
}

func with(a cache.LeaseAsk, change func(*cache.LeaseAsk)) cache.LeaseAsk {
	change(&a)
	return a
}

func over(a cache.LeaseAsk, n byte) cache.LeaseAsk {
	return with(a, func(a *cache.LeaseAsk) { a.Over = cache.ID{n} })
}

func renew(a cache.LeaseAsk, value []byte) cache.LeaseAsk {
	return with(a, func(a *cache.LeaseAsk) { a.Renew = cache.Stamp(value) })
}

func TestFillNeedsItsLease(t *testing.T) {
	held := leased(record.Record{}, lease(1), start)
	if _, ok := record.Fill(held, fill(2, two), start); ok {
		t.Error("filled under another lease")
	}
	if _, ok := record.Fill(held, fill(1, one), after(time.Second)); ok {
		t.Error("filled under a lease that had ended")
	}
	if _, ok := record.Fill(record.Record{}, cache.Fill{Value: one, TTL: time.Second}, start); ok {
		t.Error("filled under no lease")
	}
	if _, ok := record.Fill(record.Fence(held, cache.Fence{TTL: time.Minute}, start), fill(1, one), start); ok {
		t.Error("filled under a lease that a fence had ended")
	}
	r, ok := record.Fill(held, fill(1, one), start)
	if got := r.View(); !ok || got.State != cache.Filled || !bytes.Equal(got.Value, one) {
		t.Errorf("filled %t: %v", ok, got)
	}
	if _, ok := record.Fill(r, fill(1, two), start); ok {
		t.Error("filled twice under one lease")
	}
	if got := r.At(after(10 * time.Second)).View(); got.State != cache.Absent {
		t.Errorf("after its TTL the value is %v", got)
	}
}

func TestReleaseLeavesWhatWasThere(t *testing.T) {
	fenced := record.Fence(record.Record{}, cache.Fence{At: at(5), TTL: time.Minute}, start)
	r := must(record.Release(leased(fenced, lease(1), start), cache.Held{Lease: cache.ID{1}}, start))
	if r.View().State != cache.Absent || r.Fence != at(5) {
		t.Errorf("after a release there is %+v", r)
	}
	renewing := leased(filled(one), renew(lease(2), one), start)
	if r := must(record.Release(renewing, cache.Held{Lease: cache.ID{2}}, start)); r.View().State != cache.Filled {
		t.Errorf("after a release the old value is %v", r.View().State)
	}
	if _, ok := record.Release(renewing, cache.Held{Lease: cache.ID{1}}, start); ok {
		t.Error("released under another lease")
	}
}

func TestARenewedValueStays(t *testing.T) {
	renewing := leased(filled(one), renew(lease(2), one), start)
	if got := renewing.At(after(time.Second)).View(); got.State != cache.Filled {
		t.Errorf("when the lease has ended the value is %v", got.State)
	}
	if got := renewing.At(after(10 * time.Second)).View(); got.State != cache.Absent {
		t.Errorf("when the value has ended too there is %v", got.State)
	}
}

// TestTheLaterPositionStays, whatever came between.
func TestTheLaterPositionStays(t *testing.T) {
	for _, c := range []struct {
		name               string
		there, comes, want position.Position
	}{
		{"later", at(5), at(9), at(9)},
		{"earlier", at(9), at(5), at(9)},
		{"unknown comes", at(9), position.Position{}, at(9)},
		{"unknown was", position.Position{}, at(9), at(9)},
		{"a promotion", at(9), position.Position{System: 7, Timeline: 2, Offset: 1}, position.Position{System: 7, Timeline: 2, Offset: 1}},
		{"another system", at(9), position.Position{System: 8, Offset: 1}, position.Position{System: 8, Offset: 1}},
	} {
		between := map[string]func(record.Record) record.Record{
			"nothing": func(r record.Record) record.Record { return r },
			"a lease": func(r record.Record) record.Record { return leased(r, lease(1), start) },
			"a value": func(r record.Record) record.Record {
				return must(record.Fill(leased(r, lease(1), start), fill(1, one), start))
			},
		}
		for name, step := range between {
			r := step(record.Fence(record.Record{}, cache.Fence{At: c.there, TTL: time.Minute}, start))
			r = record.Fence(r, cache.Fence{At: c.comes, TTL: time.Second}, start)
			if r.Fence != c.want || r.View().State != cache.Absent {
				t.Errorf("%s, after %s: fence %v, want %v, and %v", c.name, name, r.Fence, c.want, r.View().State)
			}
			if _, answer := record.Lease(r, lease(2), start); answer.Fence != c.want {
				t.Errorf("%s, after %s: the next lease is told %v", c.name, name, answer.Fence)
			}
		}
	}
}

func TestAFenceForgetsItsPositionAfterItsTTL(t *testing.T) {
	r := record.Fence(record.Record{}, cache.Fence{At: at(9), TTL: time.Minute}, start)
	r = record.Fence(r, cache.Fence{At: at(5), TTL: time.Second}, start)
	if got := r.At(after(59 * time.Second)).Fence; got != at(9) {
		t.Errorf("a shorter fence ended a longer one: %v", got)
	}
	if got := r.At(after(time.Minute)).Fence; !got.IsZero() {
		t.Errorf("after its TTL the fence is at %v", got)
	}
}

func TestAWritersLease(t *testing.T) {
	fence := func(offset uint64) cache.Fence {
		f := cache.Fence{Lease: cache.ID{4}, Holder: cache.ID{5}, TTL: time.Minute}
		if offset > 0 {
			f.At = at(offset)
		}
		return f
	}
	there := record.Fence(leased(record.Record{}, lease(1), start), cache.Fence{At: at(9), TTL: time.Minute}, start)
	for offset, want := range map[uint64]cache.State{0: cache.Leased, 8: cache.Absent, 9: cache.Leased, 10: cache.Leased} {
		r := record.Fence(there, fence(offset), start)
		if got := r.View(); got.State != want {
			t.Errorf("a fence at %d over one at 9 leaves %v, want %v", offset, got.State, want)
		}
		if _, ok := record.Fill(r, fill(1, one), start); ok {
			t.Errorf("a fence at %d left the lease that was there", offset)
		}
	}
	r := record.Fence(filled(one), fence(3), start)
	if r = must(record.Fill(r, fill(4, two), start)); !bytes.Equal(r.View().Value, two) {
		t.Errorf("the writer's value is %q", r.View().Value)
	}
}
