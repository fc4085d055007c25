package app

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/position"
)

const (
	feedConsumer   = "fences"              // the name under which a data folder's node follows the change feed
	feedChunk      = 1000                  // changes read at once
	calmMost       = time.Second           // the wait for changes, at most
	settleWithin   = 10 * time.Millisecond // after a change: the wait for proof that it was the last, which tokens wait for
	retryFeed      = time.Second           // after an error
	housekeepEvery = 10 * time.Minute      // removal of what has expired
)

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
