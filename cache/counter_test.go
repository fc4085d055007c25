package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
)

func sum(old, now int64) int64 { return old + now }

// Load reads the totals with the last batch that they have.
func (s *sink[V]) Load(_ context.Context, journal [16]byte, keys []string) (map[string]V, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := map[string]V{}
	for _, key := range keys {
		totals[key] = s.rows[key]
	}
	return totals, s.seq[journal], nil
}

func counterOptions(s *sink[int64], dir string) cache.CounterOptions[string] {
	return cache.CounterOptions[string]{Name: "views", Dir: dir, Write: s.Write, Load: s.Load}
}

func defineCounter(t *testing.T, o cache.CounterOptions[string]) *cache.Counter[string] {
	t.Helper()
	c, err := cache.DefineCounter(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func add(t *testing.T, c *cache.Counter[string], key string, delta, want int64) {
	t.Helper()
	if total, err := c.Add(t.Context(), key, delta); err != nil || total != want {
		t.Fatalf("Add(%s, %d) = %d, %v; want %d", key, delta, total, err, want)
	}
}

func wantTotals(t *testing.T, c *cache.Counter[string], want map[string]int64) {
	t.Helper()
	var keys []string
	for key := range want {
		keys = append(keys, key)
	}
	if got, err := c.Get(t.Context(), keys...); err != nil || !maps.Equal(got, want) {
		t.Fatalf("Get = %v, %v; want %v", got, err, want)
	}
}

func TestCounterMergesAndReadsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(sum)
		s.rows["a"] = 100 // what other nodes have counted
		c := defineCounter(t, counterOptions(s, t.TempDir()))
		add(t, c, "a", 1, 1) // nobody has asked for it here yet
		wantTotals(t, c, map[string]int64{"a": 101, "b": 0})
		add(t, c, "a", 2, 103)
		add(t, c, "b", 7, 7)
		wantTotals(t, c, map[string]int64{"a": 103, "b": 7})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.wantRows(t, map[string]int64{"a": 103, "b": 7})
		if len(s.offered) != 1 {
			t.Fatalf("offered %v, want one batch", s.offered)
		}
		add(t, c, "a", 1, 104)
		wantTotals(t, c, map[string]int64{"a": 104, "b": 7})
	})
}

// The sink may have applied the batch in flight or not; nobody here knows, and Get is right either way.
func TestCounterGetWhileABatchIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(sum)
		c := defineCounter(t, counterOptions(s, t.TempDir()))
		s.fail = func(cache.Batch[string, int64]) error { return errors.New("down") }
		add(t, c, "a", 1, 1)
		time.Sleep(1500 * time.Millisecond)
		wantTotals(t, c, map[string]int64{"a": 1}) // offered, and not applied
		add(t, c, "a", 2, 3)
		s.set(func() { // it is applied, and the answer is lost
			s.rows["a"]++
			s.seq[s.offered[0].ID.Journal] = 1
		})
		wantTotals(t, c, map[string]int64{"a": 3})
		add(t, c, "a", 4, 7)
		s.set(func() { s.fail = nil })
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int64{"a": 7})
		wantTotals(t, c, map[string]int64{"a": 7})
		add(t, c, "a", 1, 8)
	})
}

// A batch that is applied while Get waits for its load is in neither of the two, so Get loads again.
func TestCounterGetOvertakenByABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, loads := newSink(sum), 0
		o := counterOptions(s, t.TempDir())
		o.Load = func(ctx context.Context, journal [16]byte, keys []string) (map[string]int64, uint64, error) {
			totals, seq, err := s.Load(ctx, journal, keys)
			if loads++; loads == 1 {
				time.Sleep(5 * time.Second)
			}
			return totals, seq, err
		}
		c := defineCounter(t, o)
		add(t, c, "a", 1, 1)
		wantTotals(t, c, map[string]int64{"a": 1})
		if loads != 2 {
			t.Fatalf("%d loads, want 2", loads)
		}
	})
}

func TestCounterSourceBehindAndAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(sum)
		o := counterOptions(s, t.TempDir())
		var offset int
		o.Load = func(ctx context.Context, journal [16]byte, keys []string) (map[string]int64, uint64, error) {
			totals, seq, err := s.Load(ctx, journal, keys)
			return totals, uint64(int(seq) + offset), err
		}
		c := defineCounter(t, o)
		add(t, c, "a", 1, 1)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			offset int
			want   error
		}{{-1, cache.ErrSourceBehind}, {1, cache.ErrJournalBehind}, {0, nil}} {
			offset = test.offset
			if _, err := c.Get(t.Context(), "a"); !errors.Is(err, test.want) {
				t.Fatalf("source is %d batches ahead: %v, want %v", offset, err, test.want)
			}
		}
	})
}

func TestCounterDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(sum)
		s.fail = func(b cache.Batch[string, int64]) error {
			if b.ID.Seq < 3 {
				return fmt.Errorf("no: %w", cache.ErrRefused)
			}
			return nil
		}
		c := defineCounter(t, counterOptions(s, t.TempDir()))
		for delta := int64(1); delta <= 4; delta *= 2 {
			if _, err := c.Add(t.Context(), "a", delta); err != nil {
				t.Fatal(err)
			}
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.wantRows(t, map[string]int64{"a": 4})
		wantTotals(t, c, map[string]int64{"a": 7})
		if err := errors.Join(c.Discard(1), c.Replay(2), c.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int64{"a": 6})
		wantTotals(t, c, map[string]int64{"a": 6})
	})
}

// With FsyncEvery nobody waits; a clean end loses nothing, and Get sees what is not durable yet.
func TestCounterFsyncEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := newSink(sum), t.TempDir()
		o := counterOptions(s, dir)
		o.FsyncEvery = 100 * time.Millisecond
		c := defineCounter(t, o)
		began := time.Now()
		for i := range int64(1000) {
			add(t, c, "a", 1, i+1)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("Add waited %v", took)
		}
		wantTotals(t, c, map[string]int64{"a": 1000})
		time.Sleep(101 * time.Millisecond)
		synctest.Wait()
		if st := c.Stats(); st.Commits != 1 {
			t.Fatalf("%d commits, want 1", st.Commits)
		}
		add(t, c, "a", 1, 1001)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int64{"a": 1001})
	})
}

// Many who add and one who reads, in real time: each total that is read lies between what had returned and what had begun.
func TestCounterUnderLoad(t *testing.T) {
	s := newSink(sum)
	o := counterOptions(s, t.TempDir())
	o.FlushEvery = time.Millisecond
	c := defineCounter(t, o)
	const workers, adds = 8, 50
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			key := fmt.Sprint(worker)
			for i := range int64(adds) {
				if _, err := c.Add(t.Context(), key, 1); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Get(t.Context(), key); err != nil || got[key] != i+1 {
					t.Errorf("after %d Adds Get = %v, %v", i+1, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for worker := range workers {
		if got := s.rows[fmt.Sprint(worker)]; got != adds {
			t.Errorf("worker %d: the source has %d", worker, got)
		}
	}
}
