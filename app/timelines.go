package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/feed"
	feedmemory "github.com/freshet/freshet/feed/memory"
	feedredis "github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/pgdb"
)

// newEngine makes the engine of home feeds.
func (n *Node) newEngine(s feed.Source, g feed.Graph) (feed.Engine, error) {
	if n.timelinesShared() {
		return n.newSharedEngine(s, g)
	}
	o := feedmemory.Options{
		Mode: feed.Mode(n.cfg.Feed.Mode), Source: s, Graph: g,
		Length: n.cfg.Feed.TimelineLength, Readers: n.cfg.Feed.TimelinesMax,
		InFlight: n.cfg.Feed.InflightMax, Chunk: n.cfg.Feed.FanoutChunk,
		Rings: n.cfg.Feed.RingsMax, Threshold: n.cfg.Feed.Threshold, Now: n.opts.Now,
	}
	if o.Mode == feed.Pull && n.shared() {
		o.Rings = -1 // processes that share a database do not hear of each other's posts in time
	}
	return feedmemory.New(o), nil
}

// timelinesShared reports whether timelines are in Redis. Mode pull keeps none anywhere, and tells nobody of its posts.
func (n *Node) timelinesShared() bool {
	return n.cfg.Feed.Timelines == "redis" && n.cfg.Feed.Mode != string(feed.Pull)
}

// newSharedEngine keeps timelines in the Redis that the caches use.
func (n *Node) newSharedEngine(s feed.Source, g feed.Graph) (feed.Engine, error) {
	url := string(n.cfg.Cache.Remote)
	if !strings.HasPrefix(url, "redis") {
		return nil, &freshet.Error{
			Code: freshet.CodeInvalid, Field: "feed.timelines",
			Message: "is redis, and cache.remote names none: set cache.remote to redis://host:6379, or leave feed.timelines out",
		}
	}
	client, err := redis.Options{URL: url}.ClientOption()
	if err != nil {
		return nil, fmt.Errorf("cache.remote: %w", err)
	}
	n.timelines, err = feedredis.Open(feedredis.Options{
		Client: client, Mode: feed.Mode(n.cfg.Feed.Mode), Source: s, Graph: g,
		Length: n.cfg.Feed.TimelineLength, Readers: n.cfg.Feed.TimelinesMax,
		InFlight: n.cfg.Feed.InflightMax, Threshold: n.cfg.Feed.Threshold, Now: n.opts.Now,
		Lost: func(err error) {
			if !errors.Is(err, feedredis.ErrResting) {
				n.log.Warn("timelines in Redis: feeds are pulled from the store meanwhile", "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return n.timelines, nil
}

// Processes that share a database must agree where timelines are: in the memory of one, in Redis, or nowhere (mode pull). Who keeps
// them in memory, or nowhere, holds one lock, who keeps them in Redis another; each sees first that nobody has the other's.
const (
	localTimelines  = "timelines"
	sharedTimelines = "timelines in redis"
)

func (n *Node) holdTimelines(ctx context.Context, db *pgdb.DB) (*pgdb.Hold, error) {
	if !n.timelinesShared() {
		held, err := db.Hold(ctx, localTimelines, n.cfg.Feed.Mode == string(feed.Pull))
		if errors.Is(err, pgdb.ErrHeld) {
			return nil, fmt.Errorf("another freshet uses this database, and timelines in memory are for one: set feed.timelines to redis, or feed.mode to pull, for all of them (%w)", err)
		}
		if err != nil {
			return nil, err
		}
		return held, n.nobodyHolds(ctx, db, sharedTimelines, held)
	}
	held, err := db.Hold(ctx, sharedTimelines, true)
	if err != nil {
		return nil, err
	}
	return held, n.nobodyHolds(ctx, db, localTimelines, held)
}

// nobodyHolds fails, and lets go of what is held, if another process has timelines elsewhere.
func (n *Node) nobodyHolds(ctx context.Context, db *pgdb.DB, name string, held *pgdb.Hold) error {
	other, err := db.Hold(ctx, name, false)
	for try := 0; errors.Is(err, pgdb.ErrHeld) && try < 10 && ctx.Err() == nil; try++ { // another looks, too
		pause(ctx, 50*time.Millisecond)
		other, err = db.Hold(ctx, name, false)
	}
	if err == nil {
		other.Release()
		return nil
	}
	held.Release()
	if errors.Is(err, pgdb.ErrHeld) {
		return fmt.Errorf("another freshet on this database keeps its timelines elsewhere: set feed.timelines alike for all of them (%w)", err)
	}
	return err
}
