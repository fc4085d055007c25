// Package load makes a synthetic social network and what happens in it: who
// follows whom, how often each posts and reads, and a stream of posts and reads
// in the order of time. Tests, benchmarks, the demo and the capacity planner run
// on it, so that they speak of the same load. Its open-loop generator has the
// network's users post and read at a fixed rate, on a freshet or on whatever a
// function does, and measures how long that takes.
//
//	net, err := load.New(load.Options{Users: 100_000, Follows: 190, Seed: 1})
//	for _, author := range net.Follows(7) { … }     // in ascending order
//	posts, reads := net.Rates(7)                    // per hour
//	for e := range net.Events(monday, 24*time.Hour, 1) { … }
//	report, err := load.OpenLoop{Do: target.Do}.Run(ctx, net.Arrivals(500, time.Minute, 1))
//
// # What is like the world
//
// Followers: the chance to be followed falls with the rank of popularity as
// rank^-0.8, so the number of followers is distributed by a power law with the
// exponent 1+1/0.8 = 2.25; Twitter's was 2.276 (Kwak et al., "What is Twitter, a
// Social Network or a News Media?", WWW 2010). With 100,000 users and 190 follows
// each the Gini coefficient is 0.60 (Slashdot's graph: 0.76, two of Twitter's
// around a brand: 0.65 and 0.69); the best percent has 28 % of all followers
// (Slashdot: 26 %), and the most popular user 78,000.
//
// Follows: log-normal with σ = 1, at most [MaxFollows]; the median is 0.6 of the
// mean, the 99th percentile 6 times the mean.
//
// Posts: log-normal with σ = 1.5, so the busiest percent writes a fifth, and
// correlated with popularity by ρ = 0.3 (of the logarithms): whom many follow
// posts more, so a post has more followers on average than a user has. Reads: a
// share of readers is dormant and reads nothing; the others' rates are
// log-normal with σ = 1. Where a day has hours, all live in one time zone.
//
// # What is not
//
// There are no communities, no mutual follows beyond chance, no threads and no
// bursts: an event makes no other one more likely. Rates of posting, rates of
// reading and numbers of follows are independent of each other.
//
// # Invariants
//
// Equal options give an equal network, and equal arguments an equal stream,
// however many cores there are (another architecture may round floating point
// otherwise). Nobody follows themselves, nor anybody twice.
package load

import (
	"fmt"
	"math"
)

// Options say what network to make; the zero value is one of 100,000 users.
type Options struct {
	Users   int     // default 100,000; numbered from 0
	Follows float64 // how many a user follows on average; default 190, at most a quarter of Users
	Seed    uint64
	Mix     Mix // default Balanced()
}

// MaxFollows is how many users one user follows at most; in networks of less
// than 10,000 users it is half of them.
const MaxFollows = 5_000

// maxEdges is what 32-bit offsets can count.
const maxEdges = 1 << 31

// Network is who follows whom and how active each is. It does not change, and
// all methods are safe for concurrent use. It takes 8 bytes for a follow and 16
// for a user: 150 MB for 100,000 x 190.
type Network struct {
	follows, followers adjacency
	posts, reads       []float32 // per hour, by user
	mix                Mix
}

// adjacency holds a list of users for each user, one after the other.
type adjacency struct {
	from []uint32 // list u is to[from[u]:from[u+1]]
	to   []uint32
}

func (a adjacency) list(user int) []uint32 {
	from, to := a.from[user], a.from[user+1]
	return a.to[from:to:to]
}

// New makes a network, on all cores: 19 million follows take 2.5 seconds of CPU.
func New(o Options) (*Network, error) {
	if o.Users == 0 {
		o.Users = 100_000
	}
	if o.Follows == 0 {
		o.Follows = 190
	}
	if o.Mix == (Mix{}) {
		o.Mix = Balanced()
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	ranked := popularity(o)
	n := &Network{mix: o.Mix}
	n.follows = drawFollows(o, ranked)
	n.followers = n.follows.reversed()
	n.posts, n.reads = drawRates(o, ranked)
	return n, nil
}

func (o Options) check() error {
	switch {
	case o.Users < 4 || o.Users > 1<<30:
		return fmt.Errorf("%d users; want 4 to 2^30", o.Users)
	case !(o.Follows >= 1 && o.Follows <= float64(o.Users)/4 && o.Follows <= MaxFollows/4):
		return fmt.Errorf("%v follows a user; want 1 to a quarter of the users, at most %d", o.Follows, MaxFollows/4)
	case o.Follows*float64(o.Users) > maxEdges:
		return fmt.Errorf("%.0f follows; want at most 2^31", o.Follows*float64(o.Users))
	}
	return o.Mix.check()
}

// Users is how many there are.
func (n *Network) Users() int { return len(n.posts) }

// Edges is how many follows there are.
func (n *Network) Edges() int { return len(n.follows.to) }

// Mix is what the rates were drawn from.
func (n *Network) Mix() Mix { return n.mix }

// Follows are those whom a user follows, in ascending order. The list is shared
// and not changed.
func (n *Network) Follows(user int) []uint32 { return n.follows.list(user) }

// Followers are those who follow a user, in ascending order. The list is shared
// and not changed.
func (n *Network) Followers(user int) []uint32 { return n.followers.list(user) }

// Rates are how many posts and pages of the home feed come from a user per hour,
// on the average of a day.
func (n *Network) Rates(user int) (posts, reads float64) {
	return float64(n.posts[user]), float64(n.reads[user])
}

// reversed has whom a list names as its owner.
func (a adjacency) reversed() adjacency {
	users := len(a.from) - 1
	r := adjacency{from: make([]uint32, users+1), to: make([]uint32, len(a.to))}
	for _, v := range a.to {
		r.from[v+1]++
	}
	for u := range users {
		r.from[u+1] += r.from[u]
	}
	next := append([]uint32(nil), r.from[:users]...)
	for u := range users {
		for _, v := range a.list(u) {
			r.to[next[v]] = uint32(u)
			next[v]++
		}
	}
	return r
}

// quantile is the standard normal distribution's.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
