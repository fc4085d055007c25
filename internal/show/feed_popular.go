package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed/memory"
)

const (
	popularAim = "in every sampled follower's next read; other posts' delivery p99 at most 1.5 x what it is without (median of 5)"

	popularLength  = 100 // entries do not matter here, readers do
	popularSamples = 1_000
	ordinary       = 200 // followers of the other posts' authors
	ordinaryPosts  = 1_000
	ordinaryEvery  = time.Millisecond
	popularRounds  = 5
	mostSlower     = 1.5
)

// popularFound are the rounds of point 5.
type popularFound struct {
	Sampled, Missed int
	FanOut          []time.Duration // of the popular posts
	Alone, Beside   []time.Duration // p99 of the others' deliveries, by round
}

// measurePopular is point 5.
func measurePopular(ctx context.Context, l *lab) (outcome, error) {
	l.machine()
	var found popularFound
	if err := l.experiment(ctx, 2, &found, "popular"); err != nil {
		return outcome{}, err
	}
	ratios := make([]float64, len(found.Alone))
	for i := range ratios {
		ratios[i] = float64(found.Beside[i]) / float64(found.Alone[i])
	}
	l.detail("others' delivery p99, from publishing to delivered to %d followers: %v alone, %v beside popular posts", ordinary, found.Alone, found.Beside)
	l.detail("a fan-out to %d readers takes %v (median of %d)", crowdReaders, middle(found.FanOut).Round(time.Millisecond), len(found.FanOut))
	ratio := middle(ratios)
	return outcome{
		fmt.Sprintf("%d of %d reads showed it at once; others' delivery p99 x %.2f (rounds %.2f)", found.Sampled-found.Missed, found.Sampled, ratio, ratios),
		found.Missed == 0 && ratio <= mostSlower,
	}, nil
}

func popularExperiment(ctx context.Context, _ []string, _ io.Writer) (any, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCrowd(crowdPosts, crowdFollows, popularLength)
	others := make([]freshet.ID, 64)
	for i := range others {
		others[i] = largeAuthor(i)
		c.gives(others[i], randomReaders(rng, crowdReaders, ordinary))
	}
	popular := c.relations.Following[0] // whom all follow
	e, err := c.engine(ctx, crowdReaders)
	if err != nil {
		return nil, err
	}
	var found popularFound
	p := popularity{crowd: c, engine: e, others: others}
	for range popularRounds {
		alone, err := p.ordinary(ctx)
		if err != nil {
			return nil, err
		}
		beside, err := p.beside(ctx, popular, &found)
		if err != nil {
			return nil, err
		}
		found.Alone, found.Beside = append(found.Alone, alone), append(found.Beside, beside)
	}
	for range popularSamples {
		if err := p.visible(ctx, popular, rng.IntN(crowdReaders), &found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

type popularity struct {
	*crowd
	engine *memory.Engine
	others []freshet.ID
	mu     sync.Mutex // of the crowd's ids
}

func (p *popularity) write(author freshet.ID) freshet.PostRef {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.post(author)
}

// ordinary posts of the others come at a fixed rate; it gives the p99 of the time until one is delivered, counted from
// when it was due.
func (p *popularity) ordinary(ctx context.Context) (time.Duration, error) {
	took := make([]time.Duration, ordinaryPosts)
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * ordinaryEvery)
		time.Sleep(time.Until(due))
		if now := time.Now(); now.Sub(due) < 2*ordinaryEvery {
			due = now // the timer was coarse, nobody was late
		}
		if err := deliver(ctx, p.engine, p.write(p.others[i%len(p.others)])); err != nil {
			return 0, err
		}
		took[i] = time.Since(due)
	}
	return quantile(took, 0.99), nil
}

// beside has popular posts delivered all the while, as another worker would.
func (p *popularity) beside(ctx context.Context, popular freshet.ID, found *popularFound) (p99 time.Duration, err error) {
	var (
		worker sync.WaitGroup
		ended  atomic.Bool
		failed error
	)
	worker.Go(func() {
		for failed == nil && !ended.Load() {
			began := time.Now()
			failed = deliver(ctx, p.engine, p.write(popular))
			found.FanOut = append(found.FanOut, time.Since(began))
		}
	})
	p99, err = p.ordinary(ctx)
	ended.Store(true)
	worker.Wait()
	if err == nil {
		err = failed
	}
	return p99, err
}

// visible publishes a popular post and has a follower read while it is delivered.
func (p *popularity) visible(ctx context.Context, popular freshet.ID, reader int, found *popularFound) error {
	post := p.write(popular)
	p.engine.Publish(post)
	var page pageOf
	refs, err := page.first(ctx, p.engine, crowdReader(reader))
	found.Sampled++
	if !slices.Contains(refs, post) {
		found.Missed++
	}
	if found.Sampled%popularDelivered == 0 && err == nil {
		err = p.engine.FanOut(ctx, post, uninterrupted{})
	}
	return err
}

// popularDelivered is after how many posts one is also delivered: what was published and is still in flight shows too.
const popularDelivered = 20
