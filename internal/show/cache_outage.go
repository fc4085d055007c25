package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
)

// outage is two nodes over one source, and one that is the only node of its own, on a Redis that goes away.
type outage struct {
	nodes  [2]*cacheNode
	spaces [2]*cache.Cache[int64, uint64]
	alone  *cacheNode
	kept   *cache.Cache[int64, uint64]
	source []outageKey

	writes, reads atomic.Int64
	back          atomic.Int64 // when the layer was, Unix ns; 0: it is not
	oldest        atomic.Int64 // ns: the longest that a value which was read had been over
	settling      atomic.Int64 // the same of reads within downMaxStale after the layer was back: fences were owed until then
}

// outageKey is a key of the source: a version, and when each was over, that is when the invalidation that followed the next
// write had returned.
type outageKey struct {
	writing sync.Mutex // held by a write and its invalidation
	mu      sync.Mutex
	version uint64
	over    []time.Time // of version i
}

func (k *outageKey) now() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.version
}

func (k *outageKey) write() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
}

// ended notes that what was there before the current version is over.
func (k *outageKey) ended() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for now := time.Now(); uint64(len(k.over)) < k.version; {
		k.over = append(k.over, now)
	}
}

// age is for how long a version had been over when a read of it began.
func (k *outageKey) age(version uint64, began time.Time) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version >= uint64(len(k.over)) {
		return 0
	}
	return began.Sub(k.over[version])
}

func (l *lab) openOutage(ctx context.Context, addr string) (*outage, error) {
	w := &outage{source: make([]outageKey, downKeys)}
	open := onRedis(redis.Options{URL: "redis://" + addr, Trust: downMaxStale})
	policy := cache.Policy{TTL: cacheForever}
	load := func(_ context.Context, key int64) (uint64, error) {
		v := uint64(0)
		if key < downKeys {
			v = w.source[key].now()
		}
		time.Sleep(downSource)
		return v, nil
	}
	var err error
	for i := range w.nodes {
		w.nodes[i], err = l.cacheNode(ctx, open, cache.Options{MaxStale: downMaxStale}, func(s *cache.Stack) {
			w.spaces[i] = cache.Func(s, "shared", policy, load)
		})
		if err != nil {
			return nil, err
		}
	}
	w.alone, err = l.cacheNode(ctx, open, cache.Options{OnlyNode: true}, func(s *cache.Stack) {
		w.kept = cache.Func(s, "alone", policy, load)
	})
	return w, err
}

func (w *outage) close() {
	for _, n := range append(w.nodes[:], w.alone) {
		_ = n.close()
	}
}

// load writes and reads at random on both nodes for a while, and notes how old a value is that a read brings.
func (w *outage) load(ctx context.Context, d time.Duration) error {
	const workers = 8
	until := time.Now().Add(d)
	return each(ctx, workers, workers, func(ctx context.Context, i int) error {
		rng := rand.New(rand.NewPCG(uint64(until.UnixNano()), uint64(i)))
		for time.Now().Before(until) {
			n, k := rng.IntN(len(w.spaces)), rng.Int64N(downKeys)
			if i == 0 {
				if err := w.write(ctx, n, k); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
				continue
			}
			began := time.Now()
			v, err := w.spaces[n].Get(ctx, k)
			if err != nil {
				return fmt.Errorf("a read without Redis: %w", err)
			}
			w.reads.Add(1)
			w.note(began, w.source[k].age(v, began))
		}
		return nil
	})
}

// note keeps the age of what a read brought, if it is the oldest.
func (w *outage) note(began time.Time, age time.Duration) {
	oldest := &w.oldest
	if back := w.back.Load(); back > 0 && began.UnixNano()-back < int64(downMaxStale) {
		oldest = &w.settling
	}
	for {
		old := oldest.Load()
		if int64(age) <= old || oldest.CompareAndSwap(old, int64(age)) {
			return
		}
	}
}

// write changes the source and then the cache of a node.
func (w *outage) write(ctx context.Context, node int, key int64) error {
	k := &w.source[key]
	k.writing.Lock()
	defer k.writing.Unlock()
	k.write()
	err := w.spaces[node].Invalidate(ctx, key)
	k.ended()
	w.writes.Add(1)
	return err
}
