// Package feed says which posts stand in a reader's home feed and in what
// order: the posts of the users whom the reader follows and the reader's own,
// newest id first, less what is deleted and whose author is hidden from the
// reader. Engines differ in when the work is done, never in the answer; package
// feedtest checks that against a model.
//
//	page, err := engine.Page(ctx, feed.Query{Reader: me, Limit: 50})
//	for _, ref := range page.Refs { … }
//	page, err = engine.Page(ctx, feed.Query{Reader: me, Before: page.Refs[49].ID, Limit: 50})
//
// # Invariants
//
// Complete: a post acknowledged before a read began, by somebody the reader
// follows, is in the page that covers its id. Sound: nothing deleted, nobody
// unfollowed, blocked or muted shows once that was acknowledged. Ids fall
// strictly from post to post and page to page. Push and pull give equal pages,
// before, during and after fan-out, eviction, rebuilding and restart.
//
// It is not the text of posts: an engine decides on ids and authors.
package feed

import (
	"context"

	"github.com/freshet/freshet"
)

// Mode says when the work of a feed is done.
type Mode string

// The modes.
const (
	Push   Mode = "push"   // on write: a post is entered into its readers' timelines
	Pull   Mode = "pull"   // on read: the posts of the followed are merged
	Hybrid Mode = "hybrid" // push, but the posts of authors with many followers are merged on read

	// Adaptive pushes to a reader from an author where that is cheaper than to merge
	// the author on read, by [Costs] and the rates at which they post and read.
	Adaptive Mode = "adaptive"
)

// Query asks for one page.
type Query struct {
	Reader freshet.ID
	Before freshet.ID // Page.Scanned of the page before; 0: from the newest
	Limit  int        // at least 1

	// Into is memory for Page.Refs, which then allocates nothing if it is large
	// enough; what it held is lost. May be nil.
	Into []freshet.PostRef
}

// Page is a part of a feed. It is full (Query.Limit refs) unless the feed ends
// or [ScanLimit] x Limit posts of the followed were scanned, most of them hidden.
type Page struct {
	Refs []freshet.PostRef // ids fall strictly

	// Scanned is where the next page goes on: the last id of a full page, the last
	// one scanned of a page cut short. It is 0 exactly if nothing visible follows;
	// only where the scan was cut it may name a place after which nothing does.
	Scanned freshet.ID
}

// ScanLimit bounds the work of a page: at ScanLimit x Query.Limit posts of the
// followed and the reader, visible or hidden, it ends. Every engine counts
// alike, so that pages are cut at equal places.
const ScanLimit = 10

// Source is the truth that an engine reads: the posts of the store, and how many follow whom.
type Source interface {
	Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error)
	ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error)
	// Audience gives how many follow each of users.
	Audience(ctx context.Context, users []freshet.ID) ([]int64, error)
	// Refs gives those of posts that are there, in no particular order. It is asked for
	// what is about to be shown, by engines that keep ids alone.
	Refs(ctx context.Context, posts []freshet.ID) ([]freshet.PostRef, error)
}

// Graph gives a reader's relations as of the last acknowledged change that the
// context's [position.Reading] needs, or of all where it wants the latest. What it
// returns is shared and not changed.
type Graph interface {
	Relations(ctx context.Context, reader freshet.ID) (*freshet.Relations, error)
}

// Progress lets a fan-out go on after an interruption where it stood.
type Progress interface {
	// Checkpoint gives what was saved last, nil at the start.
	Checkpoint() []byte
	// Save keeps a checkpoint durably.
	Save(ctx context.Context, checkpoint []byte) error
}

// Engine keeps timelines. Methods are safe for concurrent use.
//
// The order of calls around a write is the promise: the fact commits in the
// store, the engine hears of it (and [Graph] gives the new relations), the
// write is acknowledged.
type Engine interface {
	Page(ctx context.Context, q Query) (Page, error)
	// Publish makes a committed post part of every read that begins after it
	// returned, before any fan-out. It is called once, right after the commit, and
	// does not wait for a source.
	Publish(post freshet.PostRef)
	// FanOut enters a post into its readers' timelines, some at a time, and ends
	// its being in flight. Doing it twice is harmless, and so is doing it
	// before Publish or after the post was deleted. After an error the post is
	// still in flight, and FanOut is repeated with the same Progress.
	FanOut(ctx context.Context, post freshet.PostRef, p Progress) error
	// Remove takes posts out of every read that begins after it returned.
	Remove(posts ...freshet.ID)
	// Void drops readers' timelines, because whom they follow changed: the next read
	// pulls. Whom they hide is decided by every read and voids nothing.
	Void(readers ...freshet.ID)
	// VoidAll drops every timeline, because history changed (an import, a restore).
	VoidAll()
	// Stats tells what the engine holds.
	Stats() Stats
}

// Explainer is an [Engine] that can tell why a post is in a feed or is not.
type Explainer interface {
	Explain(ctx context.Context, reader freshet.ID, post freshet.PostRef) (Explanation, error)
}

// Explanation says how a post that the reader may see comes into the reader's feed.
type Explanation struct {
	InFeed   bool
	Relation Relation
	Edge     Edge  // empty: not in the feed
	Found    Place // where the next page finds it; empty: not in the feed

	// In mode Adaptive: how many pages an hour the reader reads and posts an hour the
	// author writes, as estimated, and what follows for this pair alone, in
	// nanoseconds of CPU an hour. The plan is made for all of a reader's authors.
	Reads, Posts        float64
	PushCost, MergeCost float64
}

// Relation is what an author is to a reader.
type Relation string

// The relations.
const (
	Self     Relation = "self"
	Followed Relation = "following"
	Hidden   Relation = "hidden" // muted, or blocked either way
	Stranger Relation = "none"
)

// RelationOf says what an author is to a reader.
func RelationOf(r *freshet.Relations, reader, author freshet.ID) Relation {
	switch {
	case author == reader:
		return Self
	case r.Hides(author):
		return Hidden
	case r.Follows(author):
		return Followed
	}
	return Stranger
}

// Edge says when an author's posts come to a reader.
type Edge string

// The edges.
const (
	Pushed Edge = "push"  // into the timeline, once they are written
	Merged Edge = "merge" // when the feed is read
)

// Place is where a post is found.
type Place string

// The places.
const (
	InFlight   Place = "in_flight" // its fan-out has not ended
	InTimeline Place = "timeline"
	InRing     Place = "ring" // among the newest of its author, in memory
	InStore    Place = "store"
)

// Stats are gauges and counters of an [Engine] since it started.
type Stats struct {
	Timelines  int   // readers whose timeline is in memory
	Entries    int   // posts in them
	Rings      int   // authors whose newest posts are in memory
	Audience   int   // pairs of an author and a reader to whom the posts are delivered
	InFlight   int   // posts whose fan-out has not ended
	Delivered  int64 // entries written by fan-out
	FromMemory int64 // pages answered without the source
	Pulled     int64 // reads of the source
	Voided     int64 // times that everything was dropped because a bound was reached
}
