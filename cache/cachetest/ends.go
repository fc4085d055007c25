package cachetest

import (
	"time"

	"github.com/freshet/freshet/cache"
)

// short is a TTL to be waited for: two ticks, since the first may be nearly over.
func (b *bench) short() time.Duration { return max(2*b.Tick, 50*time.Millisecond) }

// ends waits until key holds something that done accepts.
func (b *bench) ends(what, key string, done func(cache.Record) bool) {
	b.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(max(b.Tick/10, time.Millisecond)) {
		r := b.get(key)
		if done(r) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s does not end: %s", what, show(r))
		}
	}
}

func absent(r cache.Record) bool { return r.State == cache.Absent }

func valuesEnd(b *bench) {
	k := b.key("k")
	lease, _ := b.lease(k)
	began := time.Now()
	b.fillFor(k, lease, newValue("value"), b.short())
	b.ends("a value", k, absent)
	if took := time.Since(began); took < b.short()-b.Tick {
		b.Errorf("a value of %v ended after %v", b.short(), took)
	}
}

func leasesEnd(b *bench) {
	k, fenced := b.key("k"), b.key("fenced")
	lease, granted := newLease(), newLease()
	began := time.Now()
	b.ask(cache.LeaseAsk{Key: k, Lease: lease, Holder: newLease(), TTL: b.short()})
	b.fence(cache.Fence{Key: fenced, Lease: granted, Holder: newLease(), TTL: b.short()})
	b.ends("a lease", k, absent)
	b.ends("a lease that came with a fence", fenced, absent)
	if took := time.Since(began); took < b.short()-b.Tick {
		b.Errorf("a lease of %v ended after %v", b.short(), took)
	}
	if b.fill(k, lease, newValue("late")) || b.fill(fenced, granted, newValue("late")) {
		b.Error("filled under a lease that has ended")
	}
	b.lease(k)
}

func tombstonesEnd(b *bench) {
	k, p := b.key("k"), at(1, 1, 1)
	b.fence(cache.Fence{Key: k, At: p, TTL: b.short()})
	for deadline := time.Now().Add(within); !b.fenceAt(k).IsZero(); time.Sleep(max(b.Tick/10, time.Millisecond)) {
		if time.Now().After(deadline) {
			b.Fatal("a tombstone does not end")
		}
	}
}

// renewalKeepsTTL: a lease shorter than the value does not end it, nor does the value become older than it may.
func renewalKeepsTTL(b *bench) {
	k := b.key("k")
	value := b.filled(k, "kept")
	ask := cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Renew: stampOf(value), TTL: b.short()}
	if !b.ask(ask).Granted {
		b.Fatal("the renewal was refused")
	}
	time.Sleep(b.short() + b.Tick)
	if r := b.get(k); string(r.Value) != string(value) {
		b.Errorf("with the lease of its renewal the value has ended: %s", show(r))
	}

	for _, release := range []bool{true, false} {
		k := b.key("bounded")
		lease, _ := b.lease(k)
		value := newValue("bounded")
		b.fillFor(k, lease, value, b.short()*2)
		renewal := newLease()
		if a := b.ask(cache.LeaseAsk{Key: k, Lease: renewal, Holder: newLease(), Renew: stampOf(value)}); !a.Granted {
			b.Fatalf("the renewal was refused: %+v", a)
		}
		if release {
			b.release(k, renewal)
		}
		b.ends("a value that was renewed in vain", k, func(r cache.Record) bool { return r.Value == nil })
		b.fence(cache.Fence{Key: k})
	}
}

func beats(b *bench) {
	holder, other := newLease(), newLease()
	beating := func(h cache.ID) bool {
		b.Helper()
		yes, err := b.r.Beating(b.ctx(), h)
		if err != nil {
			b.Fatalf("beating: %v", err)
		}
		return yes
	}
	if beating(holder) {
		b.Error("a holder that never beat is beating")
	}
	beat := func(ttl time.Duration) {
		b.Helper()
		if err := b.r.Beat(b.ctx(), holder, ttl); err != nil {
			b.Fatalf("beat: %v", err)
		}
	}
	beat(long)
	if !beating(holder) || beating(other) {
		b.Error("a beat is not in force, or it is another's")
	}
	if yes, err := b.open(b.T).Beating(b.ctx(), holder); err != nil || !yes {
		b.Errorf("another node sees the beat as %v, %v", yes, err)
	}
	beat(b.short()) // the last beat counts, also where it is the shorter one
	for deadline := time.Now().Add(within); beating(holder); time.Sleep(max(b.Tick/10, time.Millisecond)) {
		if time.Now().After(deadline) {
			b.Fatal("a beat does not end")
		}
	}
}

// nowIsShared: two nodes' clocks are one, give or take what a round trip on a busy machine may take.
func nowIsShared(b *bench) {
	other := b.open(b.T)
	const apart = 2 * time.Second
	before := b.r.Now()
	theirs := other.Now()
	if after := b.r.Now(); theirs.Before(before.Add(-apart)) || theirs.After(after.Add(apart)) {
		b.Errorf("one node's clock says %v to %v, the other's %v", before, after, theirs)
	}
}
