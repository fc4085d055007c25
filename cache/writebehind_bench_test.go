package cache_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/testenv"
)

const benchKeys = 1 << 14

// many runs 512 callers, as many as a busy server has requests in flight.
func many(b *testing.B, op func(i int64) error) {
	var i atomic.Int64
	b.SetParallelism(512 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := op(i.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func report(b *testing.B, st cache.JournalStats) {
	b.ReportMetric(float64(st.Changes)/float64(max(1, st.Commits)), "acks/fsync")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkWriteBehindPut(b *testing.B) {
	w, err := cache.DefineWriteBehind(cache.WriteBehindOptions[int64, int64]{
		Name: "bench", Dir: testenv.DiskDir(b),
		Write: func(context.Context, cache.Batch[int64, int64]) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	many(b, func(i int64) error { return w.Put(b.Context(), i*7919%benchKeys, i) })
	report(b, w.Stats())
	if err := w.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*w.Stats().Fill, "%fill")
}

func benchmarkCounter(b *testing.B, fsyncEvery time.Duration) {
	c, err := cache.DefineCounter(cache.CounterOptions[int64]{
		Name: "bench", Dir: testenv.DiskDir(b), FsyncEvery: fsyncEvery,
		Write: func(context.Context, cache.Batch[int64, int64]) error { return nil },
		Load: func(context.Context, [16]byte, []int64) (map[int64]int64, uint64, error) {
			return nil, 0, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	many(b, func(i int64) error {
		_, err := c.Add(b.Context(), i*7919%benchKeys, 1)
		return err
	})
	report(b, c.Stats())
	if err := c.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCounterAdd(b *testing.B)           { benchmarkCounter(b, 0) }
func BenchmarkCounterAddFsyncEvery(b *testing.B) { benchmarkCounter(b, 100*time.Millisecond) }
