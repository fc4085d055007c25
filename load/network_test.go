package load_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/freshet/freshet/load"
)

// network makes one or fails.
func network(t testing.TB, o load.Options) *load.Network {
	t.Helper()
	n, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// counts has how many others each user is listed with, in ascending order.
func counts(n *load.Network, list func(int) []uint32) []int {
	c := make([]int, n.Users())
	for u := range c {
		c[u] = len(list(u))
	}
	slices.Sort(c)
	return c
}

// gini is 0 where all have the same, near 1 where one has all.
func gini(sorted []int) float64 {
	sum, weighed := 0.0, 0.0
	for i, c := range sorted {
		sum += float64(c)
		weighed += float64(i+1) * float64(c)
	}
	n := float64(len(sorted))
	return 2*weighed/(n*sum) - (n+1)/n
}

// best is the share that the best percent has.
func best(sorted []int) float64 {
	sum, top := 0, 0
	for i, c := range sorted {
		sum += c
		if i >= len(sorted)*99/100 {
			top += c
		}
	}
	return float64(top) / float64(sum)
}

func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low && got <= high) {
		t.Errorf("%s is %.4g, want %.4g to %.4g", what, got, low, high)
	}
	t.Logf("%s: %.4g", what, got)
}

// The shape of the graph is what the package comment says; BenchmarkNew tells it
// of the large one.
func TestShape(t *testing.T) {
	const users, mean = 20_000, 40
	n := network(t, load.Options{Users: users, Follows: mean, Seed: 3})
	followers, follows := counts(n, n.Followers), counts(n, n.Follows)
	within(t, "mean of follows", float64(n.Edges())/users, 0.99*mean, 1.01*mean)
	within(t, "Gini of followers", gini(followers), 0.58, 0.64)
	within(t, "share of the best percent", best(followers), 0.24, 0.29)
	within(t, "followers, p99 by mean", float64(followers[users*99/100])/mean, 8, 12)
	within(t, "followers, most by users", float64(followers[users-1])/users, 0.4, 0.6)
	within(t, "followers, p50 by mean", float64(followers[users/2])/mean, 0.4, 0.5)
	within(t, "follows, p50 by mean", float64(follows[users/2])/mean, 0.55, 0.65)
	within(t, "follows, p99 by mean", float64(follows[users*99/100])/mean, 5.5, 6.7)
	within(t, "follows, least", float64(follows[0]), 1, 5)
}

// The lists are in order, without oneself and without repetition, and each of
// the two is the other turned round.
func TestLists(t *testing.T) {
	n := network(t, load.Options{Users: 3_000, Follows: 30, Seed: 1})
	edges := 0
	for u := range n.Users() {
		for i, v := range n.Follows(u) {
			if int(v) == u {
				t.Fatalf("user %d follows themselves", u)
			}
			if i > 0 && n.Follows(u)[i-1] >= v {
				t.Fatalf("user %d: follows are not in order, or repeat", u)
			}
			if _, ok := slices.BinarySearch(n.Followers(int(v)), uint32(u)); !ok {
				t.Fatalf("user %d follows %d, who does not know", u, v)
			}
		}
		if !slices.IsSorted(n.Followers(u)) {
			t.Fatalf("user %d: followers are not in order", u)
		}
		edges += len(n.Followers(u))
	}
	if edges != n.Edges() {
		t.Errorf("%d followers of %d follows", edges, n.Edges())
	}
}

// Whoever takes the first users takes neither the popular nor the active ones.
func TestNumbersTellNothing(t *testing.T) {
	n := network(t, load.Options{Users: 10_000, Follows: 20, Seed: 1})
	first, posts := 0, 0.0
	for u := range n.Users() / 2 {
		p, _ := n.Rates(u)
		first, posts = first+len(n.Followers(u)), posts+p
	}
	within(t, "share of the first half in followers", float64(first)/float64(n.Edges()), 0.42, 0.58)
	within(t, "share of the first half in posts", posts*24/float64(n.Users()), 0.42, 0.58)
}

// Networks so small that popular users run out are made too.
func TestSmallNetworks(t *testing.T) {
	for _, o := range []load.Options{{Users: 4, Follows: 1}, {Users: 40, Follows: 10}, {Users: 500, Follows: 125}} {
		n := network(t, o)
		within(t, "mean of follows", float64(n.Edges())/float64(o.Users), 0.9*o.Follows, 1.1*o.Follows)
	}
}

func same(a, b *load.Network) bool {
	for u := range a.Users() {
		p, r := a.Rates(u)
		p2, r2 := b.Rates(u)
		if p != p2 || r != r2 || !slices.Equal(a.Follows(u), b.Follows(u)) || !slices.Equal(a.Followers(u), b.Followers(u)) {
			return false
		}
	}
	return true
}

// A network follows from its options, not from the number of cores.
func TestDeterministic(t *testing.T) {
	o := load.Options{Users: 2_000, Follows: 20, Seed: 9}
	n := network(t, o)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	if !same(n, network(t, o)) {
		t.Error("another number of cores made another network")
	}
	o.Seed++
	if same(n, network(t, o)) {
		t.Error("another seed made the same network")
	}
}

// Rates add up to what the mix says; popular users post more, modestly.
func TestRates(t *testing.T) {
	for _, mix := range load.Mixes() {
		t.Run(mix.Name, func(t *testing.T) {
			n := network(t, load.Options{Users: 10_000, Follows: 5, Seed: 5, Mix: mix})
			var posts, reads, received float64
			dormant := 0
			rates := make([]float64, n.Users())
			var x, y, xx, yy, xy float64 // of the logarithms of followers and posts
			for u := range n.Users() {
				p, r := n.Rates(u)
				posts, reads, rates[u] = posts+p, reads+r, p
				received += p * float64(len(n.Followers(u)))
				if r == 0 {
					dormant++
				}
				f, w := math.Log(float64(len(n.Followers(u)))+1), math.Log(p)
				x, y, xx, yy, xy = x+f, y+w, xx+f*f, yy+w*w, xy+f*w
			}
			users := float64(n.Users())
			within(t, "posts a day", posts/users*24, 0.999*mix.PostsPerDay, 1.001*mix.PostsPerDay)
			within(t, "share of dormant readers", float64(dormant)/users, mix.Dormant, mix.Dormant)
			within(t, "reads a day", reads/(users-float64(dormant))*24, 0.999*mix.ReadsPerDay, 1.001*mix.ReadsPerDay)
			correlation := (users*xy - x*y) / math.Sqrt((users*xx-x*x)*(users*yy-y*y))
			within(t, "correlation of posts and followers", correlation, 0.2, 0.32)
			within(t, "followers of a post by those of a user", received/posts/(float64(n.Edges())/users), 1.3, 2.2)
			slices.Sort(rates)
			sum := 0.0
			for _, p := range rates[len(rates)*99/100:] {
				sum += p
			}
			within(t, "share of the busiest percent in posts", sum/posts, 0.17, 0.27)
		})
	}
}

func TestRefused(t *testing.T) {
	mix := func(change func(*load.Mix)) load.Options {
		m := load.Balanced()
		change(&m)
		return load.Options{Users: 100, Follows: 5, Mix: m}
	}
	for name, o := range map[string]load.Options{
		"few users":       {Users: 3, Follows: 1},
		"many users":      {Users: 1<<30 + 1, Follows: 1},
		"negative users":  {Users: -1},
		"many follows":    {Users: 100, Follows: 26},
		"no whole follow": {Users: 100, Follows: 0.5},
		"follows NaN":     {Users: 100, Follows: math.NaN()},
		"many edges":      {Users: 1 << 24, Follows: 200},
		"no posts":        mix(func(m *load.Mix) { m.PostsPerDay = 0 }),
		"reads infinite":  mix(func(m *load.Mix) { m.ReadsPerDay = math.Inf(1) }),
		"all dormant":     mix(func(m *load.Mix) { m.Dormant = 1 }),
		"dormant NaN":     mix(func(m *load.Mix) { m.Dormant = math.NaN() }),
		"negative hour":   mix(func(m *load.Mix) { m.Hours[3] = -1 }),
		"endless hour":    mix(func(m *load.Mix) { m.Hours[3] = math.Inf(1) }),
	} {
		if _, err := load.New(o); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, o := range []load.Options{{Users: 20_000, Follows: 40}, {Users: 100_000, Follows: 190}} {
		b.Run(fmt.Sprintf("%d x %v", o.Users, o.Follows), func(b *testing.B) {
			var n *load.Network
			for b.Loop() {
				n = network(b, o)
			}
			followers, follows := counts(n, n.Followers), counts(n, n.Follows)
			b.ReportMetric(float64(n.Edges()), "edges")
			b.ReportMetric(gini(followers), "gini")
			b.ReportMetric(best(followers), "best-percent")
			b.ReportMetric(float64(followers[len(followers)*99/100]), "followers-p99")
			b.ReportMetric(float64(followers[len(followers)/2]), "followers-p50")
			b.ReportMetric(float64(followers[len(followers)-1]), "followers-most")
			b.ReportMetric(float64(follows[len(follows)*99/100]), "follows-p99")
			b.ReportMetric(float64(follows[len(follows)/2]), "follows-p50")
			b.ReportMetric(float64(follows[len(follows)-1]), "follows-most")
		})
	}
}
