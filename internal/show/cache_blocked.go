package main

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
)

const (
	hitsWatched = 2_000
	slowHit     = time.Millisecond
	// hitRounds: other processes of the machine may hold up a round of hits; a lock would hold up all.
	hitRounds = 3
)

// hitsBesideABlockedLoad counts hits that are slow while the loader of another key never returns, in the best of a few
// rounds.
func (l *lab) hitsBesideABlockedLoad(ctx context.Context, addr string) (slow int, longest time.Duration, err error) {
	forever, hanging := make(chan struct{}), make(chan struct{})
	var space *cache.Cache[int64, int64]
	n, err := l.cacheNode(ctx, onRedis(redis.Options{URL: "redis://" + addr}), cache.Options{}, func(s *cache.Stack) {
		space = cache.Func(s, "blocked", cache.Policy{}, func(_ context.Context, key int64) (int64, error) {
			if key < 0 {
				close(hanging)
				<-forever
			}
			return key, nil
		})
	})
	if err != nil {
		return 0, 0, err
	}
	defer n.close()
	defer close(forever)
	go func() { _, _ = space.Get(ctx, -1) }()
	<-hanging
	for round := range hitRounds {
		if slow, longest, err = watchHits(ctx, n, space); err != nil || slow == 0 {
			return slow, longest, err
		}
		l.detail("round %d of hits while a loader hangs: %d slow, the longest %s", round+1, slow, longest)
	}
	return slow, longest, nil
}

// watchHits makes hits and times each.
func watchHits(ctx context.Context, n *cacheNode, space *cache.Cache[int64, int64]) (slow int, longest time.Duration, err error) {
	const keys, batch = 100, 50
	for i := range int64(keys) {
		if _, err := space.Get(ctx, i); err != nil {
			return 0, 0, err
		}
	}
	before := n.statsOf("blocked").Hits
	for i := range int64(hitsWatched) {
		if i%batch == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		began := time.Now()
		v, err := space.Get(ctx, i%keys)
		took := time.Since(began)
		if err != nil || v != i%keys {
			return slow, longest, fmt.Errorf("beside a hanging load a key reads %d, %v", v, err)
		}
		if longest = max(longest, took); took > slowHit {
			slow++
		}
	}
	if hits := n.statsOf("blocked").Hits - before; hits != hitsWatched {
		return slow, longest, fmt.Errorf("of %d reads %d were hits", hitsWatched, hits)
	}
	return slow, longest, nil
}
