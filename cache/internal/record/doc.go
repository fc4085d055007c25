// Package record is the state machine of a key in a layer that processes share: what cache.Remote says of leases, fills and
// fences, as pure functions from the record that is there to the one that is to be.
//
//	next, answer := record.Lease(old, ask, now)
//	if answer.Granted {
//		swap(key, old, next) // atomically, else read again
//	}
//
// A record has up to three parts, each with its own end: a value, a lease, and a fence, which is what stays of a tombstone.
// A value and a lease together are cache.Renewing; neither is cache.Absent, with or without a fence.
//
//	fence ──────────────────────────▶   outlives what it met: of two the later position stays
//	lease     ────▶                     goes with the Fill, the Release or the Fence
//	value         ──────────────▶       goes with the Fence
//
// The fence stays beside the value that was filled after it. Otherwise a fence of an earlier change that comes late would
// leave its own, earlier position behind, and a load could fill what was read before the later one.
//
// # Invariants
//
//   - A fence that ends a value also ends the lease, so that nothing is filled that was leased before.
//   - The position of a fence in force never goes back within a system.
//   - Parse accepts what Append has written and nothing else: foreign bytes are no record.
//
// It is no store: it neither keeps records nor knows how one is replaced by another.
package record
