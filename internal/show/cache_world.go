package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/cache/redis"
)

// cacheNode is a stack on a layer of its own making, as a process has it.
type cacheNode struct {
	*cache.Stack
	remote *counted
	probes *cache.Cache[string, int]
	probed atomic.Int64
	ending sync.Once
}

// counted is a remote layer that counts its round trips.
type counted struct {
	cache.Remote
	gets, others atomic.Int64
}

func (c *counted) calls() int64 { return c.gets.Load() + c.others.Load() }

func (c *counted) Get(ctx context.Context, keys []string, out []cache.Record) error {
	c.gets.Add(1)
	return c.Remote.Get(ctx, keys, out)
}

func (c *counted) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	c.others.Add(1)
	return c.Remote.Lease(ctx, asks, out)
}

func (c *counted) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	c.others.Add(1)
	return c.Remote.Fill(ctx, fills, out)
}

func (c *counted) Release(ctx context.Context, held []cache.Held) error {
	c.others.Add(1)
	return c.Remote.Release(ctx, held)
}

func (c *counted) Fence(ctx context.Context, fences []cache.Fence) error {
	c.others.Add(1)
	return c.Remote.Fence(ctx, fences)
}

// countedChannel is the same of a layer with a channel.
type countedChannel struct {
	*counted
	cache.Channel
}

func (c countedChannel) FenceTags(ctx context.Context, tags []string) (uint64, error) {
	c.others.Add(1)
	return c.Channel.FenceTags(ctx, tags)
}

// onRedis opens a layer.
func onRedis(o redis.Options) func(context.Context) (cache.Remote, error) {
	return func(ctx context.Context) (cache.Remote, error) { return redis.Open(ctx, o) }
}

// onMemcached opens a layer.
func onMemcached(addr string) func(context.Context) (cache.Remote, error) {
	return func(ctx context.Context) (cache.Remote, error) {
		return memcached.Open(ctx, memcached.Options{Servers: []string{addr}})
	}
}

// cacheForever outlives every point, so that no entry ends by its time.
const cacheForever = 24 * time.Hour

// joinWithin is how long a node may take until it uses its layer.
const joinWithin = 30 * time.Second

// cacheNode starts a node, defines its spaces and returns when it uses its layer.
func (l *lab) cacheNode(ctx context.Context, open func(context.Context) (cache.Remote, error), o cache.Options, define func(*cache.Stack)) (*cacheNode, error) {
	n, err := newCacheNode(ctx, open, o, define)
	if n != nil {
		l.Cleanup(func() { _ = n.close() })
	}
	return n, err
}

func newCacheNode(ctx context.Context, open func(context.Context) (cache.Remote, error), o cache.Options, define func(*cache.Stack)) (*cacheNode, error) {
	remote, err := open(ctx)
	if err != nil {
		return nil, err
	}
	n := &cacheNode{remote: &counted{Remote: remote}}
	o.Remote = n.remote
	if channel, ok := remote.(cache.Channel); ok {
		o.Remote = countedChannel{n.remote, channel}
	}
	if n.Stack, err = cache.NewStack(o); err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	n.probes = cache.Func(n.Stack, "probe", cache.Policy{}, func(context.Context, string) (int, error) { return 1, nil })
	if define != nil {
		define(n.Stack)
	}
	return n, n.joined(ctx)
}

// close ends the node, and its layer after it.
func (n *cacheNode) close() (err error) {
	n.ending.Do(func() { err = errors.Join(n.Stack.Close(), n.remote.Close()) })
	return err
}

// uses tells whether a read that misses asks the layer.
func (n *cacheNode) uses(ctx context.Context) bool {
	before := n.remote.gets.Load()
	_, err := n.probes.Get(ctx, fmt.Sprintf("%p %d", n, n.probed.Add(1)))
	return err == nil && n.remote.gets.Load() > before
}

// joined waits until the node uses its layer.
func (n *cacheNode) joined(ctx context.Context) error {
	for deadline := time.Now().Add(joinWithin); !n.uses(ctx); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("a node does not use its layer within %v", joinWithin), ctx.Err())
		}
	}
	return nil
}

// statsOf is what a space of the node has done.
func (n *cacheNode) statsOf(space string) cache.Stats {
	for _, s := range n.Stats() {
		if s.Name == space {
			return s
		}
	}
	return cache.Stats{}
}
