package feed

import (
	"iter"
	"math"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// RatesOptions are the settings of [NewRates]; the zero value works.
type RatesOptions struct {
	// HalfLife is how old an event is when it counts half. Default 24 h, with which
	// a ninth of the swing between the hours of a day is left in the rate.
	HalfLife time.Duration
	// Max is how many ids are kept, at about 60 bytes each. Default 1 Mi.
	Max int
	// Prior is the rate, in events per hour, that is assumed of everybody before
	// anything was seen. Default 0: who was not seen is dormant.
	Prior float64
	// PriorWeight is how long one has to watch until what was seen counts as much
	// as Prior. Default HalfLife/24.
	PriorWeight time.Duration
}

// Rates estimates how many events per hour come from each id: pages that a
// reader reads, posts that an author writes. Methods are safe for concurrent
// use; the clock comes in with each call, and events may come in any order.
//
// # The estimator
//
// With half-life H, the time constant is T = H/ln 2. An id that has been watched
// for a has the rate
//
//	         N + w·d·Prior                                                   -a/H
//	rate = ─────────────────,   N = Σ 2^-(age of the event / H),   d = 2
//	       T·(1-d)  +  w·d
//
// N counts events with exponential decay. For Poisson arrivals of rate r its
// mean is r·T·(1-d), not r·T: the divisor is the time that was really watched,
// weighed alike, so a young counter is as right on average as an old one. Prior
// stands for a watch of w = PriorWeight that lies before the first one and is
// forgotten like it; its share of the estimate is w·d/(T·(1-d) + w·d): with the
// defaults a half after an hour, 13 % after six, 3 % after a day. Apart from this
// share the estimate has no bias. Its standard deviation, once a is several H, is
// √(r/2T), which is 12 % of a rate of one per hour and 59 % of one per day.
//
// An id is watched since the later of the time that was given to [NewRates] and
// its own creation, which the id bears: a user who came today is not taken for one
// who was silent all week. An id of which nothing came falls from Prior towards 0,
// by half in PriorWeight at first.
//
// # Forgetting
//
// Ids lie in up to 64 parts by their hash, each with its share of Max. Where a
// part is full, a new id takes the place of the one with the smallest N among
// eight neighbours, at a hand that goes round. So the coldest go first, nearly:
// an id that is hotter than a good part of all others survives, and who was seen
// once is gone after a round or two. In a part that has forgotten, nobody knows
// whether a new id is really new: its watch begins with its first event, which
// starts the clock and is not counted, because counting it would make every
// newcomer look busy.
type Rates struct {
	since    time.Time
	halfLife float64 // ns
	constant float64 // T, hours
	prior    float64
	weight   float64 // hours
	most     int     // ids in a part
	shift    uint    // 64 - log2 of the parts
	parts    []ratePart
}

// ratePart holds the ids of one hash; mu guards all of it. No two are locked
// together.
type ratePart struct {
	mu     sync.Mutex
	index  map[freshet.ID]uint32 // into counts
	counts []rateCount
	hand   int
	forgot bool
	_      [64]byte // parts are written by different cores
}

// rateCount is an id's counter. Times are since Rates.since.
type rateCount struct {
	id        freshet.ID
	n         float64 // events, decayed to at
	at, since time.Duration
}

// Count is the state of one id's counter, for saving and restoring.
type Count struct {
	Events float64   // decayed to At
	At     time.Time // of the newest event
	Since  time.Time // when the watch began
}

const (
	mostRateParts  = 64
	leastRateIDs   = 1024 // of a part, so that eight neighbours are few of them
	rateNeighbours = 8
)

// NewRates begins to watch at since. After a restart that is what [Rates.Since]
// was when the counters were saved; the time in between counts as silence.
func NewRates(since time.Time, o RatesOptions) *Rates {
	if o.HalfLife <= 0 {
		o.HalfLife = 24 * time.Hour
	}
	if o.Max <= 0 {
		o.Max = 1 << 20
	}
	if o.PriorWeight <= 0 {
		o.PriorWeight = max(o.HalfLife/24, 1)
	}
	parts, shift := 1, uint(64)
	for parts < mostRateParts && o.Max/(2*parts) >= leastRateIDs {
		parts, shift = 2*parts, shift-1
	}
	r := &Rates{
		since:    since,
		halfLife: float64(o.HalfLife),
		constant: o.HalfLife.Hours() / math.Ln2,
		prior:    rate(o.Prior),
		weight:   o.PriorWeight.Hours(),
		most:     max(o.Max/parts, 1),
		shift:    shift,
		parts:    make([]ratePart, parts),
	}
	for i := range r.parts {
		r.parts[i].index = make(map[freshet.ID]uint32)
	}
	return r
}

// Since is when the watch began.
func (r *Rates) Since() time.Time { return r.since }

// Add counts n events of id at now. What is no positive number counts nothing.
func (r *Rates) Add(id freshet.ID, n float64, now time.Time) {
	if n = rate(n); n == 0 {
		return
	}
	at := now.Sub(r.since)
	p := r.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index[id]; ok {
		c := &p.counts[i]
		if at >= c.at {
			c.n, c.at = c.n*r.decay(at-c.at)+n, at
		} else { // late: it has aged since
			c.n += n * r.decay(c.at-at)
		}
		return
	}
	c := rateCount{id: id, n: n, at: at, since: r.watched(id, at)}
	if p.forgot {
		c.n, c.since = max(n-1, 0), at
	}
	r.insert(p, c)
}

// Rate estimates how many events per hour come from id. It allocates nothing.
func (r *Rates) Rate(id freshet.ID, now time.Time) float64 {
	at := now.Sub(r.since)
	p := r.part(id)
	p.mu.Lock()
	i, ok := p.index[id]
	c := rateCount{since: r.watched(id, at)}
	if ok {
		c = p.counts[i]
	}
	p.mu.Unlock()

	if ok {
		at = max(at, c.at)
		c.n *= r.decay(at - c.at)
	}
	x := float64(max(at-c.since, 0)) / r.halfLife * math.Ln2
	d := math.Exp(-x)
	return (c.n + r.weight*d*r.prior) / (r.constant*-math.Expm1(-x) + r.weight*d)
}

// Len is how many ids are kept.
func (r *Rates) Len() (n int) {
	for i := range r.parts {
		p := &r.parts[i]
		p.mu.Lock()
		n += len(p.counts)
		p.mu.Unlock()
	}
	return n
}

// Each goes over all counters, for saving them; the order means nothing. It
// copies a part at a time, so nothing is locked while the caller works; what is
// added meanwhile may be told or not.
func (r *Rates) Each() iter.Seq2[freshet.ID, Count] {
	return func(yield func(freshet.ID, Count) bool) {
		var counts []rateCount
		for i := range r.parts {
			p := &r.parts[i]
			p.mu.Lock()
			counts = append(counts[:0], p.counts...)
			p.mu.Unlock()
			for _, c := range counts {
				if !yield(c.id, Count{Events: c.n, At: r.since.Add(c.at), Since: r.since.Add(c.since)}) {
					return
				}
			}
		}
	}
}

// Put sets an id's counter to what [Rates.Each] told, whatever it was.
func (r *Rates) Put(id freshet.ID, saved Count) {
	c := rateCount{id: id, n: rate(saved.Events), at: saved.At.Sub(r.since), since: saved.Since.Sub(r.since)}
	p := r.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index[id]; ok {
		p.counts[i] = c
		return
	}
	r.insert(p, c)
}

// insert takes a new id in, for the coldest of some neighbours if there is no
// room. p is locked.
func (r *Rates) insert(p *ratePart, c rateCount) {
	if len(p.counts) < r.most {
		p.index[c.id] = uint32(len(p.counts))
		p.counts = append(p.counts, c)
		return
	}
	coldest, least := 0, math.Inf(1)
	for range min(rateNeighbours, len(p.counts)) {
		old := p.counts[p.hand]
		if n := old.n * r.decay(max(c.at-old.at, 0)); n < least {
			coldest, least = p.hand, n
		}
		p.hand = (p.hand + 1) % len(p.counts)
	}
	p.forgot = true
	delete(p.index, p.counts[coldest].id)
	p.index[c.id] = uint32(coldest)
	p.counts[coldest] = c
}

// part is where id is kept.
func (r *Rates) part(id freshet.ID) *ratePart {
	return &r.parts[uint64(id)*0x9e3779b97f4a7c15>>r.shift]
}

// watched is since when id is watched if nothing was heard of it until at.
func (r *Rates) watched(id freshet.ID, at time.Duration) time.Duration {
	return min(max(id.Time().Sub(r.since), 0), max(at, 0))
}

// decay is what an event counts after d.
func (r *Rates) decay(d time.Duration) float64 { return math.Exp2(-float64(d) / r.halfLife) }
