package feed_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/load"
)

const (
	learntDays = 3
	judgedDays = 2
)

// activity is events per hour in a span, by user.
type activity struct{ posts, reads []float64 }

// simulation is one network, what an engine had learnt of it when the span that
// is judged began, and what happened then.
type simulation struct {
	net    *load.Network
	learnt activity
	truth  activity
}

func simulate(t testing.TB, o load.Options) simulation {
	t.Helper()
	net, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := simulation{net: net, learnt: newActivity(o.Users), truth: newActivity(o.Users)}

	posts, reads := feed.NewRates(watchBegins, feed.RatesOptions{}), feed.NewRates(watchBegins, feed.RatesOptions{})
	now := watchBegins.Add(learntDays * 24 * time.Hour)
	for e := range net.Events(watchBegins, now.Sub(watchBegins), 1) {
		rates := posts
		if e.Kind == load.Read {
			rates = reads
		}
		rates.Add(freshet.ID(e.User)+1, 1, e.At)
	}
	for u := range net.Users() {
		s.learnt.posts[u], s.learnt.reads[u] = posts.Rate(freshet.ID(u)+1, now), reads.Rate(freshet.ID(u)+1, now)
	}
	for e := range net.Events(now, judgedDays*24*time.Hour, 2) {
		of := s.truth.posts
		if e.Kind == load.Read {
			of = s.truth.reads
		}
		of[e.User] += 1. / (judgedDays * 24)
	}
	return s
}

func newActivity(users int) activity {
	return activity{posts: make([]float64, users), reads: make([]float64, users)}
}

// way decides how a reader's feed is kept; pull is as for [feed.Costs.Choose].
type way func(s *simulation, reader int, pull []bool) feed.Choice

func push(*simulation, int, []bool) feed.Choice    { return feed.PushAll }
func pullAll(*simulation, int, []bool) feed.Choice { return feed.PullAll }

// hybrid pulls those with so many followers or more.
func hybrid(threshold int) way {
	return func(s *simulation, reader int, pull []bool) feed.Choice {
		for i, author := range s.net.Follows(reader) {
			pull[i] = len(s.net.Followers(int(author))) >= threshold
		}
		return feed.PerAuthor
	}
}

// awake does nothing for those who are dormant in truth, which no real engine
// knows.
func awake(w way) way {
	return func(s *simulation, reader int, pull []bool) feed.Choice {
		if _, reads := s.net.Rates(reader); reads == 0 {
			return feed.PullAll
		}
		return w(s, reader, pull)
	}
}

// adaptive is the rule, by what was learnt.
func adaptive(c feed.Costs) way {
	posts := make([]float64, 0, load.MaxFollows)
	return func(s *simulation, reader int, pull []bool) feed.Choice {
		posts = posts[:0]
		for _, author := range s.net.Follows(reader) {
			posts = append(posts, s.learnt.posts[author])
		}
		return c.Choose(s.learnt.reads[reader], posts, pull)
	}
}

// cost is what a way cost in the span that is judged, in ms of CPU per hour.
func (s *simulation) cost(c feed.Costs, w way) (sum float64) {
	posts, pull := make([]float64, 0, load.MaxFollows), make([]bool, load.MaxFollows)
	for reader := range s.net.Users() {
		posts = posts[:0]
		for _, author := range s.net.Follows(reader) {
			posts = append(posts, s.truth.posts[author])
		}
		of := pull[:len(posts)]
		sum += c.PerHour(w(s, reader, of), s.truth.reads[reader], posts, of)
	}
	return sum / 1e6
}

// TestAdaptiveCostsLeast is the comparison on a small network; BenchmarkAdaptive
// prints that of the large one.
func TestAdaptiveCostsLeast(t *testing.T) { compare(t, 4_000, 100) }

func BenchmarkAdaptive(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(compare(b, 100_000, 190), "hybrid/adaptive")
	}
}

// compare judges the rule, with rates it had to learn from one span, by what it
// costs in the next, on each mix and backend, and returns how many times as much
// a hybrid costs. The threshold is a tenth of all users, so that networks of any
// size are alike: 10,000 followers where there are 100,000.
func compare(t testing.TB, users int, follows float64) float64 {
	threshold := hybrid(users / 10)
	var table strings.Builder
	fmt.Fprintf(&table, "ms of CPU per hour, %d users x %v follows\n%-12s%-8s", users, follows, "mix", "backend")
	for _, name := range []string{"push", "push, awake", "pull", "hybrid", "hybrid, awake", "adaptive"} {
		fmt.Fprintf(&table, "%14s", name)
	}
	log, cells := 0.0, 0.0
	for _, mix := range load.Mixes() {
		s := simulate(t, load.Options{Users: users, Follows: follows, Seed: 1, Mix: mix})
		for _, backend := range []struct {
			name  string
			costs feed.Costs
		}{{"memory", feed.MemoryCosts()}, {"redis", feed.RedisCosts()}} {
			fmt.Fprintf(&table, "\n%-12s%-8s", mix.Name, backend.name)
			var cost []float64
			for _, w := range []way{push, awake(push), pullAll, threshold, awake(threshold), adaptive(backend.costs)} {
				cost = append(cost, s.cost(backend.costs, w))
				fmt.Fprintf(&table, "%14.2f", cost[len(cost)-1])
			}
			static, hybrid, ours := min(cost[1], cost[2], cost[4]), cost[3], cost[5]
			fmt.Fprintf(&table, "   %.2f of the best fixed, hybrid %.2f", ours/static, hybrid/ours)
			if ours > 1.15*static {
				t.Errorf("%s, %s: adaptive costs %.2f, the best fixed way %.2f", mix.Name, backend.name, ours, static)
			}
			log, cells = log+math.Log(hybrid/ours), cells+1
		}
	}
	mean := math.Exp(log / cells)
	if mean < 2 {
		t.Errorf("a hybrid costs %.2f times as much as adaptive, want at least twice", mean)
	}
	t.Logf("%s\nhybrid by adaptive, geometric mean: %.2f", table.String(), mean)
	return mean
}
