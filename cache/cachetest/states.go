package cachetest

import "github.com/freshet/freshet/cache"

func absentLeasedFilled(b *bench) {
	k := b.key("k")
	b.want(k, cache.Record{State: cache.Absent})

	lease, holder := newLease(), newLease()
	a := b.ask(cache.LeaseAsk{Key: k, Lease: lease, Holder: holder})
	leased := cache.Record{State: cache.Leased, Lease: lease, Holder: holder}
	if !a.Granted || !a.Fence.IsZero() {
		b.Errorf("an absent key without a tombstone was answered with %+v", a)
	}
	same(b.T, a.Record, leased)
	b.want(k, leased)

	value := newValue("value")
	if !b.fill(k, lease, value) {
		b.Error("fill under the lease held was refused")
	}
	b.want(k, cache.Record{State: cache.Filled, Value: value})
}

func leaseIsHeldByOne(b *bench) {
	k := b.key("k")
	lease, holder := b.lease(k)
	held := cache.Record{State: cache.Leased, Lease: lease, Holder: holder}
	for name, ask := range map[string]cache.LeaseAsk{
		"another":            {Key: k, Lease: newLease(), Holder: newLease()},
		"the same holder":    {Key: k, Lease: newLease(), Holder: holder},
		"a renewal":          {Key: k, Lease: newLease(), Holder: newLease(), Renew: cache.Stamp(newLease())},
		"over another lease": {Key: k, Lease: newLease(), Holder: newLease(), Over: newLease()},
	} {
		a := b.ask(ask)
		if a.Granted {
			b.Errorf("%s was granted what is leased", name)
		}
		same(b.T, a.Record, held)
	}
	b.want(k, held)

	value := b.filled(b.key("filled"), "value")
	a := b.ask(cache.LeaseAsk{Key: b.key("filled"), Lease: newLease(), Holder: newLease()})
	if a.Granted {
		b.Error("what is filled was leased without its stamp")
	}
	same(b.T, a.Record, cache.Record{State: cache.Filled, Value: value})
}

func renewByStamp(b *bench) {
	k := b.key("k")
	value := b.filled(k, "old")
	for name, ask := range map[string]cache.LeaseAsk{
		"another stamp": {Key: k, Lease: newLease(), Holder: newLease(), Renew: cache.Stamp(newLease())},
		"over a lease":  {Key: k, Lease: newLease(), Holder: newLease(), Over: newLease()},
	} {
		if a := b.ask(ask); a.Granted {
			b.Errorf("%s renews a value", name)
		}
	}
	b.want(k, cache.Record{State: cache.Filled, Value: value})

	lease, holder := newLease(), newLease()
	a := b.ask(cache.LeaseAsk{Key: k, Lease: lease, Holder: holder, Renew: stampOf(value)})
	renewing := cache.Record{State: cache.Renewing, Value: value, Lease: lease, Holder: holder}
	if !a.Granted {
		b.Fatal("the stamp of the value held does not renew it")
	}
	same(b.T, a.Record, renewing)
	b.want(k, renewing)

	newer := newValue("new")
	if !b.fill(k, lease, newer) {
		b.Error("the renewed value was refused")
	}
	b.want(k, cache.Record{State: cache.Filled, Value: newer})
	if a := b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Renew: stampOf(value)}); a.Granted {
		b.Error("the stamp of the value before renews the one after")
	}
}

func renewIsHeldByOne(b *bench) {
	k := b.key("k")
	value := b.filled(k, "old")
	lease, holder := b.renewing(k, value)
	a := b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Renew: stampOf(value)})
	if a.Granted {
		b.Error("two renew one value")
	}
	same(b.T, a.Record, cache.Record{State: cache.Renewing, Value: value, Lease: lease, Holder: holder})
}

func fillNeedsTheLease(b *bench) {
	k := b.key("k")
	if b.fill(k, newLease(), newValue("x")) {
		b.Error("an absent key was filled")
	}
	b.want(k, cache.Record{State: cache.Absent})

	lease, holder := b.lease(k)
	if b.fill(k, newLease(), newValue("x")) {
		b.Error("filled under another lease")
	}
	if b.fill(k, holder, newValue("x")) {
		b.Error("filled under the name of the holder")
	}
	b.want(k, cache.Record{State: cache.Leased, Lease: lease, Holder: holder})

	value := newValue("value")
	b.fill(k, lease, value)
	if b.fill(k, lease, newValue("x")) {
		b.Error("filled twice under one lease")
	}
	b.want(k, cache.Record{State: cache.Filled, Value: value})

	renewal, by := b.renewing(k, value)
	if b.fill(k, lease, newValue("x")) || b.fill(k, newLease(), newValue("x")) {
		b.Error("a value that is being renewed was filled under another lease")
	}
	b.want(k, cache.Record{State: cache.Renewing, Value: value, Lease: renewal, Holder: by})
}

func releaseMakesAbsent(b *bench) {
	k := b.key("k")
	lease, _ := b.lease(k)
	b.release(k, lease)
	b.want(k, cache.Record{State: cache.Absent})
	if b.fill(k, lease, newValue("x")) {
		b.Error("filled under a lease that was given back")
	}
	b.lease(k)
}

func releaseKeepsTheOldValue(b *bench) {
	k := b.key("k")
	value := b.filled(k, "old")
	lease, _ := b.renewing(k, value)
	b.release(k, lease)
	b.want(k, cache.Record{State: cache.Filled, Value: value})
	if b.fill(k, lease, newValue("x")) {
		b.Error("filled under a renewal that was given back")
	}
	b.renewing(k, value)
}

func releaseOfAnother(b *bench) {
	k, filled, renewing := b.key("k"), b.key("filled"), b.key("renewing")
	lease, holder := b.lease(k)
	value := b.filled(filled, "value")
	old := b.filled(renewing, "old")
	renewal, by := b.renewing(renewing, old)
	for _, key := range []string{k, filled, renewing, b.key("absent")} {
		b.release(key, newLease())
	}
	b.want(k, cache.Record{State: cache.Leased, Lease: lease, Holder: holder})
	b.want(filled, cache.Record{State: cache.Filled, Value: value})
	b.want(renewing, cache.Record{State: cache.Renewing, Value: old, Lease: renewal, Holder: by})
	b.want(b.key("absent"), cache.Record{State: cache.Absent})
}

func takeover(b *bench) {
	k := b.key("k")
	dead, _ := b.lease(k)
	lease, holder := newLease(), newLease()
	a := b.ask(cache.LeaseAsk{Key: k, Lease: lease, Holder: holder, Over: dead})
	if !a.Granted {
		b.Fatal("the lease held was not taken over")
	}
	leased := cache.Record{State: cache.Leased, Lease: lease, Holder: holder}
	same(b.T, a.Record, leased)
	if b.ask(cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), Over: dead}).Granted {
		b.Error("one lease was taken over twice")
	}
	if b.fill(k, dead, newValue("late")) {
		b.Error("filled under a lease that was taken over")
	}
	b.release(k, dead)
	b.want(k, leased)
	if !b.fill(k, lease, newValue("value")) {
		b.Error("who took over could not fill")
	}
	free := newLease()
	if !b.ask(cache.LeaseAsk{Key: b.key("gone"), Lease: free, Holder: newLease(), Over: dead}).Granted {
		b.Error("a lease to be taken over that is gone keeps an absent key from being leased")
	}
}

func takeoverOfARenewal(b *bench) {
	k := b.key("k")
	value := b.filled(k, "old")
	dead, _ := b.renewing(k, value)
	lease, holder := newLease(), newLease()
	a := b.ask(cache.LeaseAsk{Key: k, Lease: lease, Holder: holder, Over: dead})
	if !a.Granted {
		b.Fatal("the renewal held was not taken over")
	}
	renewing := cache.Record{State: cache.Renewing, Value: value, Lease: lease, Holder: holder}
	same(b.T, a.Record, renewing)
	b.want(k, renewing)
	if b.fill(k, dead, newValue("late")) {
		b.Error("filled under a renewal that was taken over")
	}
	b.release(k, lease)
	b.want(k, cache.Record{State: cache.Filled, Value: value})
}
