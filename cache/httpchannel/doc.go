// Package httpchannel gives a remote layer that has no channel one: nodes tell each other by HTTP what they have fenced. It is
// meant for memcached; the layer below stays what it is, and the nodes find each other in it.
//
//	remote, err := httpchannel.New(layer, httpchannel.Options{URL: "http://10.0.0.7:8080/internal/channel", Secret: secret})
//	mux.Handle("POST /internal/channel", remote)
//	stack, err := cache.NewStack(cache.Options{Remote: remote})
//	…
//	err = errors.Join(stack.Close(), remote.Close()) // then the HTTP server, then the layer
//
// # Who asks whom
//
// Each node keeps what it has fenced in an outbox, and each node that listens asks every other for what came after what it was
// told, by a request that is held until there is something, or for a quarter of Options.Trust:
//
//	writer A                      layer                          node B
//	Fence ── tombstone ─────────▶ record
//	  └── outbox: 7                                    held: after 6
//	         └────────────── answer: 7, key ─────────────────▶ Forget(key)
//	A knows: B was told 7 ◀── after 7 ──────────────────────── asks again
//
// B says Alive of a look at the board (below) when each of its peers has answered what it was asked after that look. So one
// peer that does not answer is enough for B not to trust its memory; it then reads the layer. Continuity is the numbers of one
// outbox, not a connection: a cut loses nothing. It ends, and B is told Lost, where the outbox has dropped what B was not told
// (65,536 events, 16 MB), and where A can't be asked any more.
//
// # The board
//
// One record of the layer, changed by compare-and-swap, is the list of nodes, the sequence of tag epochs with the tags that were
// drawn last, and the generation. It is the one order that there is: clocks of nodes, and Lamport's, could give a tag a lower
// epoch than what a node that had heard more has already filled the layer with.
//
//	A   look ── draw: 6 ─────────────────────────┐ refused: look again ── draw: 7
//	B   look ── draw: 6 ── written ──────────────┴──
//	C   look: 6, tag ──▶ TagFenced, and when all have answered, Alive (epoch 6)
//
// A node may write fences while it holds a permit: it has found itself on the board within Trust. Fence fails with ErrLapsed
// when the permit is over by the time the tombstone is written, and is not renewed within ctx; the cache then owes the fence. With that lease, and with Trust
// being how long memory is trusted after a look, each step waits until nobody goes by the board that was before:
//
//	comes      writes itself on the board, then has every other say that it asks this node from now on. Where one does
//	           not answer, it writes no fence until Trust has passed: by then that one has looked, or trusts nothing.
//	leaves     Close: the last answer says that there will be no more. Nobody loses anything.
//	crashes    who finds that a peer neither answers nor beats in the layer has it condemned on the board. What it wrote last
//	           may have been told to nobody: when its permit is over (Trust after that was read) all others are told Lost.
//	is lost    (the server restarted, or evicted it:) whoever sees it begins another, of a new generation, with epochs above
//	           all that it knows. Nobody uses it for Trust.
//
// # Invariants
//
//   - Whoever trusts his memory has been told every fence that had returned before the look he trusts it for.
//   - Confirm returns when the followers of all nodes have been told, which takes a round trip and a half, or when Trust has
//     passed since it was called: then nobody trusts his memory who was not.
//   - Bounded: 64 nodes; 1 KiB a request, 1 MB of events an answer; keys and tags of 64 KiB in the outbox, beyond which it
//     ends; 1,024 tags or 32 KiB of them on the board, beyond which the horizon rises; each request by Trust.
//   - Requests bear the secret, which is compared in constant time, and a message of another version is refused with both
//     numbers. The board bears a MAC under the secret, so that nobody who can write to the layer has it sent to a URL of his.
//
// # What it does not bound
//
//   - A peer that beats in the layer and can't be reached by HTTP keeps who can't reach it from trusting memory, for as long as
//     that lasts. Nothing is stale meanwhile; Options.Broken is told.
//   - A node that can't reach the layer owes its fences, and others read there what it should have fenced (see
//     cache.Options.MaxStale).
//   - A node that was killed costs the others their memory once, and memory rests until it is off the board: its last beat
//     (two Trust, and what the layer's clock adds: up to 2 s on memcached), then three Trust more.
//   - The monotonic clock has to go on: a machine that was suspended may take a permit for valid that is not.
//   - A layer that brings back an older record (a replica that is promoted) brings back an older board. memcached does not.
//   - What the layer below evicts of tombstones, nobody is told: see package memcached.
//
// There is no list of peers to configure, since a node that is missing on one of the lists would be stale without anybody
// noticing. The handler is for the nodes' own network, not for the public one.
package httpchannel
