// Package memory is the layer that nodes share when they run in one process: cache.Remote and cache.Channel without a
// server.
//
//	layer := memory.New(memory.Options{MaxBytes: 256 << 20})
//	defer layer.Close()
//	err := layer.Fence(ctx, []cache.Fence{{Key: "user:42", TTL: 30 * time.Second}})
//
// # Invariants
//
//   - Exact. Fence tells every listener before it returns, so Confirm has nothing to wait for but fences under way.
//   - Bounded. What is kept stays within MaxBytes, by an estimate of what a record takes. What was used longest ago is
//     evicted: first values and leases, of which a fence that is in force stays as a tombstone.
//   - A tombstone that is evicted before its end changes the generation, which every listener learns with its next beat.
//     Listeners were told of the fence itself; what is lost is the position that the next lease would have been told.
//   - Time is Options.Now, so that testing/synctest can drive it.
//
// What is in it ends with the process. Several processes share cache/redis or cache/memcached.
package memory
