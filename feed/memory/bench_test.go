package memory_test

import (
	"fmt"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// BenchmarkPage reads the first 50 posts of a timeline in memory.
func BenchmarkPage(b *testing.B) {
	for _, c := range []struct{ follows, inFlight, removed int }{
		{200, 0, 0}, {1_000, 0, 0}, {1_000, 0, 1_000}, {1_000, 10, 0}, {1_000, 1_000, 0}, {10_000, 0, 0},
	} {
		b.Run(fmt.Sprintf("follows=%d/inflight=%d/removed=%d", c.follows, c.inFlight, c.removed), func(b *testing.B) {
			s := newStatic(c.follows, 0, 800)
			e := s.engine(memory.Options{})
			warm(b, e, 1)
			for i := range c.inFlight {
				e.Publish(freshet.PostRef{ID: freshet.ID(1000 + i), Author: author(i * 20)})
			}
			for i := range c.removed {
				e.Remove(freshet.ID(5000 + i))
			}
			q := feed.Query{Reader: follower(0), Limit: 50, Into: make([]freshet.PostRef, 0, 50)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Page(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPageParallel reads many readers' timelines from all processors.
func BenchmarkPageParallel(b *testing.B) {
	const readers = 10_000
	e := newStatic(1_000, 0, 800).engine(memory.Options{})
	warm(b, e, readers)
	b.RunParallel(func(pb *testing.PB) {
		q := feed.Query{Limit: 50, Into: make([]freshet.PostRef, 0, 50)}
		for i := 0; pb.Next(); i += 7919 {
			q.Reader = follower(i % readers)
			if _, err := e.Page(b.Context(), q); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkFanOut delivers posts to followers, of whom a part has a timeline.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct{ followers, awake int }{{100, 100}, {10_000, 10_000}, {100_000, 20_000}} {
		b.Run(fmt.Sprintf("followers=%d/awake=%d", c.followers, c.awake), func(b *testing.B) {
			e := newStatic(100, c.followers, 400).engine(memory.Options{})
			warm(b, e, c.awake)
			post := freshet.PostRef{ID: 1000, Author: author(0)}
			for b.Loop() {
				post.ID++
				e.Publish(post)
				if err := e.FanOut(b.Context(), post, new(progress)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(e.Stats().Delivered)/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64(b.N)*float64(c.followers)/b.Elapsed().Seconds(), "followers/s")
		})
	}
}

// BenchmarkPull makes a page of 50 without any timeline.
func BenchmarkPull(b *testing.B) {
	e := newStatic(1_000, 0, 800).engine(memory.Options{Mode: feed.Pull})
	q := feed.Query{Reader: follower(0), Limit: 50, Into: make([]freshet.PostRef, 0, 50)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Page(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}
