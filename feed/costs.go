package feed

import (
	"errors"
	"math"
	"time"
)

// Costs are what a feed costs on one backend, in nanoseconds of CPU (ours and
// the backend's together), and the rule that follows from them: who reads more
// than is posted for them is pushed to, the others pull.
//
// For one reader there are three ways to have a page:
//
//	push all    posts × Push                                   + reads × Read
//	pull all                                                     reads × (Pull + authors × PullAuthor)
//	per author  posts of the pushed × Push + reads × (Read + Pull + pulled authors × PullAuthor)
//
// An author alone is better pushed if posts/reads <= PullAuthor/Push (Silberstein
// et al., "Feeding Frenzy", SIGMOD 2010). But the first author who is pulled
// costs Pull, and the first who is pushed costs Read, at every page; a rule that
// ignores this loses to plain push by up to five times. So the rule is: the
// cheapest of the three. That is the cheapest of all 2^authors ways, because for
// any way that pays both fixed parts the authors are independent.
//
// Memory, network and the rebuilding of timelines are not counted. The number of
// followers appears nowhere: what an author costs is decided by who reads.
type Costs struct {
	Push       float64 // one delivery of a post into a timeline
	Read       float64 // one page from a timeline
	Pull       float64 // one page of which a part is pulled: the part that does not depend on authors
	PullAuthor float64 // one author merged into such a page

	// MaxPull is how many authors may be merged at read time at most, which bounds
	// the latency of a page: those with the highest rates are pulled, the others
	// pushed. 0: no limit. It does not bind dormant readers.
	MaxPull int
	// Dormant is how many pages an hour a reader reads at most who is dormant. An
	// estimated rate falls for ever and is never 0, so with MaxPull it should not
	// be 0 either, or everything is pushed to those who left long ago and follow many.
	Dormant float64
}

// MemoryCosts are the costs of timelines in memory: flat arenas with one owner,
// random followers, and a merge of the authors' newest posts. They are what the ways
// took on the network of package load, 100,000 users x 190 follows, where nothing
// that a page needs is at hand (make show-feed, point 6; one core of a Xeon, Go
// 1.26): in a benchmark of a few readers all is several times as quick, and the
// merge of an author twenty times.
func MemoryCosts() Costs { return Costs{Push: 90, Read: 4_000, Pull: 11_000, PullAuthor: 105} }

// RedisCosts are the costs of timelines in Redis 7.0 over loopback, server and
// client together: pushes pipelined by the hundred, reads one by one. PullAuthor
// is an estimate from the cost of one command.
func RedisCosts() Costs { return Costs{Push: 2_600, Read: 9_900, Pull: 10_000, PullAuthor: 3_000} }

// A plan that follows from the rule is looked at when the reader's rate has changed by DriftFactor, by DriftCheck at the earliest, and
// every PlanAge in any case, because the authors' rates change too, by half in a day at most ([Rates]). To look costs the rates of all
// authors, as much as several pages: who comes four times a day is not to find the plan of age each time.
const (
	DriftCheck  = 10 * time.Minute
	DriftFactor = 2.0
	PlanAge     = 24 * time.Hour
)

// Choice is how one reader's feed is kept.
type Choice uint8

// The choices.
const (
	PushAll   Choice = iota // every followed author's posts are entered into the timeline
	PullAll                 // there is no timeline: nothing is written, a page merges all authors
	PerAuthor               // some are entered, the others merged at read time
)

func (c Choice) String() string {
	switch c {
	case PushAll:
		return "push all"
	case PullAll:
		return "pull all"
	case PerAuthor:
		return "per author"
	}
	return "unknown choice"
}

// maxRate is more events an hour than anybody can make; it keeps sums finite.
const maxRate = 1e12

// rate is r as a rate: what is none (negative, not a number) counts as 0.
func rate(r float64) float64 {
	if r > 0 { // false for NaN
		return min(r, maxRate)
	}
	return 0
}

var errCosts = errors.New("a cost is a finite number of nanoseconds from 0 up, and a push costs something")

// Check reports costs that no rule follows from: negative, infinite or not a
// number, a push for nothing, a negative MaxPull or Dormant. [Costs.Choose] and
// [Costs.PerHour] expect costs that pass.
func (c Costs) Check() error {
	for _, v := range [...]float64{c.Push, c.Read, c.Pull, c.PullAuthor} {
		if !(v >= 0) || math.IsInf(v, 1) {
			return errCosts
		}
	}
	if c.Push == 0 {
		return errCosts
	}
	if c.MaxPull < 0 || !(c.Dormant >= 0) {
		return errors.New("MaxPull or Dormant is negative")
	}
	return nil
}

// Choose finds the cheapest way to keep the feed of a reader who reads so many
// pages an hour and follows authors with so many posts an hour each. It fills
// pull, which is at least as long as posts: pull[i] says that author i is merged
// at read time, whatever the choice is.
//
// Who reads no more than Dormant gets PullAll, so that nothing is written for
// them and their first page is one pull. Rates that are negative or not a number
// count as 0. Of equally cheap ways it takes push before pull before a mix, and
// of authors with equal rates MaxPull cuts off the later ones; so equal
// arguments give equal answers. It allocates nothing and takes O(authors).
func (c Costs) Choose(reads float64, posts []float64, pull []bool) Choice {
	pull = pull[:len(posts)]
	reads = rate(reads)
	if !(reads > c.Dormant) {
		return fill(pull, PullAll)
	}

	// Author by author: how many are better pulled, and what the rest is pushed.
	authorCost := reads * c.PullAuthor
	pulled := 0
	for i, p := range posts {
		if pull[i] = rate(p)*c.Push > authorCost; pull[i] {
			pulled++
		}
	}
	if c.MaxPull > 0 && pulled > c.MaxPull {
		keepHighest(posts, pull, c.MaxPull)
		pulled = c.MaxPull
	}
	all, pushed := 0.0, 0.0
	for i, p := range posts {
		all += rate(p)
		if !pull[i] {
			pushed += rate(p)
		}
	}

	best, cost := PushAll, all*c.Push+reads*c.Read
	if c.MaxPull == 0 || len(posts) <= c.MaxPull {
		if v := reads * (c.Pull + float64(len(posts))*c.PullAuthor); v < cost {
			best, cost = PullAll, v
		}
	}
	if 0 < pulled && pulled < len(posts) {
		if v := pushed*c.Push + reads*(c.Read+c.Pull+float64(pulled)*c.PullAuthor); v < cost {
			return PerAuthor
		}
	}
	return fill(pull, best)
}

// fill makes pull say what a choice for all authors says.
func fill(pull []bool, c Choice) Choice {
	for i := range pull {
		pull[i] = c == PullAll
	}
	return c
}

// keepHighest leaves true only the n of pull's true ones whose rates are
// highest, the first of equal ones. It selects by radix, since non-negative
// floats sort like their bits: eight passes over the authors, and no copy of them.
func keepHighest(posts []float64, pull []bool, n int) {
	var prefix uint64 // the bits of the n-th highest rate that are known
	left := n         // how many of those with this prefix stay
	for shift := 56; shift >= 0; shift -= 8 {
		var count [256]int
		for i, p := range posts {
			if b := math.Float64bits(rate(p)); pull[i] && b>>shift>>8 == prefix {
				count[b>>shift&0xff]++
			}
		}
		digit := 255
		for ; count[digit] < left; digit-- {
			left -= count[digit]
		}
		prefix = prefix<<8 | uint64(digit)
	}
	for i, p := range posts {
		if !pull[i] {
			continue
		}
		b := math.Float64bits(rate(p))
		pull[i] = b > prefix || b == prefix && left > 0
		if b == prefix {
			left--
		}
	}
}

// PerHour is what a way to keep a reader's feed costs, in nanoseconds of CPU per
// hour. Rates are as for [Costs.Choose]. For PerAuthor pull says who is merged
// at read time; a mix in which that is everybody or nobody costs what that way
// costs. For the other choices pull is not looked at. A choice that is none of
// the three costs infinitely much.
func (c Costs) PerHour(choice Choice, reads float64, posts []float64, pull []bool) float64 {
	pushed, pulled, written := 0, 0, 0.0
	for i, p := range posts {
		if choice == PullAll || choice == PerAuthor && pull[i] {
			pulled++
		} else {
			pushed++
			written += rate(p)
		}
	}
	var page float64
	switch choice {
	case PushAll:
		page = c.Read
	case PullAll:
		page = c.Pull + float64(pulled)*c.PullAuthor
	case PerAuthor:
		if pushed > 0 || pulled == 0 {
			page = c.Read
		}
		if pulled > 0 {
			page += c.Pull + float64(pulled)*c.PullAuthor
		}
	default:
		return math.Inf(1)
	}
	return written*c.Push + rate(reads)*page
}
