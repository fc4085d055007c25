package record

import (
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Record is what a key holds. The zero Record is nothing. Records are values: no function changes one in place, and those
// that come of one share its Value.
type Record struct {
	// Epoch names the life of the server that the record was written in; a layer without lives leaves it zero.
	Epoch uint64

	Fence      position.Position // of the latest tombstone; zero where none was known
	FenceUntil int64             // Unix nanoseconds, as all ends; zero: no fence

	Lease      cache.ID
	Holder     cache.ID
	LeaseUntil int64 // zero: no lease

	Value      []byte
	ValueUntil int64 // zero: no value
}

// At is r at a time: without the parts that have ended.
func (r Record) At(now time.Time) Record {
	t := now.UnixNano()
	if r.FenceUntil <= t {
		r.Fence, r.FenceUntil = position.Position{}, 0
	}
	if r.LeaseUntil <= t {
		r = r.withoutLease()
	}
	if r.ValueUntil <= t {
		r.Value, r.ValueUntil = nil, 0
	}
	return r
}

// Fenced is r with its fence alone.
func (r Record) Fenced() Record {
	return Record{Epoch: r.Epoch, Fence: r.Fence, FenceUntil: r.FenceUntil}
}

// End is when the last of r's parts ends, in Unix nanoseconds; zero for the zero Record.
func (r Record) End() int64 { return max(r.FenceUntil, r.LeaseUntil, r.ValueUntil) }

// View is what a reader is told of r, all of whose parts are in force. It shares r's Value.
func (r Record) View() cache.Record {
	leased, valued := r.LeaseUntil != 0, r.ValueUntil != 0
	switch {
	case leased && valued:
		return cache.Record{State: cache.Renewing, Value: r.Value, Lease: r.Lease, Holder: r.Holder}
	case valued:
		return cache.Record{State: cache.Filled, Value: r.Value}
	case leased:
		return cache.Record{State: cache.Leased, Lease: r.Lease, Holder: r.Holder}
	}
	return cache.Record{}
}

// holds tells whether the lease that r bears is this one.
func (r Record) holds(lease cache.ID) bool { return r.LeaseUntil != 0 && r.Lease == lease }

func (r Record) withoutLease() Record {
	r.Lease, r.Holder, r.LeaseUntil = cache.ID{}, cache.ID{}, 0
	return r
}

func (r Record) withLease(lease, holder cache.ID, until int64) Record {
	r.Lease, r.Holder, r.LeaseUntil = lease, holder, until
	return r
}

// stamped tells whether r holds the value that a stamp names.
func (r Record) stamped(stamp cache.Stamp) bool {
	return r.ValueUntil != 0 && len(r.Value) >= cache.StampSize && cache.Stamp(r.Value[:cache.StampSize]) == stamp
}
