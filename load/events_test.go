package load_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet/load"
)

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// Each user's events are Poisson arrivals at that user's rates, in the order of
// time.
func TestEventsMatchRates(t *testing.T) {
	mix := load.ReadHeavy()
	n := network(t, load.Options{Users: 1_000, Follows: 5, Seed: 2, Mix: mix})
	const days = 10
	var got [2][]float64
	got[load.Post], got[load.Read] = make([]float64, n.Users()), make([]float64, n.Users())
	var hours [24]float64
	last, total := monday, 0.0
	for e := range n.Events(monday, days*24*time.Hour, 1) {
		if e.At.Before(last) {
			t.Fatalf("%v comes after %v", e.At, last)
		}
		last = e.At
		got[e.Kind][e.User]++
		hours[e.At.Hour()]++
		total++
	}
	if last.After(monday.Add(days * 24 * time.Hour)) {
		t.Errorf("an event at %v, after the end", last)
	}
	// The sum of (got-want)²/want is as many as there are users, ± √(2 × users) and
	// more where rates are small.
	for kind, counts := range got {
		sum, users := 0.0, 0.0
		for u, c := range counts {
			posts, reads := n.Rates(u)
			want := []float64{posts, reads}[kind] * 24 * days
			if want == 0 && c > 0 {
				t.Fatalf("user %d has %v events of kind %v at rate 0", u, c, load.Kind(kind))
			}
			if want > 1 {
				sum, users = sum+(c-want)*(c-want)/want, users+1
			}
		}
		within(t, load.Kind(kind).String()+"s: (got-want)²/want", sum/users, 1-5*math.Sqrt(2.5/users), 1+5*math.Sqrt(2.5/users))
	}
	curve := load.Evening()
	mean := 0.0
	for _, h := range curve {
		mean += h / 24
	}
	for h, c := range hours {
		if want := total / 24 * curve[h] / mean; math.Abs(c-want) > 5*math.Sqrt(want) {
			t.Errorf("%v events in hour %d, want %.0f", c, h, want)
		}
	}
}

// Equal arguments give equal events; another seed gives others; a walk can end
// early.
func TestEventsReproducible(t *testing.T) {
	n := network(t, load.Options{Users: 200, Follows: 5, Seed: 2})
	from := monday.Add(90 * time.Minute).In(time.FixedZone("", 5*3600+1800))
	a := slices.Collect(n.Events(from, 5*time.Hour, 1))
	b := slices.Collect(n.Events(from, 5*time.Hour, 1))
	c := slices.Collect(n.Events(from, 5*time.Hour, 2))
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Error("equal arguments gave other events")
	}
	if slices.Equal(a, c) {
		t.Error("another seed gave equal events")
	}
	for e := range n.Events(from, 5*time.Hour, 1) {
		if e != a[0] {
			t.Errorf("began with %v, then with %v", a[0], e)
		}
		break
	}
	for range n.Events(from, 0, 1) {
		t.Error("an event in no time")
	}
}

// Hours without activity have no events, and those with it all.
func TestEventsInOneHour(t *testing.T) {
	mix := load.Balanced()
	mix.Hours[12] = 7
	n := network(t, load.Options{Users: 200, Follows: 5, Mix: mix})
	count := 0
	for e := range n.Events(monday, 24*time.Hour, 1) {
		if e.At.Hour() != 12 {
			t.Fatalf("an event at %v", e.At)
		}
		count++
	}
	within(t, "events", float64(count), 400, 640) // 200 posts and 80 × 4 reads
}

func BenchmarkEvents(b *testing.B) {
	n := network(b, load.Options{Users: 20_000, Follows: 5})
	for b.Loop() {
		count := 0
		for range n.Events(monday, 1000*time.Hour, 1) {
			if count++; count == 100_000 {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/event")
}
