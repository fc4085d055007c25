package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
)

const (
	tokensAim = "hit ratio within 2 points of the run without tokens; every own write seen on all nodes"

	tokenNodes    = 3
	tokenKeys     = 5_000
	tokenSessions = 300
	tokenReads    = 10 // of a session between two of its writes, which are a second apart
	tokenPoints   = 2.0
	feedEvery     = 2 * time.Millisecond // how often the consumer of the change feed looks
)

// tokenWorld is three nodes on one Redis over one simulated shard: versions by key, and a log of changes.
type tokenWorld struct {
	nodes  [tokenNodes]*cacheNode
	spaces [tokenNodes]*cache.Cache[int64, uint64]

	mu      sync.RWMutex
	version map[int64]uint64 // the offset of the last write of a key
	log     []int64          // keys by offset - 1
}

// at is the position of an offset.
func (*tokenWorld) at(offset uint64) position.Token {
	return position.Token{{System: 1, Timeline: 1, Offset: offset}}
}

// write commits a change of a key.
func (w *tokenWorld) write(key int64) (offset uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, key)
	offset = uint64(len(w.log))
	w.version[key] = offset
	return offset
}

// measureTokens is point 5.
func measureTokens(ctx context.Context, l *lab) (outcome, error) {
	without, _, err := l.tokenRun(ctx, false)
	if err != nil {
		return outcome{}, err
	}
	with, own, err := l.tokenRun(ctx, true)
	if err != nil {
		return outcome{}, err
	}
	lost := 100 * (without - with)
	return outcome{
		fmt.Sprintf("%.1f %% with tokens, %.1f %% without; %d of %d own writes seen", 100*with, 100*without, own.seen.Load(), own.all.Load()),
		lost <= tokenPoints && own.seen.Load() == own.all.Load() && own.all.Load() > 0,
	}, nil
}

// ownWrites are reads of what the session has just written.
type ownWrites struct{ all, seen atomic.Int64 }

// tokenRun has sessions read and write for some seconds, and gives the hit ratio of all nodes; with tokens it then has
// the sessions read their own writes on every node.
func (l *lab) tokenRun(ctx context.Context, tokens bool) (ratio float64, own *ownWrites, err error) {
	w := &tokenWorld{version: map[int64]uint64{}}
	if err := w.open(ctx, l, testenv.StartRedis(l).Addr); err != nil {
		return 0, nil, err
	}
	defer w.close()
	keys := make([]int64, tokenKeys)
	for i := range keys {
		keys[i] = int64(i)
	}
	for _, space := range w.spaces { // all is in memory
		if _, err := space.GetMany(ctx, keys); err != nil {
			return 0, nil, err
		}
	}
	feed, stop := context.WithCancel(ctx)
	consumed := make(chan error, 1)
	go func() { consumed <- w.consume(feed) }()

	seconds := time.Duration(size(4, 30)) * time.Second
	before := w.counts()
	began := time.Now()
	err = each(ctx, tokenSessions, tokenSessions, func(ctx context.Context, i int) error {
		return w.session(ctx, rand.New(rand.NewPCG(1, uint64(i))), began.Add(seconds), tokens)
	})
	after := w.counts()
	if hits, misses := after.Hits-before.Hits, after.Misses-before.Misses; hits+misses > 0 {
		ratio = float64(hits) / float64(hits+misses)
		l.detail("tokens %t: %d reads and %d writes in %s, of a space of %d keys on %d nodes", tokens, hits+misses, len(w.log), seconds, tokenKeys, tokenNodes)
	}
	own = new(ownWrites)
	if err == nil && tokens {
		err = w.readOwn(ctx, own)
	}
	stop()
	return ratio, own, errors.Join(err, <-consumed)
}

func (w *tokenWorld) open(ctx context.Context, l *lab, addr string) (err error) {
	for i := range w.nodes {
		w.nodes[i], err = l.cacheNode(ctx, onRedis(redis.Options{URL: "redis://" + addr}), cache.Options{}, func(s *cache.Stack) {
			w.spaces[i] = cache.Define(s, cache.Space[int64, uint64]{
				Name: "shard", Policy: cache.Policy{TTL: cacheForever}, LoadMany: w.load,
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *tokenWorld) close() {
	for _, n := range w.nodes {
		_ = n.close()
	}
}

// load reads a primary, which takes a millisecond.
func (w *tokenWorld) load(ctx context.Context, keys []int64) (map[int64]uint64, error) {
	w.mu.RLock()
	values := make(map[int64]uint64, len(keys))
	for _, k := range keys {
		values[k] = w.version[k]
	}
	at := w.at(uint64(len(w.log)))
	w.mu.RUnlock()
	if at[0].Offset > 0 {
		cache.ReadAt(ctx, at)
	}
	time.Sleep(time.Millisecond)
	return values, nil
}

// consume fences what the log says, as the one consumer of a change feed does, and publishes how far it has come.
func (w *tokenWorld) consume(ctx context.Context) error {
	for done := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(feedEvery):
		}
		w.mu.RLock()
		news := w.log[done:len(w.log):len(w.log)]
		w.mu.RUnlock()
		if len(news) == 0 {
			continue
		}
		done += len(news)
		at := w.at(uint64(done))
		if err := w.spaces[0].Invalidate(cache.At(ctx, at), news...); err != nil && ctx.Err() == nil {
			return err
		}
		if err := w.nodes[0].Advance(ctx, at); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (w *tokenWorld) counts() (sum cache.Stats) {
	for _, n := range w.nodes {
		s := n.statsOf("shard")
		sum.Hits, sum.Misses = sum.Hits+s.Hits, sum.Misses+s.Misses
	}
	return sum
}

// session writes once a second and reads in between, each time from some node.
func (w *tokenWorld) session(ctx context.Context, rng *rand.Rand, until time.Time, tokens bool) error {
	const pause = time.Second / tokenReads
	time.Sleep(time.Duration(rng.Int64N(int64(time.Second)))) // sessions do not march in step
	for time.Now().Before(until) {
		offset := w.write(rng.Int64N(tokenKeys))
		reads := ctx
		if tokens {
			reads = cache.At(ctx, w.at(offset))
		}
		for range tokenReads {
			time.Sleep(time.Duration(rng.Int64N(int64(2 * pause))))
			if _, err := w.spaces[rng.IntN(tokenNodes)].Get(reads, rng.Int64N(tokenKeys)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readOwn has sessions write, and read that at once on every node.
func (w *tokenWorld) readOwn(ctx context.Context, own *ownWrites) error {
	return each(ctx, 8, size(3_000, 100_000), func(ctx context.Context, i int) error {
		key := int64(i*7919) % tokenKeys
		offset := w.write(key)
		for _, space := range w.spaces {
			v, err := space.Get(cache.At(ctx, w.at(offset)), key)
			if err != nil {
				return err
			}
			if own.all.Add(1); v >= offset {
				own.seen.Add(1)
			}
		}
		return nil
	})
}
