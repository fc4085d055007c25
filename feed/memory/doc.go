// Package memory is the feed engine of one process. It keeps the timelines of
// those who read, and the newest posts of authors whom readers merge; its modes
// differ in who has which (plan.go), and give equal pages.
//
//	engine := memory.New(memory.Options{Source: db, Graph: relations})
//	engine.Publish(post)                                 // committed: in every feed from here on
//	err := engine.FanOut(ctx, post, job)                 // by a worker, some time later
//	page, err := engine.Page(ctx, feed.Query{Reader: me, Limit: 50})
//
// # Invariants
//
// A page is a function of the store and of the current relations alone; what
// is in memory only decides what it costs. For that to hold, every post of an
// author whom a reader follows is at every moment in one of four places, and
// a read looks at them in the order in which a post moves:
//
//	writer:  commit ─ Publish: in flight, in its author's ring ─ acknowledged
//	                     │
//	worker:              └──── deliver to the author's audience ──── land
//	reader:  look in flight ─▶ look at the timeline and the rings ─▶ pull below them
//
// Nothing is acknowledged before it is in flight and in the ring, and nothing
// lands before it was delivered: who no longer finds a post in flight finds it in
// the timeline, or in the ring if the plan of the timeline says that the author is
// merged. A plan comes with each part of a timeline, under one lock.
//
// The audience of an author is those who have a timeline and do not merge the
// author. A build enters its reader there before it reads the store (audience.go),
// so a fan-out asks nobody for followers, and writes nothing for those who do not
// read. Timelines that are not read for long are dropped.
// Whatever breaks that (an overflow, changed history, changed follows) drops
// timelines; who finds none asks the store, which has every post since its
// commit. Dropping is always safe and never waits.
//
// A generation numbers the times that everything was dropped. Timelines and
// fan-outs bear the one they began in, and never meet across generations:
//
//	fan-out of p:  commit p ── begins, generation 7 ───── delivers to generation 7 only
//	all dropped:                          8 ┤
//	timeline of 8:                          └── built by a pull, which finds p
//
// Everything is bounded: timelines, posts in a timeline, different posts in all
// timelines, posts in flight, tombstones. Reaching one of the last three drops
// everything and begins anew.
//
// # Memory
//
// An entry of a timeline is a post's ordinal in a table of posts that all
// timelines and rings share, 4 bytes in a circle that doubles up to Options.Length:
//
//	audience:  author ─▶ [handle …]
//	shard:     handle ─▶ timeline: newest id, entries ─▶ [7 9 4 12 …]
//	posts:                                             7 ─▶ (id, author)
//
// A delivery is nearly always the newest entry of its timeline, which costs two
// waits for memory (timeline, entries) and no look at the table; a fan-out goes
// shard by shard, so that those of several readers overlap. With 116 follows each,
// a reader's place in audiences included, a full timeline takes 5.0 bytes an entry.
//
// Posts that no timeline holds any more are found by a sweep, in steps that
// fan-outs and builds make, and their ordinals are given to others. Who reads an
// ordinal holds the lock of the shard in whose timeline it stands; sweep.go has
// the argument why such an ordinal is never given away.
//
// # Locks
//
// Order: tombstones.mu, then the stripes of inFlight by index; tombstones.mu,
// sweep.step or a stripe of audiences, then one shard.mu, then posts.mu. No shard is locked together with
// a stripe or with another shard, and nothing is locked while the source is read.
//
// It is not shared: with several processes each would miss what the others
// publish. It keeps nothing over a restart and needs nothing kept.
package memory
