package cache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/internal/testenv"
)

// cutOff is a layer whose calls can be made to fail.
type cutOff struct {
	*memory.Layer
	down atomic.Bool
}

var errCutOff = errors.New("cut off")

func (c *cutOff) Get(ctx context.Context, keys []string, out []cache.Record) error {
	if c.down.Load() {
		return errCutOff
	}
	return c.Layer.Get(ctx, keys, out)
}

func (c *cutOff) Fence(ctx context.Context, fences []cache.Fence) error {
	if c.down.Load() {
		return errCutOff
	}
	return c.Layer.Fence(ctx, fences)
}

func (c *cutOff) FenceTags(ctx context.Context, tags []string) (uint64, error) {
	if c.down.Load() {
		return 0, errCutOff
	}
	return c.Layer.FenceTags(ctx, tags)
}

func (c *cutOff) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	if c.down.Load() {
		return errCutOff
	}
	return c.Layer.Beat(ctx, holder, ttl)
}

func newCutOff(t *testing.T) *cutOff {
	layer := &cutOff{Layer: memory.New(memory.Options{})}
	t.Cleanup(func() { layer.Close() })
	return layer
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := newCutOff(t)
		alone := newStack(t, cache.Options{})
		if h := alone.Health(); h != (cache.Health{Trusted: true}) {
			t.Errorf("without a remote layer: %+v", h)
		}
		s := newSource(map[int]int{1: 1})
		stack := newStack(t, cache.Options{Remote: layer})
		c := cache.Define(stack, cache.Space[int, int]{Name: "row", LoadMany: s.LoadMany})
		time.Sleep(5 * time.Second)
		wantGet(t, c, 1, 1)
		time.Sleep(10 * time.Millisecond)
		h := stack.Health()
		if !h.Remote || !h.Usable || h.Breaker != "closed" || !h.Channel || !h.EverHeard || !h.Trusted || h.Calls == 0 || h.Failures+h.Trips > 0 {
			t.Errorf("in good times: %+v", h)
		}
		if h.ChannelAge <= 0 || h.ChannelAge > time.Second {
			t.Errorf("the channel was heard of %v ago", h.ChannelAge)
		}

		layer.down.Store(true)
		c.Invalidate(t.Context(), 1, 2)
		stack.InvalidateTags(t.Context(), "tag")
		time.Sleep(5 * time.Second)
		h = stack.Health()
		if h.Usable || h.Breaker != "open" || h.Trips != 1 || h.Failures < 3 || h.KeysOwed != 2 || h.TagsOwed != 1 {
			t.Errorf("cut off: %+v", h)
		}

		layer.down.Store(false)
		time.Sleep(5 * time.Second)
		h = stack.Health()
		if !h.Usable || h.Breaker != "closed" || h.Trips != 1 || h.KeysOwed+h.TagsOwed > 0 {
			t.Errorf("mended: %+v", h)
		}
	})
}

// The metrics of a stack with a remote layer, as Prometheus reads them, and the page that explains them.
func TestWriteMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := newCutOff(t)
		s := newSource(map[int]int{1: 1, 2: 2})
		node := func() (*cache.Stack, *cache.Cache[int, int]) {
			stack := newStack(t, cache.Options{Remote: layer})
			return stack, cache.Define(stack, cache.Space[int, int]{
				Name: "row", Weigh: func(int, int) int { return 100 }, Policy: cache.Policy{TTL: time.Minute},
				LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
					time.Sleep(20 * time.Millisecond)
					return s.LoadMany(ctx, keys)
				},
			})
		}
		stack, c := node()
		_, other := node()
		time.Sleep(5 * time.Second)
		wantGet(t, other, 1, 1)
		wantGet(t, c, 1, 1) // from the layer
		wantGet(t, c, 2, 2) // loaded
		wantGet(t, c, 2, 2) // from memory
		synctest.Wait()

		var b bytes.Buffer
		if err := stack.WriteMetrics(&b); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			`freshet_cache_hits_total{space="row"} 1`, `freshet_cache_misses_total{space="row"} 2`,
			`freshet_cache_remote_hits_total{space="row"} 1`, `freshet_cache_remote_misses_total{space="row"} 1`,
			`freshet_cache_loads_total{space="row"} 1`, `freshet_cache_memory_bytes{space="row"} 732`,
			`freshet_cache_load_seconds_bucket{space="row",le="0.01"} 0`, `freshet_cache_load_seconds_bucket{space="row",le="0.025"} 1`,
			`freshet_cache_load_seconds_bucket{space="row",le="+Inf"} 1`, `freshet_cache_load_seconds_sum{space="row"} 0.02`,
			`freshet_cache_load_seconds_count{space="row"} 1`, `freshet_cache_layer_usable 1`, `freshet_cache_layer_breaker_open 0`,
		} {
			if !strings.Contains(b.String(), line+"\n") {
				t.Errorf("no line %s in\n%s", line, &b)
			}
		}
		if err := cache.WriteJournalMetrics(&b, cache.JournalStats{Name: "views", Pending: 7, Lag: 1500 * time.Millisecond, Failing: true}); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{`freshet_cache_journal_pending{journal="views"} 7`, `freshet_cache_journal_lag_seconds{journal="views"} 1.5`, `freshet_cache_journal_failing{journal="views"} 1`} {
			if !strings.Contains(b.String(), line+"\n") {
				t.Errorf("no line %s", line)
			}
		}
		wantExplained(t, b.String())
	})
}

// wantExplained checks that docs/reference/metrics.md has a row for each metric, and none of the package that is not there.
func wantExplained(t *testing.T, text string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(t), "docs", "reference", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	help, rows := "", 0
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "# HELP "); ok {
			_, help, _ = strings.Cut(rest, " ")
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			rows++
			if row := "| `" + name + "` | " + kind + " | " + help + " |"; !bytes.Contains(page, []byte(row)) {
				t.Errorf("docs/reference/metrics.md lacks the row\n%s", row)
			}
		}
	}
	if there := bytes.Count(page, []byte("\n| `freshet_cache_")); there != rows {
		t.Errorf("docs/reference/metrics.md explains %d metrics of the cache, there are %d", there, rows)
	}
}

func TestLag(t *testing.T) {
	s := newSink(lastValue[int])
	hold := make(chan struct{})
	w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{FlushEvery: time.Millisecond, Write: func(ctx context.Context, b cache.Batch[string, int]) error {
		<-hold
		return s.Write(ctx, b)
	}})
	if lag := w.Stats().Lag; lag != 0 {
		t.Errorf("nothing is owed, since %v", lag)
	}
	began := time.Now()
	if err := w.Put(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	put := time.Now()
	if err := w.Put(t.Context(), "b", 1); err != nil {
		t.Fatal(err)
	}
	if least, lag, most := time.Since(put), w.Stats().Lag, time.Since(began); lag < least || lag > most {
		t.Errorf("the oldest is owed since %v, want %v to %v", lag, least, most)
	}
	close(hold)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lag := w.Stats().Lag; lag != 0 {
		t.Errorf("all is written, and owed since %v", lag)
	}
}
