package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/sqlite"
)

func openFile(t testing.TB) *litedb.DB {
	t.Helper()
	db, err := litedb.Open(context.Background(), filepath.Join(t.TempDir(), "jobs.db"), litedb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// BenchmarkEmitAndRun is the whole way of a job, durable at both ends: 64
// goroutines emit one effect per write, workers run it, its row is deleted.
func BenchmarkEmitAndRun(b *testing.B) {
	db := openFile(b)
	var ran atomic.Int64
	e := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error {
		ran.Add(1)
		return nil
	}})
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	args := make([]byte, 100)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			if _, err := db.Write(context.Background(), func(tx *litedb.Tx) error {
				return tx.Emit(freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 1000), Args: args}, 1)
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := e.Idle(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	if got := ran.Load(); got != int64(b.N) {
		b.Fatalf("%d jobs ran, want %d", got, b.N)
	}
}

// BenchmarkDrain runs what an earlier process left behind.
func BenchmarkDrain(b *testing.B) {
	db := openFile(b)
	args := make([]byte, 100)
	if _, err := db.Write(b.Context(), func(tx *litedb.Tx) error {
		for i := range b.N {
			if err := tx.Emit(freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 1000), Args: args}, 1); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	e := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error { return nil }})
	b.ResetTimer()
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	loaded := b.Elapsed()
	defer e.Close()
	if err := e.Idle(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(loaded.Nanoseconds())/float64(b.N), "load-ns/job")
}
