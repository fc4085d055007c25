package load

import (
	"iter"
	"time"
)

// Arrival is one post or read that is due, whatever became of those before it.
type Arrival struct {
	Due  time.Duration // after the start
	User uint32
	Kind Kind
}

// Arrivals are posts and reads for a span, so many a second: Poisson arrivals in
// the proportions of the users' rates, as in a network whose time runs faster and
// whose day has no hours. Equal arguments give equal arrivals; other seeds give
// independent ones.
func (n *Network) Arrivals(rate float64, span time.Duration, seed uint64) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		rng := random(seed, streamArrivals)
		who := n.actors()
		for due := 0.0; ; {
			due += rng.ExpFloat64() / rate * float64(time.Second)
			if due >= float64(span) {
				return
			}
			kind, user := who.draw(rng)
			if !yield(Arrival{Due: time.Duration(due), User: user, Kind: kind}) {
				return
			}
		}
	}
}
