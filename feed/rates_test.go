package feed_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

var watchBegins = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Somebody who reads two pages an hour is nearly known after six hours.
func ExampleRates() {
	const reader = 1
	rates := feed.NewRates(watchBegins, feed.RatesOptions{})
	now := watchBegins
	for range 12 {
		now = now.Add(30 * time.Minute)
		rates.Add(reader, 1, now)
	}
	fmt.Printf("%.1f pages an hour\n", rates.Rate(reader, now))
	now = now.Add(7 * 24 * time.Hour)
	fmt.Printf("%.1f after a week of silence\n", rates.Rate(reader, now))
	// Output:
	// 1.7 pages an hour
	// 0.0 after a week of silence
}

// poisson adds arrivals of a rate per hour for a time, and returns its end.
func poisson(rng *rand.Rand, r *feed.Rates, id freshet.ID, rate float64, from time.Time, span time.Duration) time.Time {
	end := from.Add(span)
	for at := from; ; {
		at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Hour)))
		if at.After(end) {
			return end
		}
		r.Add(id, 1, at)
	}
}

// The mean over many counters is the rate itself, however young they are, apart
// from the share of the prior; and they scatter as the comment says.
func TestRatesMatchPoisson(t *testing.T) {
	const ids = 1000
	for _, rate := range []float64{0.05, 1, 20} { // per hour
		for _, hours := range []float64{1, 6, 24, 240} {
			if n := rate * hours; n < 0.25 || n > 200 {
				continue // hardly an event, or too many to draw quickly
			}
			t.Run(fmt.Sprintf("%v for %v h", rate, hours), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(7, uint64(hours)))
				const prior = 0.5
				r := feed.NewRates(watchBegins, feed.RatesOptions{Prior: prior})
				var sum, squares float64
				for id := range freshet.ID(ids) {
					end := poisson(rng, r, id+1, rate, watchBegins, time.Duration(hours*float64(time.Hour)))
					got := r.Rate(id+1, end)
					sum, squares = sum+got, squares+got*got
				}
				mean := sum / ids
				deviation := math.Sqrt(squares/ids - mean*mean)

				d := math.Exp2(-hours / 24)
				constant := 24 / math.Ln2
				share := d / (constant*(1-d) + d) // PriorWeight is an hour
				want := share*prior + (1-share)*rate
				if most := 4.5 * deviation / math.Sqrt(ids); math.Abs(mean-want) > most {
					t.Errorf("mean %.4f, want %.4f ± %.4f", mean, want, most)
				}
				// Var N = rate × ∫ 4^(-age/H)
				wantDeviation := math.Sqrt(rate*constant/2*(1-d*d)) / (constant*(1-d) + d)
				if math.Abs(deviation/wantDeviation-1) > 0.1 {
					t.Errorf("deviation %.4f, want %.4f", deviation, wantDeviation)
				}
			})
		}
	}
}

// A user who came late is watched since then, not since the beginning.
func TestRatesOfNewUser(t *testing.T) {
	now := watchBegins.Add(20 * 24 * time.Hour)
	id := freshet.NewID(freshet.Millis(now), 1, 1)
	r := feed.NewRates(watchBegins, feed.RatesOptions{})
	for range 8 {
		now = now.Add(30 * time.Minute)
		r.Add(id, 1, now)
	}
	if got := r.Rate(id, now); got < 1.5 || got > 2 {
		t.Errorf("rate %.2f after eight events in four hours, want 2 less what the first hour's prior takes", got)
	}
}

func TestRatesWithoutEvents(t *testing.T) {
	r := feed.NewRates(watchBegins, feed.RatesOptions{Prior: 3})
	for _, tt := range []struct {
		after     time.Duration
		low, high float64
	}{
		{0, 3, 3},
		{-time.Hour, 3, 3}, // a clock that went back
		{time.Hour, 1.4, 1.6},
		{24 * time.Hour, 0.05, 0.1},
		{1000 * 24 * time.Hour, 0, 1e-9},
	} {
		if got := r.Rate(1, watchBegins.Add(tt.after)); !(got >= tt.low && got <= tt.high) {
			t.Errorf("after %v: %v, want %v to %v", tt.after, got, tt.low, tt.high)
		}
	}
	for _, none := range []float64{0, -1, math.NaN()} {
		r.Add(1, none, watchBegins)
	}
	if r.Len() != 0 {
		t.Error("no events made a counter")
	}
}

// The order of events does not matter, nor does whether they come one by one.
func TestRatesAnyOrder(t *testing.T) {
	now := watchBegins.Add(48 * time.Hour)
	a, b := feed.NewRates(watchBegins, feed.RatesOptions{}), feed.NewRates(watchBegins, feed.RatesOptions{})
	for i := range 10 {
		a.Add(1, 3, watchBegins.Add(time.Duration(i)*time.Hour))
		for range 3 {
			b.Add(1, 1, watchBegins.Add(time.Duration(9-i)*time.Hour))
		}
	}
	if x, y := a.Rate(1, now), b.Rate(1, now); math.Abs(x-y) > 1e-12 || x == 0 {
		t.Errorf("%v and %v", x, y)
	}
}

func TestRatesSavedAndRestored(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	r := feed.NewRates(watchBegins, feed.RatesOptions{Prior: 0.1})
	now := watchBegins
	for id := range freshet.ID(300) {
		now = poisson(rng, r, id+1, 1+float64(id%7), watchBegins, 30*time.Hour)
	}
	again := feed.NewRates(r.Since(), feed.RatesOptions{Prior: 0.1})
	for id, c := range r.Each() {
		again.Put(id, feed.Count{Events: 9})
		again.Put(id, c)
	}
	if again.Len() != r.Len() {
		t.Errorf("%d ids of %d", again.Len(), r.Len())
	}
	now = now.Add(time.Hour)
	for id := range freshet.ID(301) {
		if got, want := again.Rate(id+1, now), r.Rate(id+1, now); got != want {
			t.Fatalf("id %d: %v, was %v", id+1, got, want)
		}
	}
	for range r.Each() {
		break // ends early
	}
}

// However many ids come, Max are kept, and those that are used much stay.
func TestRatesForgetTheColdest(t *testing.T) {
	const most, hot = 4096, 1000
	r := feed.NewRates(watchBegins, feed.RatesOptions{Max: most})
	rng := rand.New(rand.NewPCG(3, 4))
	now, passer := watchBegins, freshet.ID(hot)
	for range 100_000 {
		now = now.Add(time.Second)
		if rng.IntN(2) == 0 {
			r.Add(freshet.ID(rng.IntN(hot)+1), 1, now)
			continue
		}
		passer++
		r.Add(passer, 1, now)
	}
	if r.Len() > most {
		t.Errorf("%d ids are kept, at most %d should be", r.Len(), most)
	}
	// 28 hours at half an event a second, over a thousand ids: 1.8 an hour each
	kept, sum := 0, 0.0
	for id := range freshet.ID(hot) {
		got := r.Rate(id+1, now)
		sum += got
		if got > 0.9 {
			kept++
		}
	}
	if mean := sum / hot; mean < 1.7 || mean > 1.9 || kept < hot*98/100 {
		t.Errorf("%d of %d hot ids are known, with a mean of %.2f; want nearly all, and 1.8", kept, hot, mean)
	}
	// A newcomer's first event starts the clock.
	if got := r.Rate(passer, now); got > 0.01 {
		t.Errorf("who was seen once has rate %.3f", got)
	}
	r.Add(passer, 2, now.Add(time.Hour))
	if got := r.Rate(passer, now.Add(time.Hour)); got < 0.9 || got > 2 {
		t.Errorf("two events in the first hour are rate %.3f", got)
	}
}

func TestRatesAllocateNothing(t *testing.T) {
	r := feed.NewRates(watchBegins, feed.RatesOptions{})
	r.Add(1, 1, watchBegins)
	now := watchBegins
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Minute)
		r.Add(1, 1, now)
		r.Rate(1, now)
		r.Rate(2, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// No event is lost between goroutines.
func TestRatesTogether(t *testing.T) {
	r := feed.NewRates(watchBegins, feed.RatesOptions{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 4000 {
				r.Add(freshet.ID(i%100)+1, 1, watchBegins)
				r.Rate(freshet.ID(i%100)+1, watchBegins)
				if i%1000 == 0 {
					for id, c := range r.Each() {
						_, _ = id, c
					}
				}
			}
		})
	}
	wg.Wait()
	for id, c := range r.Each() {
		if c.Events != 160 {
			t.Errorf("id %d has %v events, want 160", id, c.Events)
		}
	}
}

func BenchmarkRates(b *testing.B) {
	r := feed.NewRates(watchBegins, feed.RatesOptions{})
	const ids = 100_000
	for id := range freshet.ID(ids) {
		r.Add(id+1, 1, watchBegins)
	}
	now := watchBegins.Add(time.Hour)
	b.Run("Add", func(b *testing.B) {
		for i := range b.N {
			r.Add(freshet.ID(i*7919%ids)+1, 1, now)
		}
	})
	b.Run("Rate", func(b *testing.B) {
		for i := range b.N {
			r.Rate(freshet.ID(i*7919%ids)+1, now)
		}
	})
}
