package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// badMaxValue is small enough that the table's values are over it quickly.
const badMaxValue = 4 << 10

// badValue names the key that it belongs to by its hash, so that another's is never taken for it.
type badValue struct {
	Key  [sha256.Size]byte
	Fill string
}

func badValueOf(key, fill string) badValue { return badValue{sha256.Sum256([]byte(key)), fill} }

// badLayer is a backend that foreign bytes are written into.
type badLayer struct {
	name    string
	open    func(context.Context) (cache.Remote, error)
	records recordStore
	counts  bool // it hands out what it can't read, so that the nodes count it
}

// measureBadCache is point 9: keys, values and records that nobody should write, and the fuzz targets.
func measureBadCache(ctx context.Context, l *lab) (outcome, error) {
	single, cluster, memcached := testenv.StartRedis(l), testenv.StartRedisCluster(l), testenv.StartMemcached(l)
	onSingle, err := openRedisRecords([]string{single.Addr}, false)
	if err != nil {
		return outcome{}, err
	}
	defer onSingle.close()
	onCluster, err := openRedisRecords(cluster.Addrs(), true)
	if err != nil {
		return outcome{}, err
	}
	defer onCluster.close()
	layers := []badLayer{
		{"redis", onRedis(redis.Options{URL: "redis://" + single.Addr}), onSingle, true},
		{"cluster", onRedis(redis.Options{Addrs: cluster.Addrs(), Cluster: true}), onCluster, true},
		{"memcached", onMemcached(memcached.Addr), &memcachedRecords{addr: memcached.Addr}, false},
	}
	right, cases := 0, 0
	for _, layer := range layers {
		r, n, err := l.badLayer(ctx, layer)
		if err != nil {
			return outcome{}, fmt.Errorf("%s: %w", layer.name, err)
		}
		right, cases = right+r, cases+n
	}
	hold, targets, err := l.fuzz(ctx, "cache")
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%d of %d cases right on %d backends, %d of %d fuzz targets hold", right, cases, len(layers), hold, targets),
		right == cases && hold == targets && targets > 0,
	}, nil
}

// badWorldOf is two nodes on a layer and what they get wrong.
type badWorldOf struct {
	layer  badLayer
	nodes  [2]*cacheNode
	spaces [2]*cache.Cache[string, badValue]
	fill   func(key string) string // what the source adds to a value
	right  int
	wrong  []string
}

func (l *lab) badLayer(ctx context.Context, layer badLayer) (right, cases int, err error) {
	w := &badWorldOf{layer: layer, fill: func(string) string { return "" }}
	for i := range w.nodes {
		w.nodes[i], err = l.cacheNode(ctx, layer.open, cache.Options{MaxValue: badMaxValue, MaxStale: downMaxStale}, func(s *cache.Stack) {
			w.spaces[i] = cache.Func(s, "bad", cache.Policy{TTL: cacheForever}, func(_ context.Context, key string) (badValue, error) {
				return badValueOf(key, w.fill(key)), nil
			})
		})
		if err != nil {
			return 0, 0, err
		}
		defer w.nodes[i].close()
	}
	for _, key := range badKeys() {
		w.key(ctx, key)
	}
	w.tooLarge(ctx)
	if err := w.foreign(ctx, l.newRand()); err != nil {
		return 0, 0, err
	}
	for _, text := range w.wrong {
		l.detail("%s: %s", layer.name, text)
	}
	s := w.nodes[1].statsOf("bad")
	l.detail("%s: %d cases right, %d wrong; counted: %d undecodable, %d unstorable, %d remote hits", layer.name, w.right, len(w.wrong), s.Undecodable, w.nodes[0].statsOf("bad").Unstorable, s.RemoteHits)
	return w.right, w.right + len(w.wrong), nil
}

// judge notes how a case ended; name is short, or a key.
func (w *badWorldOf) judge(name, wrong string) {
	if wrong == "" {
		w.right++
	} else {
		w.wrong = append(w.wrong, fmt.Sprintf("%.60q: %s", name, wrong))
	}
}

// badKeys are of any bytes, and near each other.
func badKeys() []string {
	long := strings.Repeat("k", 64<<10)
	return []string{
		"", "\x00", "\x00\x00", " ", "  ", "a b", "{", "}", "{}", "{a}", "{a}b", "a{b}c", "{tags}", "{tags}meta", ":", "::", "a:b", "bad:", "bad:a", "|", "a|b", "|bad:a",
		"\r\n", "a\r\nset x 0 0 1\r\nb\r\n", "\xff\xfe", "é", "🙂", "*", "?", "[a]", "\\", "%s", "v:", "t:", "#", "=", "!beat:", strings.Repeat("k", 239), strings.Repeat("k", 250), strings.Repeat("\x00", 250),
		long, long + "\x00", long[:len(long)-1], strings.Repeat("\xff", 64<<10),
	}
}

// key goes through a key's whole life on both nodes.
func (w *badWorldOf) key(ctx context.Context, key string) {
	want := badValueOf(key, "")
	w.judge(key, w.reads(ctx, 0, key, want))
	before := w.nodes[1].statsOf("bad").RemoteHits
	w.judge(key, w.reads(ctx, 1, key, want))
	if w.nodes[1].statsOf("bad").RemoteHits != before+1 {
		w.judge(key, "what one node has loaded is no remote hit of the other")
	}
	w.fill = func(string) string { return "changed" }
	want.Fill = "changed"
	if err := w.spaces[0].InvalidateConfirmed(ctx, key); err != nil {
		w.judge(key, err.Error())
	}
	w.judge(key, w.reads(ctx, 1, key, want))
	put := badValueOf(key, "put")
	if err := w.spaces[1].Put(ctx, key, put); err != nil {
		w.judge(key, err.Error())
	}
	w.judge(key, w.reads(ctx, 1, key, put))
	if in, err := w.nodes[1].Inspect(ctx, "bad", key); err != nil || in.Remote == nil || in.Remote.State != "fresh" {
		w.judge(key, fmt.Sprintf("inspected: %+v, %v", in.Remote, err))
	}
	if err := w.nodes[1].InvalidateKey(ctx, "bad", key); err != nil {
		w.judge(key, err.Error())
	}
	w.judge(key, w.reads(ctx, 1, key, want))
	w.fill = func(string) string { return "" }
}

// reads tells what is wrong with a read.
func (w *badWorldOf) reads(ctx context.Context, node int, key string, want badValue) string {
	switch v, err := w.spaces[node].Get(ctx, key); {
	case err != nil:
		return fmt.Sprintf("read: %v", err)
	case v != want:
		return fmt.Sprintf("read %.80q, wanted %.80q", fmt.Sprint(v), fmt.Sprint(want))
	}
	return ""
}

// tooLarge has values just within the limit and over it.
func (w *badWorldOf) tooLarge(ctx context.Context) {
	for _, over := range []int{-200, 0, 1, badMaxValue, 1 << 20, 3 << 20} {
		key := fmt.Sprintf("large %d", over)
		text := strings.Repeat("x", badMaxValue+over)
		w.fill = func(string) string { return text }
		before := w.nodes[0].statsOf("bad").Unstorable
		want := badValueOf(key, text)
		w.judge(key, w.reads(ctx, 0, key, want))
		w.judge(key, w.reads(ctx, 1, key, want))
		counted := w.nodes[0].statsOf("bad").Unstorable - before
		if refused := over >= 0; counted != map[bool]uint64{true: 1}[refused] {
			w.judge(key, fmt.Sprintf("%d counted as too large", counted))
		}
		if err := w.spaces[0].Put(ctx, key, want); (over >= 0) != errors.Is(err, cache.ErrTooLarge) {
			w.judge(key, fmt.Sprintf("put: %v", err))
		}
		w.judge(key, w.reads(ctx, 0, key, want))
	}
	w.fill = func(string) string { return "" }
}
