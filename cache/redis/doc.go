// Package redis is the cache's remote layer and channel on Redis 6.2 or Valkey 7.2 and later: one server, Sentinel or Cluster.
//
//	remote, err := redis.Open(ctx, redis.Options{URL: "redis://cache.internal:6379"})
//	if err != nil { … }
//	defer remote.Close()
//	go remote.Listen(ctx, node) // node is told of every fence: see cache.Channel
//
// # Invariants
//
//   - A hit is a plain GET (MGET for a batch on one server): no script runs on it, and no script touches two slots.
//   - What changes a record is one Lua script per key, so it happens whole or not at all. A command whose answer was lost
//     is not repeated here: only the caller knows whether to.
//   - A probe of the channel and the fences before it come by one connection: its reply proves that they were delivered.
//   - Memory is trusted by nobody for longer than Options.Trust after a probe was sent; Confirm counts on it.
//
// # What is kept
//
//	f:v:{h}KEY     the record: 'v' value · 'l' lease holder position · 's' lease holder value
//	f:t:{h}KEY     the tombstone: 16 random bytes, 20 bytes of position; every write of it is pushed to all nodes
//	f:h:HOLDER     a holder's beat
//	f:m:{h}KEY     a mark: by system timeline and offset
//	f:t:{tags}tTAG a pulse that is deleted where it is made: the push alone is wanted
//	f:t:{tags}s    the pulse of Confirm
//	f:{tags}meta   id of this history, last tag epoch, horizon, last sequence of Confirm
//	f:{tags}log    tags by their epochs, the latest 10,000
//	f:{tags}applied, f:{tags}nodes
//
// h is three hex digits of a hash of KEY, which may itself hold braces: by it record and tombstone share a slot.
//
// It is no store: a replica that is promoted may lack the last fences, which is why a failover changes the generation.
package redis
