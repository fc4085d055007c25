package load

import (
	"iter"
	"math/rand/v2"
	"time"
)

// Kind is what happened.
type Kind uint8

// The kinds of events.
const (
	Post Kind = iota // a user wrote a post
	Read             // a user read a page of the home feed
)

func (k Kind) String() string {
	if k == Post {
		return "post"
	}
	return "read"
}

// Event is one post or read.
type Event struct {
	At   time.Time
	User uint32
	Kind Kind
}

// Events are the posts and reads from an instant on for a span, in the order of
// time: Poisson arrivals at the users' rates, times the activity of the hour
// (UTC). Equal arguments give equal events; other seeds give independent ones, so
// that one stream can be learnt from and another judged by.
//
// The arrivals of all users together are one Poisson process, and whose each is
// follows from the rates; so an event costs two random numbers and a look into a
// table, whatever the number of users. The tables are made anew by each walk (12
// bytes for a user and kind).
func (n *Network) Events(from time.Time, span time.Duration, seed uint64) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		rng := random(seed, streamEvents)
		who := n.actors()
		hours := n.mix.hours()
		end := from.Add(span)
		for at := from.Round(0); ; { // the wall clock alone
			at = next(at, rng.ExpFloat64()/who.perHour(), &hours)
			if !at.Before(end) {
				return
			}
			kind, user := who.draw(rng)
			if !yield(Event{At: at, User: user, Kind: kind}) {
				return
			}
		}
	}
}

// actors draws who does what next, by the users' rates.
type actors struct{ posts, reads alias }

func (n *Network) actors() actors { return actors{newAlias(n.posts), newAlias(n.reads)} }

// perHour is how many posts and reads there are in an average hour.
func (w *actors) perHour() float64 { return w.posts.sum + w.reads.sum }

func (w *actors) draw(rng *rand.Rand) (Kind, uint32) {
	if rng.Float64()*w.perHour() < w.posts.sum {
		return Post, w.posts.draw(rng)
	}
	return Read, w.reads.draw(rng)
}

// next goes on from an instant until so many average hours of activity have
// passed.
func next(at time.Time, work float64, hours *[24]float64) time.Time {
	for {
		rate := hours[at.UTC().Hour()]
		hourEnds := at.Truncate(time.Hour).Add(time.Hour)
		if left := hourEnds.Sub(at).Hours() * rate; work >= left {
			at, work = hourEnds, work-left
			continue
		}
		return at.Add(time.Duration(work / rate * float64(time.Hour)))
	}
}

// alias draws users by their rates in constant time (Walker's method, with
// Vose's construction): cell i is user i with the chance cut[i], else other[i].
type alias struct {
	cut   []float32
	other []uint32
	sum   float64 // of the rates
}

func newAlias(rates []float32) alias {
	a := alias{cut: make([]float32, len(rates)), other: make([]uint32, len(rates))}
	for _, r := range rates {
		a.sum += float64(r)
	}
	share := make([]float64, len(rates)) // of a cell
	var small, large []uint32
	for i, r := range rates {
		share[i] = float64(r) / a.sum * float64(len(rates))
		if share[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.cut[s], a.other[s] = float32(share[s]), l
		share[l] -= 1 - share[s]
		if share[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, rest := range [][]uint32{small, large} { // whole cells, but for rounding
		for _, i := range rest {
			a.cut[i], a.other[i] = 1, i
		}
	}
	return a
}

func (a *alias) draw(rng *rand.Rand) uint32 {
	i := rng.Uint32N(uint32(len(a.cut)))
	if rng.Float32() < a.cut[i] {
		return i
	}
	return a.other[i]
}
