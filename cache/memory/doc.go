// Package memory is the layer that nodes share when they run in one process: cache.Remote and cache.Channel without a
// server.
//
//	layer := memory.New(memory.Options{MaxBytes: 256 << 20})
//	defer layer.Close()
//	err := layer.Fence(ctx, []cache.Fence{{Key: "user:42", TTL: 30 * time.Second}})
//
// # Invariants
//
//   - Exact. A fence is written and put into every listener's queue in one step. Fence waits for no listener; Confirm waits
//     until each has taken what was in its queue, or has hung for as long as it trusts its memory (Options.Trust).
//   - Bounded. What is kept stays within MaxBytes, by an estimate of what a record takes; so is a listener's queue: one that
//     falls behind is told Lost. What was used longest ago is
//     evicted: first values and leases, of which a fence that is in force stays as a tombstone.
//   - A tombstone that is evicted before its end changes the generation, which every listener learns with its next beat.
//     Listeners were told of the fence itself; what is lost is the position that the next lease would have been told.
//   - Time is Options.Now, so that testing/synctest can drive it.
//
// What is in it ends with the process. Several processes share cache/redis or cache/memcached.
package memory
