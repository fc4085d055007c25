// Package memory is the feed engine of one process: it keeps the timelines of
// recent readers in memory (mode push), or none at all (mode pull).
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
// author whom a reader follows is at every moment in one of three places, and
// a read looks at them in the order in which a post moves:
//
//	writer:  commit ─ Publish ───────────────────────────────── acknowledged
//	                     │ in flight
//	worker:              └──── deliver to every timeline ──── land
//	reader:       look in flight ────▶ look at the timeline ────▶ pull below it
//
// Nothing is acknowledged before it is in flight, and nothing lands before it
// was delivered: who no longer finds a post in flight finds it in the timeline.
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
// timelines share, 4 bytes in a ring that doubles up to Options.Length:
//
//	shard:     reader ─▶ slot ─▶ timeline: newest id, ring ─▶ [7 9 4 12 …]
//	posts:                                                  7 ─▶ (id, author)
//
// A delivery is nearly always the newest entry of its timeline, which costs
// three waits for memory (index, timeline, ring) and no look at the table; a
// fan-out goes shard by shard, so that those of several followers overlap.
//
// Posts that no timeline holds any more are found by a sweep, in steps that
// fan-outs and builds make, and their ordinals are given to others. Who reads an
// ordinal holds the lock of the shard in whose timeline it stands; sweep.go has
// the argument why such an ordinal is never given away.
//
// # Locks
//
// Order: tombstones.mu, then the stripes of inFlight by index; tombstones.mu or
// sweep.step, then one shard.mu, then posts.mu. No shard is locked together with
// a stripe or with another shard, and nothing is locked while the source is read.
//
// It is not shared: with several processes each would miss what the others
// publish. It keeps nothing over a restart and needs nothing kept.
package memory
