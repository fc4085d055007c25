package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	gocache "github.com/go-redis/cache/v9"
	"github.com/maypok86/otter/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
)

const (
	posts    = 4096 // in memory
	page     = 64   // keys of one GetInto
	farPosts = 1 << 16
	callers  = 512
	flush    = 20 * time.Microsecond
)

func benchCache(ctx context.Context, o options, out io.Writer) ([]figure, error) {
	t := &table{out: out}
	addr := o.redis
	if addr == "" {
		started, stop, err := startRedis(ctx)
		if err != nil {
			return nil, err
		}
		defer stop()
		addr = started
	}
	b := &cacheBench{table: t, options: o, ctx: ctx, addr: addr}
	for _, part := range []struct {
		name string
		do   func() error
	}{{"hits", b.hits}, {"remote", b.remote}, {"batch", b.batch}} {
		if o.only != "" && o.only != part.name {
			continue
		}
		if err := part.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return t.figures, nil
}

type cacheBench struct {
	*table
	options
	ctx  context.Context
	addr string
}

// layer counts what is asked of a Redis.
type layer struct {
	*redis.Remote
	gets, leases, fills, others atomic.Int64
}

func (l *layer) Get(ctx context.Context, keys []string, out []cache.Record) error {
	l.gets.Add(1)
	return l.Remote.Get(ctx, keys, out)
}

func (l *layer) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	l.leases.Add(1)
	return l.Remote.Lease(ctx, asks, out)
}

func (l *layer) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	l.fills.Add(1)
	return l.Remote.Fill(ctx, fills, out)
}

func (l *layer) Release(ctx context.Context, held []cache.Held) error {
	l.others.Add(1)
	return l.Remote.Release(ctx, held)
}

func (l *layer) Fence(ctx context.Context, fences []cache.Fence) error {
	l.others.Add(1)
	return l.Remote.Fence(ctx, fences)
}

// node is one process of ours on Redis.
type node struct {
	layer *layer
	stack *cache.Stack
	loads atomic.Int64 // calls of loaders
}

func (b *cacheBench) node() (*node, func(), error) {
	r, err := redis.Open(b.ctx, redis.Options{URL: "redis://" + b.addr, Prefix: "b:", MaxFlushDelay: b.flush})
	if err != nil {
		return nil, nil, err
	}
	n := &node{layer: &layer{Remote: r}}
	n.stack, err = cache.NewStack(cache.Options{Remote: n.layer})
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	time.Sleep(time.Second) // until the channel lives
	return n, func() { n.stack.Close(); r.Close() }, nil
}

func (n *node) load(_ context.Context, ids []int64) (map[int64]*post, error) {
	n.loads.Add(1)
	m := make(map[int64]*post, len(ids))
	for _, id := range ids {
		m[id] = newPost(id)
	}
	return m, nil
}

func (n *node) space(name string, codec cache.Codec[*post], entries int) *cache.Cache[int64, *post] {
	return cache.Define(n.stack, cache.Space[int64, *post]{
		Name: name, LoadMany: n.load, Codec: codec, Policy: cache.Policy{TTL: time.Hour, MaxEntries: entries},
	})
}

// fill reads ids below n once.
func fill(ctx context.Context, c *cache.Cache[int64, *post], n int) error {
	keys := make([]int64, 1024)
	for first := 0; first < n; first += len(keys) {
		for i := range keys {
			keys[i] = int64(first + i)
		}
		if _, err := c.GetMany(ctx, keys); err != nil {
			return err
		}
	}
	return nil
}

type missError string

func (e missError) Error() string { return "a miss of " + string(e) }

// hits compares reads that memory answers.
func (b *cacheBench) hits() error {
	n, closeNode, err := b.node()
	if err != nil {
		return err
	}
	defer closeNode()
	shared := n.space("hit", nil, 1<<16)
	alone, err := cache.NewStack(cache.Options{})
	if err != nil {
		return err
	}
	defer alone.Close()
	single := cache.Define(alone, cache.Space[int64, *post]{Name: "hit", LoadMany: n.load, Policy: cache.Policy{TTL: time.Hour}})
	for _, c := range []*cache.Cache[int64, *post]{shared, single} {
		if err := fill(b.ctx, c, posts); err != nil {
			return err
		}
	}
	clock := otter.NewCoarseClock(10 * time.Millisecond)
	defer clock.Stop()
	engine := otter.Must(&otter.Options[int64, *post]{
		MaximumSize: 1 << 16, ExpiryCalculator: otter.ExpiryWriting[int64, *post](time.Hour), Clock: clock,
	})
	defer engine.StopAllGoroutines()
	for id := range int64(posts) {
		engine.Set(id, newPost(id))
	}

	ctx := context.WithValue(b.ctx, page, "as deep as a request's")
	bare := &contender{name: "otter GetIfPresent", do: func(n int) error {
		for i := range int64(n) {
			if _, ok := engine.GetIfPresent(i * 31 % posts); !ok {
				return missError("otter")
			}
		}
		return nil
	}}
	get := func(c *cache.Cache[int64, *post]) func(int) error {
		return func(n int) error {
			for i := range int64(n) {
				if _, err := c.Get(ctx, i*31%posts); err != nil {
					return err
				}
			}
			return nil
		}
	}
	keys, values, found := make([]int64, page), make([]*post, page), make([]bool, page)
	into := func(n int) error {
		for i := 0; i < n; i += page {
			for j := range keys {
				keys[j] = int64(i+j) * 31 % posts
			}
			if err := shared.GetInto(ctx, keys, values, found); err != nil {
				return err
			}
		}
		return nil
	}
	ours := []*contender{
		{name: "Get, memory alone", do: get(single)},
		{name: "Get, memory over Redis", do: get(shared)},
		{name: "GetInto of 64, memory over Redis", do: into},
	}
	if err := b.profiled(func() error { return race(4*b.rounds, 128*page*10, append(ours, bare)...) }); err != nil {
		return err
	}
	b.say("hits of memory, typed; CPU per hit against otter's (%.1f ns)", bare.best())
	for _, c := range ours {
		b.say("    %-64s %10.1f ns, median; best %.1f", c.name, median(c.perOp), c.best())
		b.atMost(c.name+" / otter", times(c.perOp, bare.perOp), 1.25)
		b.exactly(c.name+": allocations", float64(int64(c.allocs*100))/100, 0)
	}
	return b.peers(ours[1].do)
}

// peers compares hits with libraries that keep bytes in memory and decode them for each hit.
func (b *cacheBench) peers(get func(int) error) error {
	client := goredis.NewClient(&goredis.Options{Addr: b.addr})
	defer client.Close()
	goRedis := gocache.New(&gocache.Options{Redis: client, LocalCache: gocache.NewTinyLFU(1<<16, time.Hour)})
	aside, err := rueidisaside.NewClient(rueidisaside.ClientOption{ClientOption: rueidis.ClientOption{InitAddress: []string{b.addr}}})
	if err != nil {
		return err
	}
	defer aside.Close()
	typed := rueidisaside.NewTypedCacheAsideClient(aside,
		func(p *post) (string, error) { data, err := json.Marshal(p); return string(data), err },
		func(s string) (*post, error) { p := new(post); return p, json.Unmarshal([]byte(s), p) })
	names := make([]string, posts)
	for id := range names {
		names[id] = "peer:" + strconv.Itoa(id)
		if err := goRedis.Set(&gocache.Item{Ctx: b.ctx, Key: names[id], Value: newPost(int64(id)), TTL: time.Hour}); err != nil {
			return err
		}
	}
	us := &contender{name: "freshet", do: get}
	them := []*contender{
		{name: "go-redis/cache Get, TinyLFU and msgpack", do: func(n int) error {
			for i := range n {
				p := new(post)
				if err := goRedis.Get(b.ctx, names[i*31%posts], p); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "rueidisaside typed Get, JSON", do: func(n int) error {
			for i := range n {
				_, err := typed.Get(b.ctx, time.Hour, "a"+names[i*31%posts], func(context.Context, string) (*post, error) {
					return newPost(int64(i * 31 % posts)), nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		}},
	}
	if err := race(b.rounds, 20_000, append(them, us)...); err != nil {
		return err
	}
	b.say("the same hit of libraries that decode at each; their CPU as a multiple of ours")
	for _, c := range them {
		b.say("    %-64s %10.1f ns, %.0f allocations", c.name, median(c.perOp), c.allocs)
		b.atLeast(c.name, times(c.perOp, us.perOp), 10)
	}
	return nil
}

// remote compares reads that Redis answers, through the whole stack and by the bare client.
func (b *cacheBench) remote() error {
	n, closeNode, err := b.node()
	if err != nil {
		return err
	}
	defer closeNode()
	const entries = 256 // of 65,536: memory answers next to nothing
	quick, slow := n.space("far", binaryCodec{}, entries), n.space("farjson", nil, entries)
	for _, c := range []*cache.Cache[int64, *post]{quick, slow} {
		if err := fill(b.ctx, c, farPosts); err != nil {
			return err
		}
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{b.addr}, ForceSingleClient: true, DisableCache: true, DisableRetry: true, AlwaysPipelining: true,
		MaxFlushDelay: flush,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	names, size, err := b.stored(client, "b:v:*|far:*")
	if err != nil {
		return err
	}
	get := func(c *cache.Cache[int64, *post]) func(int) error {
		return func(n int) error {
			return by(callers, n, func(i int) error {
				_, err := c.Get(b.ctx, int64(i)*40503%farPosts)
				return err
			})
		}
	}
	ours := []*contender{
		{name: "Get, hand-written codec", do: get(quick)},
		{name: "Get, JSON", do: get(slow)},
	}
	raw := &contender{name: "rueidis GET", do: func(n int) error {
		return by(callers, n, func(i int) error {
			_, err := client.Do(b.ctx, client.B().Get().Key(names[i*40503%farPosts]).Build()).AsBytes()
			return err
		})
	}}
	var limits []float64
	limit := func() error {
		v, err := redisBenchmark(b.ctx, b.addr, 400_000)
		limits = append(limits, v)
		return err
	}
	loads := n.loads.Load()
	if err := b.profiled(func() error { return race(b.rounds, 100_000, append(ours, raw)...) }); err != nil {
		return err
	}
	for range 3 {
		if err := limit(); err != nil {
			return err
		}
	}
	if asked := n.loads.Load() - loads; asked != 0 {
		return fmt.Errorf("the source was asked %d times", asked)
	}
	top := 0.0
	for _, v := range limits {
		top = max(top, v)
	}
	b.say("hits of Redis, %d callers of single gets, values of %d B decoded; limit: redis-benchmark -P 16 -t get, %.0f/s", callers, size, top)
	b.say("    %-64s %10.0f /s, %.0f ns CPU, %.1f allocations", raw.name+", not decoded", raw.fastest(), median(raw.perOp), raw.allocs)
	b.plain(raw.name+" / redis-benchmark", raw.fastest()/top)
	for i, c := range ours {
		b.say("    %-64s %10.0f /s, %.0f ns CPU, %.1f allocations", c.name, c.fastest(), median(c.perOp), c.allocs)
		if i > 0 { // encoding/json alone takes longer than the whole GET
			b.plain(c.name+" / rueidis GET", times(c.rates, raw.rates))
			continue
		}
		b.atLeast(c.name+" / rueidis GET", times(c.rates, raw.rates), 0.85)
		b.atLeast(c.name+" / redis-benchmark", c.fastest()/top, 0.5)
	}
	for _, s := range n.stack.Stats() {
		if s.Name == "far" {
			b.plain("share of memory in those hits", float64(s.Hits)/float64(s.Hits+s.Misses))
		}
	}
	return nil
}

// stored returns the names of keys in Redis and the size of their values, and has redis-benchmark read the same bytes.
func (b *cacheBench) stored(client rueidis.Client, pattern string) (names []string, size int, err error) {
	for cursor := uint64(0); ; {
		e, err := client.Do(b.ctx, client.B().Scan().Cursor(cursor).Match(pattern).Count(10_000).Build()).AsScanEntry()
		if err != nil {
			return nil, 0, err
		}
		names = append(names, e.Elements...)
		if cursor = e.Cursor; cursor == 0 {
			break
		}
	}
	if len(names) < farPosts {
		return nil, 0, fmt.Errorf("%d keys of %d are in Redis as %s", len(names), farPosts, pattern)
	}
	value, err := client.Do(b.ctx, client.B().Get().Key(names[0]).Build()).ToString()
	if err != nil {
		return nil, 0, err
	}
	return names, len(value), client.Do(b.ctx, client.B().Set().Key(benchmarkKey).Value(value).Build()).Error()
}

// batch counts what a GetMany of 100 keys asks of the layers, 90 of which are in memory.
func (b *cacheBench) batch() error {
	n, closeNode, err := b.node()
	if err != nil {
		return err
	}
	defer closeNode()
	other, closeOther, err := b.node()
	if err != nil {
		return err
	}
	defer closeOther()
	ours, others := n.space("batch", nil, 1<<16), other.space("batch", nil, 1<<16)
	keys := make([]int64, 100)
	for i := range keys {
		keys[i] = int64(i)
	}
	if _, err := ours.GetMany(b.ctx, keys[:90]); err != nil {
		return err
	}
	b.say("GetMany of 100, 90 in memory")
	for _, c := range []struct {
		name   string
		remote int // of the last ten
		loads  float64
	}{{"10 in Redis", 10, 0}, {"9 in Redis, 1 at the source", 9, 1}, {"10 at the source", 0, 1}} {
		for id := 90; id < 100; id++ {
			if err := ours.Invalidate(b.ctx, int64(id)); err != nil {
				return err
			}
		}
		if c.remote > 0 {
			if _, err := others.GetMany(b.ctx, keys[90:90+c.remote]); err != nil {
				return err
			}
		}
		time.Sleep(100 * time.Millisecond)
		gets, leases, fills, loads := n.layer.gets.Load(), n.layer.leases.Load(), n.layer.fills.Load(), n.loads.Load()
		got, err := ours.GetMany(b.ctx, keys)
		if err != nil || len(got) != len(keys) {
			return fmt.Errorf("%s: %d values, %w", c.name, len(got), err)
		}
		b.exactly(c.name+": round trips that read", float64(n.layer.gets.Load()-gets), 1)
		b.exactly(c.name+": calls of the loader", float64(n.loads.Load()-loads), c.loads)
		b.exactly(c.name+": round trips to lease and fill", float64(n.layer.leases.Load()-leases+n.layer.fills.Load()-fills), 2*c.loads)
	}
	return nil
}

// profiled writes a profile of do if one was asked for.
func (b *cacheBench) profiled(do func() error) error {
	if b.profile == "" {
		return do()
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return do()
}
