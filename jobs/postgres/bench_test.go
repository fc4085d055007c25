package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

// BenchmarkDrain runs what waits, with as many workers as there are by default
// and with many: a turn moves as many jobs as there are workers.
func BenchmarkDrain(b *testing.B) {
	for _, workers := range []int{8, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			e, _, _ := open(b, database(b), map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error { return nil }}, jobs.Options{Workers: workers})
			effects := make([]freshet.Effect, b.N)
			for i := range effects {
				effects[i] = freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 1000), Args: make([]byte, 100)}
			}
			enqueue(b, e, effects...)
			b.ResetTimer()
			start(b, e)
			if err := e.Idle(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}
