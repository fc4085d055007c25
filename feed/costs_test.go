package feed_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet/freshet/feed"
)

// A reader with one active and six quiet authors, and timelines in Redis: what
// the active one writes is cheaper merged at read time.
func ExampleCosts_Choose() {
	costs := feed.RedisCosts()
	posts := []float64{400, 0.1, 0.2, 0.1, 0.3, 0.1, 0.2} // per hour
	pull := make([]bool, len(posts))
	for _, reads := range []float64{0, 1, 40, 400} {
		choice := costs.Choose(reads, posts, pull)
		fmt.Printf("%v pages an hour: %v, %.0f µs\n", reads, choice, costs.PerHour(choice, reads, posts, pull)/1e3)
	}
	// Output:
	// 0 pages an hour: pull all, 0 µs
	// 1 pages an hour: per author, 26 µs
	// 40 pages an hour: per author, 919 µs
	// 400 pages an hour: push all, 5003 µs
}

// cheapest tries all 2^n ways and returns what the best costs.
func cheapest(c feed.Costs, reads float64, posts []float64) float64 {
	best := math.Inf(1)
	pull := make([]bool, len(posts))
	for set := range 1 << len(posts) {
		n := 0
		for i := range pull {
			if pull[i] = set>>i&1 == 1; pull[i] {
				n++
			}
		}
		if c.MaxPull > 0 && n > c.MaxPull {
			continue
		}
		best = min(best, c.PerHour(feed.PerAuthor, reads, posts, pull))
	}
	return best
}

var costsToTry = []feed.Costs{
	feed.MemoryCosts(), feed.RedisCosts(),
	{Push: 1, Read: 1, Pull: 1, PullAuthor: 1}, // ties
	{Push: 100, Read: 5, Pull: 10, PullAuthor: 100},
	{Push: 100, Pull: 1, PullAuthor: 50}, // mixes pay early
}

// The choice is the cheapest of all ways, not only of the three it looks at; and
// pull says what the choice says.
func TestChooseIsCheapest(t *testing.T) {
	seen := make(map[feed.Choice]int)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(costsToTry).Draw(t, "costs")
		c.MaxPull = rapid.IntRange(0, 6).Draw(t, "MaxPull")
		rates := rapid.OneOf(rapid.Float64Range(0, 1e4), rapid.SampledFrom([]float64{0, 1e-9, 0.5, 1, 2, 4, 1e12}))
		reads := max(rates.Draw(t, "reads"), 1e-9)
		posts := rapid.SliceOfN(rates, 0, 9).Draw(t, "posts")
		pull := make([]bool, len(posts))

		choice := c.Choose(reads, posts, pull)
		seen[choice]++
		got, want := c.PerHour(choice, reads, posts, pull), cheapest(c, reads, posts)
		if got > want*(1+1e-12) {
			t.Fatalf("%v %v costs %v, the best way %v", choice, pull, got, want)
		}
		if mixed := c.PerHour(feed.PerAuthor, reads, posts, pull); mixed != got {
			t.Fatalf("%v costs %v, its pull %v costs %v", choice, got, pull, mixed)
		}
		n := 0
		for _, p := range pull {
			if p {
				n++
			}
		}
		if c.MaxPull > 0 && n > c.MaxPull {
			t.Fatalf("%d authors are pulled, at most %d may be", n, c.MaxPull)
		}
	})
	for _, c := range []feed.Choice{feed.PushAll, feed.PullAll, feed.PerAuthor} {
		if seen[c] == 0 {
			t.Errorf("%v was never chosen: the test is worth nothing for it", c)
		}
	}
}

// With more authors than can be tried out, the choice is not dearer than the two
// plain ways and than all mixes by a threshold on the rate.
func TestChooseManyAuthors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	posts, pull, mix := make([]float64, 200), make([]bool, 200), make([]bool, 200)
	for _, c := range costsToTry {
		for _, reads := range []float64{0.001, 0.1, 1, 10, 1000} {
			for i := range posts {
				posts[i] = math.Exp(3 * rng.NormFloat64())
			}
			for _, c.MaxPull = range []int{0, 1, 20, 200} {
				choice := c.Choose(reads, posts, pull)
				got := c.PerHour(choice, reads, posts, pull)
				best := c.PerHour(feed.PushAll, reads, posts, nil)
				sorted := slices.Sorted(slices.Values(posts))
				most := len(posts)
				if c.MaxPull > 0 {
					most = c.MaxPull
				}
				for k := 1; k <= most; k++ { // pull the k busiest
					for i, p := range posts {
						mix[i] = p >= sorted[len(sorted)-k]
					}
					best = min(best, c.PerHour(feed.PerAuthor, reads, posts, mix))
				}
				if got > best*(1+1e-12) {
					t.Errorf("%+v, %v pages an hour: %v costs %v, the best threshold %v", c, reads, choice, got, best)
				}
			}
		}
	}
}

func TestChooseEdges(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	mixer := feed.Costs{Push: 100, Pull: 1, PullAuthor: 50}
	few := mixer
	few.MaxPull = 2
	seldom := few
	seldom.Dormant = 0.01
	for _, tt := range []struct {
		name  string
		costs feed.Costs
		reads float64
		posts []float64
		want  feed.Choice
		pull  []bool
	}{
		{"dormant", mixer, 0, []float64{1, 2}, feed.PullAll, []bool{true, true}},
		{"dormant beyond MaxPull", few, 0, []float64{1, 2, 3}, feed.PullAll, []bool{true, true, true}},
		{"left long ago", seldom, 0.01, []float64{1, 2, 3}, feed.PullAll, []bool{true, true, true}},
		{"comes now and then", seldom, 0.011, []float64{1, 2, 3}, feed.PerAuthor, []bool{false, true, true}},
		{"reads not a number", mixer, nan, []float64{1}, feed.PullAll, []bool{true}},
		{"reads negative", mixer, -1, []float64{1}, feed.PullAll, []bool{true}},
		{"reads infinite", mixer, inf, []float64{1}, feed.PushAll, []bool{false}},
		{"nobody followed", mixer, 1, nil, feed.PushAll, nil},
		{"nobody posts", mixer, 1, []float64{0, 0}, feed.PushAll, []bool{false, false}},
		{"posts are none", mixer, 1, []float64{nan, -1}, feed.PushAll, []bool{false, false}},
		{"some posts are none", mixer, 1, []float64{nan, 9, -50}, feed.PerAuthor, []bool{false, true, false}},
		{"posts infinite", mixer, 1, []float64{inf, 0}, feed.PerAuthor, []bool{true, false}},
		{"mixed", mixer, 1, []float64{0.1, 9, 0.4}, feed.PerAuthor, []bool{false, true, false}},
		{"ties by place", few, 1, []float64{9, 9, 0.1, 9}, feed.PerAuthor, []bool{true, true, false, false}},
		{"the highest", few, 1, []float64{7, 9, 8, 0.1}, feed.PerAuthor, []bool{false, true, true, false}},
		{"all, if so many may", few, 1, []float64{9, 9}, feed.PullAll, []bool{true, true}},
		{"equal: push", feed.Costs{Push: 1, Read: 5, Pull: 5, PullAuthor: 1}, 1, []float64{1}, feed.PushAll, []bool{false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pull := slices.Repeat([]bool{true, false, false}, 2)[:len(tt.posts)] // what was in it does not matter
			if got := tt.costs.Choose(tt.reads, tt.posts, pull); got != tt.want || !slices.Equal(pull, tt.pull) {
				t.Errorf("chose %v %v, want %v %v", got, pull, tt.want, tt.pull)
			}
		})
	}
}

func TestPerHour(t *testing.T) {
	c := feed.Costs{Push: 1000, Read: 100, Pull: 10, PullAuthor: 1}
	posts := []float64{1, 2, 4}
	for _, tt := range []struct {
		choice feed.Choice
		pull   []bool
		want   float64
	}{
		{feed.PushAll, nil, 7000 + 2*100},
		{feed.PullAll, nil, 2 * (10 + 3)},
		{feed.PerAuthor, []bool{false, true, true}, 1000 + 2*(100+10+2)},
		{feed.PerAuthor, []bool{true, true, true}, 2 * (10 + 3)},
		{feed.PerAuthor, []bool{false, false, false}, 7000 + 2*100},
		{feed.Choice(9), nil, math.Inf(1)},
	} {
		if got := c.PerHour(tt.choice, 2, posts, tt.pull); got != tt.want {
			t.Errorf("%v %v costs %v, want %v", tt.choice, tt.pull, got, tt.want)
		}
	}
}

func TestCostsCheck(t *testing.T) {
	for _, c := range costsToTry {
		if err := c.Check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []feed.Costs{
		{},
		{Push: -1},
		{Push: math.NaN()},
		{Push: math.Inf(1)},
		{Push: 1, Read: -1},
		{Push: 1, Pull: math.NaN()},
		{Push: 1, PullAuthor: math.Inf(1)},
		{Push: 1, MaxPull: -1},
		{Push: 1, Dormant: -1},
		{Push: 1, Dormant: math.NaN()},
	} {
		if c.Check() == nil {
			t.Errorf("%+v passes", c)
		}
	}
}

func TestChooseAllocatesNothing(t *testing.T) {
	posts, pull := make([]float64, 500), make([]bool, 500)
	for i := range posts {
		posts[i] = float64(i)
	}
	c := feed.RedisCosts()
	c.MaxPull = 10
	if n := testing.AllocsPerRun(100, func() {
		c.PerHour(c.Choose(5, posts, pull), 5, posts, pull)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChoose(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	posts, pull := make([]float64, 200), make([]bool, 200)
	for i := range posts {
		posts[i] = math.Exp(2 * rng.NormFloat64())
	}
	for _, most := range []int{0, 10} {
		b.Run(fmt.Sprintf("200 authors, MaxPull %d", most), func(b *testing.B) {
			c := feed.Costs{Push: 100, Read: 1, Pull: 1, PullAuthor: 50, MaxPull: most}
			for b.Loop() {
				c.Choose(1, posts, pull)
			}
		})
	}
}
