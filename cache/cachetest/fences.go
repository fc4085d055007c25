package cachetest

import (
	"fmt"
	"math"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

func fenceFromEveryState(b *bench) {
	absent, leased, filled, renewing := b.key("absent"), b.key("leased"), b.key("filled"), b.key("renewing")
	b.lease(leased)
	b.filled(filled, "value")
	b.renewing(renewing, b.filled(renewing, "value"))
	for _, k := range []string{absent, leased, filled, renewing} {
		b.fence(cache.Fence{Key: k})
		b.want(k, cache.Record{State: cache.Absent})
		b.filled(k, "after")
	}
}

func fenceVoidsLeases(b *bench) {
	for _, k := range []string{b.key("leased"), b.key("renewing")} {
		lease, _ := b.lease(k)
		if k == b.key("renewing") {
			old := newValue("old")
			b.fill(k, lease, old)
			lease, _ = b.renewing(k, old)
		}
		b.fence(cache.Fence{Key: k, At: at(1, 1, 1)})
		if b.fill(k, lease, newValue("late")) {
			b.Error("filled under a lease from before the fence")
		}
		b.want(k, cache.Record{State: cache.Absent})
		b.release(k, lease)

		after, holder := b.lease(k)
		if b.fill(k, lease, newValue("late")) {
			b.Error("the lease from before the fence fills under the one from after")
		}
		b.release(k, lease)
		b.want(k, cache.Record{State: cache.Leased, Lease: after, Holder: holder})
	}
}

// fenceAt tells what position a lease of key is told. It leaves key absent.
func (b *bench) fenceAt(key string) position.Position {
	b.Helper()
	lease := newLease()
	a := b.ask(cache.LeaseAsk{Key: key, Lease: lease, Holder: newLease()})
	if !a.Granted {
		b.Fatalf("lease of an absent key was refused: %+v", a)
	}
	b.release(key, lease)
	return a.Fence
}

func fenceTellsItsPosition(b *bench) {
	k, p := b.key("k"), at(7, 2, 1<<40)
	b.fence(cache.Fence{Key: k, At: p})
	if got := b.fenceAt(k); got != p {
		b.Errorf("the lease after a fence at %v was told %v", p, got)
	}
	if got := b.fenceAt(k); got != p {
		b.Errorf("the second lease after a fence at %v was told %v", p, got)
	}

	value := b.filled(k, "value")
	a := b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Renew: stampOf(value)})
	if !a.Granted || a.Fence != p {
		b.Errorf("a renewal while the tombstone is kept was answered with %v, want the position %v", a, p)
	}

	b.fence(cache.Fence{Key: b.key("unknown")})
	if got := b.fenceAt(b.key("unknown")); !got.IsZero() {
		b.Errorf("a fence of unknown position told %v", got)
	}
}

func laterPositionStays(b *bench) {
	unknown := position.Position{}
	for _, c := range []struct {
		name                string
		first, second, stay position.Position
	}{
		{"later offset comes second", at(1, 1, 5), at(1, 1, 6), at(1, 1, 6)},
		{"later offset came first", at(1, 1, 6), at(1, 1, 5), at(1, 1, 6)},
		{"the same", at(1, 1, 6), at(1, 1, 6), at(1, 1, 6)},
		{"later timeline comes second", at(1, 1, 9), at(1, 2, 1), at(1, 2, 1)},
		{"later timeline came first", at(1, 2, 1), at(1, 1, 9), at(1, 2, 1)},
		{"unknown comes second", at(1, 1, 5), unknown, at(1, 1, 5)},
		{"unknown came first", unknown, at(1, 1, 5), at(1, 1, 5)},
		{"another system comes second", at(2, 1, 9), at(1, 1, 5), at(1, 1, 5)},
	} {
		k := b.key(c.name)
		b.fence(cache.Fence{Key: k, At: c.first})
		b.filled(k, "between")
		b.fence(cache.Fence{Key: k, At: c.second})
		b.want(k, cache.Record{State: cache.Absent}) // whatever the order, it ends what is stored
		if got := b.fenceAt(k); got != c.stay {
			b.Errorf("%s: the tombstone is at %v, want %v", c.name, got, c.stay)
		}
	}
}

// positionsCompareAsNumbers: not as signed ones, nor as floats of 53 bits, nor as text in some locale.
func positionsCompareAsNumbers(b *bench) {
	for i, pair := range [][2]uint64{
		{0, 1},
		{1, math.MaxUint64},
		{math.MaxInt64, math.MaxInt64 + 1},
		{1 << 53, 1<<53 + 1},
		{0x41, 0x61},
		{0x5a, 0x61},
		{0x61, 0x80},
		{0x0100, 0x0101},
		{0xff, 0x0100},
		{math.MaxUint64 - 1, math.MaxUint64},
	} {
		for j, order := range [][2]uint64{{pair[0], pair[1]}, {pair[1], pair[0]}} {
			k := b.key(string(rune('a'+i)) + string(rune('0'+j)))
			b.fence(cache.Fence{Key: k, At: at(math.MaxUint64, math.MaxUint32, order[0])})
			b.fence(cache.Fence{Key: k, At: at(math.MaxUint64, math.MaxUint32, order[1])})
			if got := b.fenceAt(k); got.Offset != pair[1] {
				b.Errorf("of %#x and then %#x the tombstone keeps %v", order[0], order[1], got)
			}
		}
	}
}

func fenceGrantsALease(b *bench) {
	for _, p := range []position.Position{{}, at(1, 1, 5)} {
		k := b.key(fmt.Sprint(p))
		before, _ := b.lease(k)
		lease, holder := newLease(), newLease()
		b.fence(cache.Fence{Key: k, At: p, Lease: lease, Holder: holder})
		b.want(k, cache.Record{State: cache.Leased, Lease: lease, Holder: holder})
		if b.fill(k, before, newValue("late")) {
			b.Error("filled under the lease from before the fence")
		}
		value := newValue("value")
		if !b.fill(k, lease, value) {
			b.Error("the lease that came with the fence does not fill")
		}
		b.want(k, cache.Record{State: cache.Filled, Value: value})
	}

	// A second writer at the same position, or a later one, gets the lease of the first.
	k, first, second := b.key("two"), newLease(), newLease()
	b.fence(cache.Fence{Key: k, At: at(1, 1, 5), Lease: first, Holder: newLease()})
	b.fence(cache.Fence{Key: k, At: at(1, 1, 5), Lease: second, Holder: newLease()})
	if b.fill(k, first, newValue("first")) || !b.fill(k, second, newValue("second")) {
		b.Error("of two fences at one position the second has no lease")
	}
}

func fenceGrantsNoLeaseToTheEarlier(b *bench) {
	k, lease := b.key("k"), newLease()
	b.fence(cache.Fence{Key: k, At: at(1, 1, 6)})
	b.fence(cache.Fence{Key: k, At: at(1, 1, 5), Lease: lease, Holder: newLease()})
	if b.get(k).Lease == lease || b.fill(k, lease, newValue("early")) {
		b.Error("the earlier writer filled after the later one has fenced")
	}
	if b.get(k).State == cache.Filled {
		b.Error("the key holds a value after two fences")
	}

	other := newLease()
	b.fence(cache.Fence{Key: k, At: at(2, 1, 1), Lease: other, Holder: newLease()})
	if !b.fill(k, other, newValue("other")) {
		b.Error("a position of another system is not later")
	}
}

// takeoverKeepsThePosition: whoever loads in another's place has to read as late.
func takeoverKeepsThePosition(b *bench) {
	for _, granted := range []bool{false, true} {
		k, p, dead := b.key("k"), at(3, 1, 9), newLease()
		if granted {
			b.fence(cache.Fence{Key: k, At: p, Lease: dead, Holder: newLease()})
		} else {
			b.fence(cache.Fence{Key: k, At: p})
			b.ask(cache.LeaseAsk{Key: k, Lease: dead, Holder: newLease()})
		}
		a := b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Over: dead})
		if !a.Granted || a.Fence != p {
			b.Errorf("taken over with %+v, want the position %v", a, p)
		}
		refused := b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease()})
		if refused.Granted || refused.Fence != p {
			b.Errorf("refused with %+v, want the position %v", refused, p)
		}
		b.fence(cache.Fence{Key: k})
	}
}

// fenceTwice: the change feed repeats the fences of writes, and finds what was filled since.
func fenceTwice(b *bench) {
	k, p := b.key("k"), at(1, 1, 5)
	b.fence(cache.Fence{Key: k, At: p})
	lease, _ := b.lease(k)
	b.fence(cache.Fence{Key: k, At: p})
	if b.fill(k, lease, newValue("x")) {
		b.Error("a repeated fence leaves the lease of a loader who may have read before it")
	}
	if got := b.fenceAt(k); got != p {
		b.Errorf("after a repeated fence the tombstone is at %v, want %v", got, p)
	}
}
