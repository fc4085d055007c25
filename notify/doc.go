// Package notify tells people what happens while they watch: the hub of live events.
//
//	hub := notify.New(notify.Options{Shards: 1, Relations: relations})
//	go hub.Run(ctx)
//	hub.Begin(0, head)                        // what the change feed tells comes after this
//	hub.Publish(0, changes, head, false)      // once they are fenced
//
//	s, err := hub.Subscribe(ctx, notify.Watcher{User: me}, lastEventID)
//	defer s.Close()
//	events, err := s.Next(ctx, 15*time.Second, nil)
//
// # How an event gets to a stream
//
//	change feed ─▶ fence ─▶ Publish ─▶ ring ──────────────────────┐ behind: read from the ring, some at a time
//	                           │                                 ▼
//	                           └─▶ readers who follow ─▶ queue ─▶ stream ─▶ its goroutine writes
//
// The node publishes the changes of its shards' feeds once it has fenced them, so what a client loads on an event is as new as
// the event. Those that people watch for enter a ring, and the queue of each stream that keeps up. A stream that does not (it
// resumes, its queue is full, or its reader's relations have changed and are being read again) is behind: it reads the ring
// from where it was, with the reader's present relations, until it has caught up. So publishing never waits: not for a slow
// reader, and not for the store. One whose place in the ring is overwritten is ended.
//
// An event's id is how far its node has heard each shard's feed, and therefore means the same on every node that follows them.
// Who resumes after one gets everything after it, at least once; where the ring does not reach back so far, or the id is of
// another history, the stream begins with a reset: load the feed anew.
//
// Whose posts a reader is told is what the home feed shows: those of the followed and the reader's own, less what is hidden; it
// is decided by the relations that the reader has when the event is put into the queue or read from the ring.
//
// # Order over shards
//
// Feeds of different shards are heard independently, so a post can be heard before the follow that was acknowledged before it
// was written. Therefore, where there is more than one shard, a follow and a resumption look back 10 s: events in that time may
// come twice. With one shard they come in the order of commits.
//
// Invariants: the work per change is the number of watchers who follow its author; every queue has a bound; nothing is told to
// a session that has ended, because that is heard by the same feed and ends the stream.
//
// It is not a message queue: it keeps minutes, in memory, and the store knows the rest.
package notify
