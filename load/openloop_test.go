package load_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/load"
)

// run carries out arrivals on the clock of a bubble.
func run(t *testing.T, o load.OpenLoop, arrivals []load.Arrival) *load.Report {
	t.Helper()
	r, err := load.OnTimers(o).Run(t.Context(), slices.Values(arrivals))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// every makes arrivals at a steady rate.
func every(gap time.Duration, n int) []load.Arrival {
	arrivals := make([]load.Arrival, n)
	for i := range arrivals {
		arrivals[i] = load.Arrival{Due: time.Duration(i) * gap, User: uint32(i), Kind: load.Read}
	}
	return arrivals
}

// Arrivals are Poisson at the rate that was asked for, whoever acts is drawn by
// the users' rates, and equal seeds give equal arrivals.
func TestArrivals(t *testing.T) {
	n := network(t, load.Options{Users: 200, Follows: 5, Seed: 2})
	arrivals := slices.Collect(n.Arrivals(500, 100*time.Second, 1))
	within(t, "arrivals", float64(len(arrivals)), 50_000-5*math.Sqrt(50_000), 50_000+5*math.Sqrt(50_000))
	if !slices.Equal(arrivals, slices.Collect(n.Arrivals(500, 100*time.Second, 1))) {
		t.Error("an equal seed gave other arrivals")
	}
	if slices.Equal(arrivals, slices.Collect(n.Arrivals(500, 100*time.Second, 2))) {
		t.Error("another seed gave equal arrivals")
	}
	var all, posts, ofFirst, sum, squares float64
	for u := range n.Users() {
		p, r := n.Rates(u)
		all, posts = all+p+r, posts+p
	}
	p, r := n.Rates(7)
	last, made := time.Duration(0), 0.0
	for _, a := range arrivals {
		gap := (a.Due - last).Seconds()
		if last = a.Due; gap < 0 {
			t.Fatalf("%v comes late", a)
		}
		sum, squares = sum+gap, squares+gap*gap
		if a.Kind == load.Post {
			made++
		}
		if a.User == 7 {
			ofFirst++
		}
	}
	count := float64(len(arrivals))
	mean := sum / count
	within(t, "variance of the gaps by the square of their mean", squares/count/(mean*mean)-1, 0.95, 1.05)
	within(t, "share of posts", made/count, 0.97*posts/all, 1.03*posts/all)
	want := (p + r) / all * count
	within(t, "arrivals of one user", ofFirst, want-5*math.Sqrt(want), want+5*math.Sqrt(want))
	for range n.Arrivals(500, 100*time.Second, 1) {
		break // a walk can end early
	}
}

// Everything is begun when it is due, however long the answers take.
func TestOpenLoopKeepsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrivals := every(10*time.Millisecond, 500)
		began := time.Now()
		var mu sync.Mutex
		starts := map[uint32]time.Duration{}
		r := run(t, load.OpenLoop{Do: func(_ context.Context, a load.Arrival) (func(), error) {
			mu.Lock()
			starts[a.User] = time.Since(began)
			mu.Unlock()
			time.Sleep(time.Second)
			return nil, nil
		}}, arrivals)
		for _, a := range arrivals {
			if starts[a.User] != a.Due {
				t.Fatalf("what was due at %v was begun at %v", a.Due, starts[a.User])
			}
		}
		if r.Reads.Done != 500 || r.Reads.Due != 500 || r.Posts.Due != 0 || r.Begun.Quantile(1) > time.Microsecond {
			t.Errorf("reported: %+v", r)
		}
		within(t, "p50 in seconds", r.Reads.Latency.Quantile(0.5).Seconds(), 0.999, 1.001)
		if want := 499*10*time.Millisecond + time.Second; r.Took != want {
			t.Errorf("it took %v, want %v", r.Took, want)
		}
	})
}

// A server that stands still for a second holds up a tenth of ten seconds'
// requests, and the percentiles say so: those who came in the stall waited for up
// to a second. A loop that waits for answers would have asked once in that time
// and found a p99 of a millisecond.
func TestAStallShowsInThePercentiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := make(chan struct{}, 1) // a bubble's clock moves while others wait here, as it would not for a mutex
		stalled := false
		began := time.Now()
		r := run(t, load.OpenLoop{Workers: 4, Do: func(context.Context, load.Arrival) (func(), error) {
			server <- struct{}{}
			defer func() { <-server }()
			took := time.Millisecond
			if !stalled && time.Since(began) > 5*time.Second {
				stalled, took = true, time.Second
			}
			time.Sleep(took)
			return nil, nil
		}}, every(10*time.Millisecond, 1_000))
		within(t, "p50 in ms", ms(r.Reads.Latency.Quantile(0.5)), 0.9, 1.1)
		within(t, "p95 in ms", ms(r.Reads.Latency.Quantile(0.95)), 400, 700)
		within(t, "p99 in ms", ms(r.Reads.Latency.Quantile(0.99)), 850, 1_000)
		if r.Reads.Done != 1_000 || r.Reads.GivenUp != 0 {
			t.Errorf("%d done, %d given up", r.Reads.Done, r.Reads.GivenUp)
		}
	})
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// What no worker came to in time is counted and not done.
func TestOpenLoopGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		r := run(t, load.OpenLoop{Workers: 2, Patience: time.Second, Do: func(context.Context, load.Arrival) (func(), error) {
			done.Add(1)
			time.Sleep(time.Second)
			return nil, nil
		}}, every(100*time.Millisecond, 100)) // ten seconds of ten a second, of which two a second can be done
		if got := r.Reads; got.Due != 100 || got.Done != done.Load() || got.Done+got.GivenUp != 100 {
			t.Errorf("%d due, %d done (in truth %d), %d given up", got.Due, got.Done, done.Load(), got.GivenUp)
		}
		within(t, "done", float64(r.Reads.Done), 20, 26)
		if longest := r.Begun.Quantile(1); longest > 1_001*time.Millisecond {
			t.Errorf("one was begun %v late", longest)
		}
	})
}

// Failures are counted apart, with the first few errors; they have no latency.
func TestOpenLoopCountsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		arrivals := every(time.Millisecond, 90)
		for i := range arrivals {
			arrivals[i].Kind = load.Kind(i % 2)
		}
		told := time.Duration(0)
		r := run(t, load.OpenLoop{
			Do: func(_ context.Context, a load.Arrival) (func(), error) {
				if a.Kind == load.Post && a.User%6 == 0 {
					return nil, broken
				}
				return nil, nil
			},
			Progress: func(due time.Duration) { told = due },
		}, arrivals)
		p := r.Posts
		if p.Due != 45 || p.Failed != 15 || p.Done != 30 || p.Latency.Count() != 30 || len(p.Errors) != 3 || p.Errors[0] != broken {
			t.Errorf("posts: %+v", p)
		}
		if r.Reads.Done != 45 {
			t.Errorf("reads: %+v", r.Reads)
		}
		if told == 0 {
			t.Error("no progress was told")
		}
	})
}

// When ctx ends nothing more is begun, and what is under way hears of it.
func TestOpenLoopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 105*time.Millisecond)
		defer cancel()
		r, err := load.OnTimers(load.OpenLoop{Workers: 2, Do: func(ctx context.Context, _ load.Arrival) (func(), error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}).Run(ctx, slices.Values(every(10*time.Millisecond, 1_000)))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if r.Reads.Failed != 2 || r.Reads.GivenUp != 9 || r.Took != 105*time.Millisecond {
			t.Errorf("%+v", r)
		}
	})
}

// On the machine's own clock arrivals are begun within a millisecond or so.
func TestOpenLoopIsOnTime(t *testing.T) {
	r, err := load.OpenLoop{Do: func(context.Context, load.Arrival) (func(), error) { return nil, nil }}.Run(t.Context(), slices.Values(every(time.Millisecond, 300)))
	if err != nil || r.Reads.Done != 300 {
		t.Fatal(r, err)
	}
	t.Logf("begun late by %v (p50), %v (p99)", r.Begun.Quantile(0.5), r.Begun.Quantile(0.99))
}
