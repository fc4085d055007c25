// Package redis is the feed engine of many processes: timelines lie in Redis 6.2 or Valkey 7.2 and later, one server, Sentinel or
// Cluster, and every node reads all of them.
//
//	engine, err := redis.Open(redis.Options{Client: server, Mode: feed.Adaptive, Source: db, Graph: relations})
//	if err != nil { … }
//	defer engine.Close()
//	go engine.Run(ctx)                                   // on the nodes that do the writing
//	engine.Publish(post)                                 // committed: in every feed on every node from here on
//	page, err := engine.Page(ctx, feed.Query{Reader: me, Limit: 50})
//
// # How a post comes into a feed
//
// Holders (readers, and authors whose newest posts are kept for those who merge them) are divided into 8 stripes. Each has a log,
// and one owner, by lease, who alone writes its timelines. A post is appended to all logs before it is acknowledged:
//
//	writer:  commit ── Publish: RPUSHX log × 8 ─ ── acknowledged
//	owner:                        └─ SETRANGE ring, ring, … ── 200 ms later: out of the log
//	reader:             LRANGE log, GETEX ring: one flight
//
// So a post is in the log, or in the timeline, or in both, at every moment of every read, whatever the owner does; and who writes
// nothing else than the place where the next id goes needs one command for a delivery. A timeline is a packed ring of 8-byte ids
// (ring.go). Its owner remembers where the next goes and who follows whom among those who have a timeline, so a fan-out asks
// nobody for followers, and those who do not read get nothing.
//
// # Invariants
//
// A page is a function of the store and of the relations now. What is shown was first asked for at the source
// (feed.Source.Refs, a cache whose fences a deletion has waited for), so a deleted post shows on no node.
//
// What might be wrong is not read, and what is not read is pulled: a stripe without the marker of an epoch, a timeline that the log
// says is void, one that its owner has not filled, an answer that took too long, Redis that does not answer. Dropping is always
// safe.
//
// An owner that loses its lease, knows or does not know it, writes under the keys of its epoch, and nobody reads these any more. A
// server that was started anew, or a replica in the master's place, may lack what was acknowledged: its stripes begin anew before
// anything of them is believed (proof.go).
//
// A node that can't reach Redis asks the store, and says what it could not say when it is back (unsaid.go). Until then, or until
// the post's fan-out runs on another node, those who read on other nodes do not see its posts: that is the one bound on freshness
// that the job engine keeps, and not this package.
//
// It keeps nothing that the store does not know, and is no cache of posts.
package redis
