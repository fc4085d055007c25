package record

import (
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Lease asks old for a lease. Where the answer grants it, the record returned is to replace old; else it is old without what
// has ended. A value keeps its end while it is renewed: if nobody fills, it is read as long as it would have been.
func Lease(old Record, ask cache.LeaseAsk, now time.Time) (Record, cache.LeaseAnswer) {
	r := old.At(now)
	granted := r.leasable(ask)
	if granted {
		r = r.withLease(ask.Lease, ask.Holder, end(now, ask.TTL))
	}
	return r, cache.LeaseAnswer{Granted: granted, Record: r.View(), Fence: r.Fence}
}

// leasable is the rule of cache.LeaseAsk. A value that somebody renews already is only leased over him.
func (r Record) leasable(ask cache.LeaseAsk) bool {
	leased, valued := r.LeaseUntil != 0, r.ValueUntil != 0
	switch {
	case leased:
		return ask.Over != cache.ID{} && r.Lease == ask.Over
	case valued:
		return ask.Renew != cache.Stamp{} && r.stamped(ask.Renew)
	}
	return true
}

// Fill stores a value under its lease; ok tells whether old bears that lease, and so whether the record is to replace old.
// The record shares the value.
func Fill(old Record, fill cache.Fill, now time.Time) (r Record, ok bool) {
	r = old.At(now)
	if !r.holds(fill.Lease) {
		return r, false
	}
	r = r.withoutLease()
	r.Value, r.ValueUntil = fill.Value, end(now, fill.TTL)
	return r, true
}

// Release gives a lease back; ok as in Fill. A value that was to be renewed stays, and so does the fence.
func Release(old Record, held cache.Held, now time.Time) (r Record, ok bool) {
	r = old.At(now)
	if !r.holds(held.Lease) {
		return r, false
	}
	return r.withoutLease(), true
}

// Fence ends what old holds and leaves a tombstone, which always replaces it.
func Fence(old Record, fence cache.Fence, now time.Time) Record {
	was := old.At(now)
	until := end(now, fence.TTL)
	r := Record{Epoch: old.Epoch, Fence: fence.At, FenceUntil: max(until, was.FenceUntil)}
	stays := was.FenceUntil != 0 && laterStays(was.Fence, fence.At)
	if stays {
		r.Fence = was.Fence
	}
	if fence.Lease != (cache.ID{}) && !(stays && fence.At != position.Position{} && was.Fence != fence.At) {
		r = r.withLease(fence.Lease, fence.Holder, until)
	}
	return r
}

// laterStays tells whether the position that is there outlives one that comes. One that is not known says nothing, and
// those of two systems cannot be ordered: there the one that comes last stays.
func laterStays(there, comes position.Position) bool {
	if comes.IsZero() {
		return true
	}
	order, ok := there.Compare(comes)
	return ok && order >= 0
}

// end is when what begins now is over. A TTL below a nanosecond is over at once, but is a part that was there: its end is
// never zero.
func end(now time.Time, ttl time.Duration) int64 { return now.UnixNano() + max(int64(ttl), 1) }
