package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	feedConsumer   = "fences"              // the name under which a data folder's node follows the change feed
	feedChunk      = 1000                  // changes read at once
	confirmEvery   = time.Second           // how long rows of the feed outlive their fence
	settleWithin   = 10 * time.Millisecond // after a change: the wait for proof that it was the last, which tokens wait for
	retryFeed      = time.Second           // after an error
	housekeepEvery = 10 * time.Minute      // removal of what has expired
)

// followChanges repeats the fence of every change from the feed of one shard: of
// writes by other programs, and of those whose process died between commit and
// fence. The caches hear how far it has come. Nodes that share a store follow it
// by names of their own. It returns when ctx ends.
func (n *Node) followChanges(ctx context.Context, shard int, heard *heard) {
	feed := n.feeds[shard]
	var at, confirmed, told position.Position
	moved := true                 // buckets may have come to this shard, or did
	var arrival position.Position // where that stands; zero: not heard of
	last := time.Now()
	// Waiting ends in time to ask again before memory is not trusted any more.
	calm := min(confirmEvery, n.cfg.Cache.MaxStale/4)
	for patience := calm; ctx.Err() == nil; {
		wait, cancel := context.WithTimeout(ctx, patience)
		asked, dir := time.Now(), n.directory()
		head, err := feed.FeedHead(wait)
		var changes []store.Change
		if err == nil {
			changes, err = feed.Changes(wait, feed.consumer, at, feedChunk)
		}
		cancel()
		if patience = calm; errors.Is(err, context.DeadlineExceeded) {
			continue // it was not known in time whether there was anything
		}
		for _, c := range changes {
			if c.Kind == store.BucketsMoved {
				moved, arrival = true, c.At
			}
		}
		if err == nil && moved && n.split != nil {
			err = n.split.Arrived(ctx, shard, arrival) // what is loaded behind the fences is to be read where it is now
		}
		if err == nil {
			moved = false
			err = n.fence(ctx, changes)
		}
		if err != nil {
			if errors.Is(err, store.ErrFeedLost) {
				n.stack.FeedLost()
				at, moved, arrival = position.Position{}, true, position.Position{}
			}
			n.feedFailed(ctx, err)
			continue
		}
		if len(changes) > 0 {
			at = changes[len(changes)-1].At
			patience = settleWithin
		}
		if len(changes) < feedChunk { // that was all there was
			if !head.Reached(at) {
				head = at
			}
			since, all, dir, whole := heard.from(shard, asked, head, dir)
			if whole {
				n.stack.Followed(since, all.Raise(dir))
			}
			if head != told && whole && n.stack.Advance(ctx, all) == nil {
				told = head
			}
		}
		if at != confirmed && time.Since(last) >= confirmEvery {
			if err := feed.Confirm(ctx, feed.consumer, at); err != nil && ctx.Err() == nil {
				n.log.Error("confirm the change feed", "error", err)
			}
			confirmed, last = at, time.Now()
		}
	}
}

// heard is what the feeds of all shards have said. Memory is as fresh as the one that was asked longest ago.
type heard struct {
	mu    sync.Mutex
	asked []time.Time // zero: not yet
	heads []position.Position
	dirs  []position.Position // of the directory by which the node went when it asked
}

func newHeard(shards int) *heard {
	return &heard{asked: make([]time.Time, shards), heads: make([]position.Position, shards), dirs: make([]position.Position, shards)}
}

// from notes how far a shard's feed was told, when that was asked, and by which directory the node went then. It gives what holds of all:
// since when, and how far; whole tells whether each has been heard at least once.
//
// A directory is covered once every shard was asked under it: the shard that buckets have left had no change of theirs after that, so all
// has been fenced that was to be seen there. That holds of this node alone, because another may still read by an older one.
func (h *heard) from(shard int, asked time.Time, head, directory position.Position) (since time.Time, all position.Token, dir position.Position, whole bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[shard], h.heads[shard], h.dirs[shard] = asked, head, directory
	since, dir = asked, directory
	for i, at := range h.asked {
		if at.IsZero() {
			return since, nil, dir, false
		}
		if at.Before(since) {
			since = at
		}
		if order, _ := h.dirs[i].Compare(dir); order < 0 {
			dir = h.dirs[i]
		}
		all = all.Raise(h.heads[i])
	}
	return since, all, dir, true
}

func (n *Node) feedFailed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		n.log.Error("the change feed failed; trying again", "error", err)
		pause(ctx, retryFeed)
	}
}

func (n *Node) fence(ctx context.Context, changes []store.Change) error {
	if len(changes) == 0 {
		return nil
	}
	// What is cached behind these fences must have been read where the last of the changes is, or later, by whichever node.
	ctx = cache.At(ctx, position.Token{changes[len(changes)-1].At}.Raise(n.directory()))
	if err := n.social.Fence(ctx, changes...); err != nil {
		return err
	}
	return n.auth.Fence(ctx, changes...)
}

// housekeep removes what has expired, now and then. It returns when ctx ends.
func (n *Node) housekeep(ctx context.Context) {
	for ctx.Err() == nil {
		for _, purge := range []struct {
			what string
			do   func(context.Context) (int, error)
		}{
			{"sessions", n.auth.PurgeSessions},
			{"idempotency keys", n.idempotency.Purge},
			{"hours of views", n.purgeViewHours},
			{"notifications", func(ctx context.Context) (int, error) {
				return n.store.PurgeNotifications(ctx, n.opts.Now().Add(-n.cfg.Retention.Notifications))
			}},
			{"dead jobs", func(ctx context.Context) (int, error) {
				return n.jobs.PurgeDead(ctx, n.opts.Now().Add(-n.cfg.Retention.DeadJobs))
			}},
		} {
			if _, err := purge.do(ctx); err != nil && ctx.Err() == nil {
				n.log.Error("remove expired "+purge.what, "error", err)
			}
		}
		pause(ctx, housekeepEvery)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
