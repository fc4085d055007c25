// Package cache keeps typed values in memory, and in a layer that processes share, in front of a source that is slower.
//
//	stack, err := cache.NewStack(cache.Options{})
//	users := cache.Define(stack, cache.Space[int64, User]{
//		Name: "user", Policy: cache.Policy{TTL: 5 * time.Minute}, LoadMany: db.UsersByID,
//	})
//	u, err := users.Get(ctx, 42)     // from memory, else one load for all who ask
//	err = users.Invalidate(ctx, 42)  // after the source has changed
//
// A space is declared once per kind of data with its policy and its loader, so that a call site says
// Get and nothing else. Hits cost what the engine beneath costs (otter, W-TinyLFU) and allocate
// nothing; values are stored as they are, never as bytes.
//
// With Options.Remote (cache/redis, cache/memcached, cache/memory) what memory lacks is looked up there in one round trip, and
// what is missing there too is loaded once in the whole fleet:
//
//	Get ─▶ memory ─▶ Remote.Get ─▶ lease ─▶ LoadMany ─▶ Fill ─▶ memory
//	                              (others wait, or serve a stale value)
//
// # Invariants
//
// "Fenced" and "one load" hold for all nodes of a remote layer, with these differences: other nodes serve from memory what
// Invalidate has ended until the channel, or the source's change feed (Options.Feed), tells them, for Options.MaxStale at most,
// also under partition; InvalidateConfirmed returns when none does any more. The one exception: a failover of the remote layer
// to a replica that lacks the last fences may bring back what they ended, until the nodes notice within MaxStale.
//
//   - Fenced. A read that begins after Invalidate, InvalidateAll or Put has returned never sees what was
//     there before: not from memory, not from a load that was under way, not as a stale value when the
//     source fails. A read that overlaps the call may see either. (Lamport calls this a regular register.)
//     The caller keeps his part of it by changing the source first and the cache after.
//   - One load. However many callers miss a key together, the source is asked for it once; GetMany asks for
//     all that is missing, less what is already being loaded, in one call.
//   - Independent. A slow or failed load delays and fails only those who wait for that key; a waiter who gives
//     up takes nobody with him.
//   - Bounded. Entries, loads in flight, the time a load takes and the age of a value all have a limit, each a
//     field of Policy.
//
// Values are shared between all readers and must not be changed by any of them.
//
// Besides: [Cache.Put] is write-through, [WriteBehind] and [Counter] acknowledge from a durable journal, tags end many values at
// once ([Stack.InvalidateTags]), queries end with what they were made of ([DefineQuery]), tokens let a reader see his own writes
// on every node ([At]), Policy.RefreshAhead renews what is read before it ends, Space.Hot keeps named keys loaded whether or not
// they are read, and an auditor checks hits against the source and counts those that should have been forgotten
// (Policy.AuditEvery).
//
// The package is no store: what it holds may be gone at the next call, and a source that can be asked
// cheaply needs none of it.
package cache
