// Package memcached is the layer that nodes share on memcached 1.6: cache.Remote, over a pipelining client of the meta
// protocol (doc/protocol.txt of memcached) of its own.
//
//	remote, err := memcached.Open(ctx, memcached.Options{Servers: []string{"10.0.0.1:11211", "10.0.0.2:11211"}})
//	defer remote.Close()
//	err = remote.Fence(ctx, []cache.Fence{{Key: "user:42", TTL: 30 * time.Second}})
//
// memcached has neither scripts nor leases of our kind. What is atomic here is its compare-and-swap of one item:
//
//	Get                       mg
//	Lease, Fence   ms (add) + mg ── there was something ──▶ ms (CAS) ── another was faster ──▶ mg, again
//	Fill, Release          mg ─────── the lease is held ──▶ ms (CAS) ── another was faster ──▶ mg, again
//
// What waits for a connection together is written together, and no command waits for the answer to another's.
//
// # Invariants
//
//   - A fence wins over a fill in any interleaving: it changes the item's CAS, so a fill that read the lease before fails,
//     and a fill that was faster is fenced by the next turn. A tombstone is a stored item, never a deletion.
//   - What is from before a restart of the server is void, as the CAS it numbers items by begins anew: a read and the swap
//     that rests on it go over one connection, and each record bears the server's start.
//   - A key lives on one server of the list (rendezvous hashing of the addresses as written), also while that server is
//     out of reach: if it moved, a fence could miss what a reader finds after the server has come back.
//   - Nothing is sent that the server would refuse for its size, since a refused store removes what was there, tombstones
//     included.
//   - A connection whose stream is in doubt, or that answers nothing within Options.Timeout, is closed.
//
// # What memcached cannot do
//
// There is no channel: nothing tells other nodes of a fence, nor of tombstones that the server evicted. A load after such
// an eviction is told of no fence. Servers should have room for the tombstones of a few minutes. Package cache/httpchannel adds
// a channel between the nodes, for fences and tags.
//
// Time has a resolution of one second, and so has Now. Values and leases may end a second early or late; a tombstone and a
// beat are kept up to two seconds longer. A proxy in between (mcrouter, twemproxy) is not supported: it hides restarts.
package memcached
