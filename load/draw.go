package load

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// Each thing that is drawn has a stream of random numbers of its own, so that
// more of one does not change the others.
const (
	streamPopularity = 1 + iota
	streamDegrees
	streamPosts
	streamReads
	streamEvents
	streamEdges // and, above it, a stream for each user

	streamArrivals = 1 << 63
)

const (
	followsSigma = 1.0
	postsSigma   = 1.5
	readsSigma   = 1.0
	popularPosts = 0.3 // correlation of posting with popularity, of logarithms
)

func random(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// popularity has the users in the order of their popularity, which their numbers
// say nothing about.
func popularity(o Options) []uint32 {
	ranked := make([]uint32, o.Users)
	for i := range ranked {
		ranked[i] = uint32(i)
	}
	random(o.Seed, streamPopularity).Shuffle(len(ranked), func(i, j int) {
		ranked[i], ranked[j] = ranked[j], ranked[i]
	})
	return ranked
}

// drawFollows draws whom each user follows. Users are drawn apart, so that they
// can be drawn side by side.
func drawFollows(o Options, ranked []uint32) adjacency {
	a := adjacency{from: drawDegrees(o)}
	a.to = make([]uint32, a.from[o.Users])

	workers := min(runtime.GOMAXPROCS(0), o.Users)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var source rand.PCG
			d := drawer{rng: rand.New(&source), ranked: ranked, seen: make([]uint32, o.Users)}
			for u := w; u < o.Users; u += workers {
				source.Seed(o.Seed, streamEdges+uint64(u))
				d.draw(uint32(u), a.list(u))
			}
		})
	}
	wg.Wait()
	return a
}

// drawDegrees draws how many each user follows, as offsets.
func drawDegrees(o Options) []uint32 {
	rng := random(o.Seed, streamDegrees)
	most := float64(min(MaxFollows, o.Users/2))
	shape := make([]float64, o.Users)
	for u := range shape {
		shape[u] = math.Exp(followsSigma * rng.NormFloat64())
	}
	degree := func(shape, scale float64) float64 { return math.Round(min(max(shape*scale, 1), most)) }

	// Bounds and rounding move the mean; a few steps bring it back.
	scale := o.Follows * math.Exp(-followsSigma*followsSigma/2)
	for range 8 {
		sum := 0.0
		for _, s := range shape {
			sum += degree(s, scale)
		}
		scale *= o.Follows * float64(o.Users) / sum
	}
	from := make([]uint32, o.Users+1)
	for u, s := range shape {
		from[u+1] = from[u] + uint32(degree(s, scale))
	}
	return from
}

// drawer draws whom users follow, one user after the other.
type drawer struct {
	rng    *rand.Rand
	ranked []uint32
	seen   []uint32 // seen[v] == u+1: u is done with v
}

// draw fills to with different users other than u. A rank r has the chance
// r^-0.8, whose integral is r^0.2: so the fifth power of an even number it is.
// Whoever follows so many that the popular ones run out follows others evenly.
func (d *drawer) draw(u uint32, to []uint32) {
	d.seen[u] = u + 1
	users := float64(len(d.ranked))
	span := math.Pow(users+1, 0.2) - 1
	for i, tries := 0, 8*len(to); i < len(to); tries-- {
		rank := 0
		if tries > 0 {
			x := 1 + span*d.rng.Float64()
			rank = min(int(x*x*x*x*x)-1, len(d.ranked)-1)
		} else {
			rank = d.rng.IntN(len(d.ranked))
		}
		v := d.ranked[rank]
		if d.seen[v] == u+1 {
			continue
		}
		d.seen[v] = u + 1
		to[i] = v
		i++
	}
	slices.Sort(to)
}

// drawRates draws how many posts and reads per hour come from each user.
func drawRates(o Options, ranked []uint32) (posts, reads []float32) {
	p, r := make([]float64, o.Users), make([]float64, o.Users)
	rng := random(o.Seed, streamPosts)
	for rank, u := range ranked {
		popular := quantile(1 - (float64(rank)+0.5)/float64(o.Users))
		z := popularPosts*popular + math.Sqrt(1-popularPosts*popularPosts)*rng.NormFloat64()
		p[u] = math.Exp(postsSigma * z)
	}
	rng = random(o.Seed, streamReads)
	active := o.Users - int(math.Round(o.Mix.Dormant*float64(o.Users)))
	for i, u := range rng.Perm(o.Users) {
		if i < max(active, 1) {
			r[u] = math.Exp(readsSigma * rng.NormFloat64())
		}
	}
	return scaled(p, o.Mix.PostsPerDay/24*float64(o.Users)), scaled(r, o.Mix.ReadsPerDay/24*float64(max(active, 1)))
}

// scaled makes values add up to sum.
func scaled(values []float64, sum float64) []float32 {
	is := 0.0
	for _, v := range values {
		is += v
	}
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v / is * sum)
	}
	return out
}
