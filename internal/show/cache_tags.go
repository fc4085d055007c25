package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

const (
	tagsAim = "every sample a miss, as many commands as for 1 entry, others hit, no round trip for tags"

	tagSample  = 10_000 // on each of two nodes
	tagOthers  = 1_000  // entries of another tag
	tagBatch   = 500
	tagRepeats = 11
)

// tagWorld is two nodes over one source, whose values are of its version.
type tagWorld struct {
	nodes   [2]*cacheNode
	spaces  [2]*cache.Cache[int64, int64]
	plain   [2]*cache.Cache[int64, int64] // no tags
	three   [2]*cache.Cache[int64, int64] // three
	version atomic.Int64
	asked   atomic.Int64 // keys that loaders were asked for
	redis   rueidis.Client
	entries int64
}

// measureTags is point 4.
func measureTags(ctx context.Context, l *lab) (outcome, error) {
	w := &tagWorld{entries: int64(size(50_000, 1_000_000))}
	w.version.Store(1)
	if err := w.open(ctx, l, testenv.StartRedis(l).Addr); err != nil {
		return outcome{}, err
	}
	defer w.redis.Close()
	if err := w.fill(ctx, l); err != nil {
		return outcome{}, err
	}
	w.version.Add(1)
	first, err := w.commands(ctx, 1, "big")
	if err != nil {
		return outcome{}, err
	}
	misses, err := w.misses(ctx)
	if err != nil {
		return outcome{}, err
	}
	others, err := w.others(ctx)
	if err != nil {
		return outcome{}, err
	}
	big, err := w.commands(ctx, tagRepeats, "big")
	if err != nil {
		return outcome{}, err
	}
	one, err := w.commands(ctx, tagRepeats, "single")
	if err != nil {
		return outcome{}, err
	}
	plain, three, err := w.roundTrips(ctx)
	if err != nil {
		return outcome{}, err
	}
	l.detail("%d entries; commands of Redis for the confirmed fence that ended them %d, fewest of %d repeats %d; for a tag of one entry %d", w.entries, first, tagRepeats, big, one)
	l.detail("round trips of a load and of a read of what it left: %d without tags, %d with three", plain, three)
	return outcome{
		fmt.Sprintf("%d of %d samples of %d entries are misses; %d commands against %d; %d of %d others hit; %+d round trips", misses, 2*tagSample, w.entries, big, one, others, 2*tagOthers, three-plain),
		misses == 2*tagSample && big == one && others == 2*tagOthers && plain == three,
	}, nil
}

func (w *tagWorld) open(ctx context.Context, l *lab, addr string) (err error) {
	for i := range w.nodes {
		w.nodes[i], err = l.cacheNode(ctx, onRedis(redis.Options{URL: "redis://" + addr}), cache.Options{}, func(s *cache.Stack) {
			w.spaces[i] = w.define(s, "tagged", func(key, _ int64) []string {
				switch {
				case key < 0:
					return []string{"other"}
				case key == w.entries:
					return []string{"single"}
				}
				return []string{"big"}
			})
			w.plain[i] = w.define(s, "plain", nil)
			w.three[i] = w.define(s, "three", func(int64, int64) []string { return []string{"a", "b", "c"} })
		})
		if err != nil {
			return err
		}
	}
	w.redis, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	return err
}

func (w *tagWorld) define(s *cache.Stack, name string, tags func(key, value int64) []string) *cache.Cache[int64, int64] {
	return cache.Define(s, cache.Space[int64, int64]{
		Name: name, Tags: tags, Policy: cache.Policy{MaxEntries: 2 * int(w.entries), TTL: cacheForever},
		LoadMany: func(_ context.Context, keys []int64) (map[int64]int64, error) {
			w.asked.Add(int64(len(keys)))
			v, m := w.version.Load(), make(map[int64]int64, len(keys))
			for _, k := range keys {
				m[k] = v
			}
			return m, nil
		},
	})
}

// fill loads every entry through node 0, and has node 1 read its sample and the others, so that it has them in memory.
func (w *tagWorld) fill(ctx context.Context, l *lab) error {
	l.say("filling %d entries", w.entries)
	load := func(space *cache.Cache[int64, int64], from, to int64) error {
		batches := int((to - from + tagBatch - 1) / tagBatch)
		return each(ctx, 4, batches, func(ctx context.Context, i int) error {
			var keys []int64
			for k := from + int64(i)*tagBatch; k < min(to, from+int64(i+1)*tagBatch); k++ {
				keys = append(keys, k)
			}
			_, err := space.GetMany(ctx, keys)
			return err
		})
	}
	if err := errors.Join(load(w.spaces[0], -tagOthers, w.entries+1), load(w.spaces[1], -tagOthers, 0), load(w.spaces[1], tagSample, 2*tagSample)); err != nil {
		return err
	}
	if asked := w.asked.Load(); asked != w.entries+1+tagOthers {
		return fmt.Errorf("%d entries were filled with %d loaded", w.entries+1+tagOthers, asked)
	}
	n, err := w.redis.Do(ctx, w.redis.B().Dbsize().Build()).AsInt64()
	if err == nil && n < w.entries {
		err = fmt.Errorf("redis holds %d keys of %d entries", n, w.entries)
	}
	return err
}

// misses reads a sample on each node, of other keys than the other's, and counts those that were loaded anew.
func (w *tagWorld) misses(ctx context.Context) (n int, err error) {
	var group sync.WaitGroup
	var counted [2]int
	var errs [2]error
	for i, space := range w.spaces {
		before := w.nodes[i].statsOf("tagged")
		group.Go(func() {
			for from := i * tagSample; from < (i+1)*tagSample && errs[i] == nil; from += tagBatch {
				var keys []int64
				for k := from; k < from+tagBatch; k++ {
					keys = append(keys, int64(k))
				}
				var values map[int64]int64
				values, errs[i] = space.GetMany(ctx, keys)
				for _, v := range values {
					if v == w.version.Load() {
						counted[i]++
					}
				}
			}
			if after := w.nodes[i].statsOf("tagged"); after.Hits != before.Hits || after.RemoteHits != before.RemoteHits {
				counted[i] -= int(after.Hits - before.Hits + after.RemoteHits - before.RemoteHits)
			}
		})
	}
	group.Wait()
	return counted[0] + counted[1], errors.Join(errs[0], errs[1])
}

// others counts the entries of the other tag that both nodes still have in memory.
func (w *tagWorld) others(ctx context.Context) (n int, err error) {
	for i, space := range w.spaces {
		before := w.nodes[i].statsOf("tagged").Hits
		for k := range int64(tagOthers) {
			if _, err := space.Get(ctx, -1-k); err != nil {
				return n, err
			}
		}
		n += int(w.nodes[i].statsOf("tagged").Hits - before)
	}
	return n, nil
}

// commands fences a tag, confirmed, some times and gives the fewest commands that Redis ran for one: no heartbeat of a node
// fell into that one.
func (w *tagWorld) commands(ctx context.Context, times int, tag string) (int64, error) {
	counts := make([]int64, times)
	for i := range counts {
		before, err := w.ran(ctx)
		if err != nil {
			return 0, err
		}
		if err := w.nodes[0].InvalidateTagsConfirmed(ctx, tag); err != nil {
			return 0, err
		}
		after, err := w.ran(ctx)
		if err != nil {
			return 0, err
		}
		counts[i] = after - before
	}
	return slices.Min(counts), nil
}

// ran is how many commands Redis has run, those of scripts included, INFO excluded.
func (w *tagWorld) ran(ctx context.Context) (sum int64, err error) {
	text, err := w.redis.Do(ctx, w.redis.B().Info().Section("commandstats").Build()).ToString()
	for line := range strings.Lines(text) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), ":calls=")
		if !found || name == "cmdstat_info" {
			continue
		}
		var n int64
		if _, err := fmt.Sscanf(rest, "%d,", &n); err != nil {
			return 0, fmt.Errorf("redis says %q: %w", line, err)
		}
		sum += n
	}
	return sum, err
}

// roundTrips counts the calls of the remote layer for a load on one node and a read of what it left on the other.
func (w *tagWorld) roundTrips(ctx context.Context) (plain, three int64, err error) {
	count := func(spaces [2]*cache.Cache[int64, int64]) int64 {
		before := w.nodes[0].remote.calls() + w.nodes[1].remote.calls()
		for _, space := range spaces {
			if _, e := space.Get(ctx, 1); e != nil {
				err = errors.Join(err, e)
			}
		}
		return w.nodes[0].remote.calls() + w.nodes[1].remote.calls() - before
	}
	plain = count(w.plain)
	return plain, count(w.three), err
}
