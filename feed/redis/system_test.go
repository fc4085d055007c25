package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// system is a network on two nodes that share timelines in Redis: the model is their store. Each request arrives at either node,
// and fan-outs are late, repeated, and run on the other node, too.
type system struct {
	*feedtest.Model
	t       feedtest.T
	options redis.Options
	clients [2]rueidis.ClientOption // of the nodes, where they differ
	limit   int                     // of pages that tests of faults read
	faulty  bool                    // Redis fails: fan-outs may, too
	strict  bool                    // one user at a time: every page equals the model's to the last id
	nodes   [2]*node
	stats   feed.Stats // of nodes that have ended

	mu     sync.Mutex
	random *rand.Rand
	jobs   []freshet.PostRef
}

type node struct {
	*redis.Engine
	stop context.CancelFunc
	done chan struct{}
}

func clientOf(addrs ...string) rueidis.ClientOption {
	return rueidis.ClientOption{InitAddress: addrs, DisableCache: true, DisableRetry: true, AlwaysPipelining: true, ForceSingleClient: len(addrs) == 1}
}

var systems atomic.Int64

func newSystem(t feedtest.T, o redis.Options, strict bool) *system {
	return begin(t, &system{strict: strict}, o)
}

func begin(t feedtest.T, s *system, o redis.Options) *system {
	s.limit = 10
	s.Model, s.t, s.options, s.random = new(feedtest.Model), t, o, rand.New(rand.NewPCG(1, 2))
	if s.options.Graph = s.Model; s.options.Source == nil {
		s.options.Source = s.Model
	}
	s.options.Prefix = fmt.Sprintf("s%d:", systems.Add(1))
	s.start()
	time.Sleep(30 * time.Millisecond) // for stripes to be taken; sooner than that everything is pulled
	t.Cleanup(func() { s.end(true) })
	return s
}

func (s *system) start() {
	for i := range s.nodes {
		o := s.options
		if s.clients[i].InitAddress != nil {
			o.Client = s.clients[i]
		}
		e, err := redis.Open(o)
		if err != nil {
			s.t.Fatalf("open: %v", err)
		}
		ctx, stop := context.WithCancel(context.Background())
		n := &node{Engine: e, stop: stop, done: make(chan struct{})}
		go func() {
			defer close(n.done)
			if err := e.Run(ctx); err != nil {
				s.t.Logf("run: %v", err)
			}
		}()
		s.nodes[i] = n
	}
}

// end ends the nodes: in peace, or so that nothing can be said any more.
func (s *system) end(peace bool) {
	for i, n := range s.nodes {
		if s.nodes[i] = nil; n == nil {
			continue
		}
		if !peace {
			n.Close()
		}
		n.stop()
		<-n.done
		n.Close()
		st := n.Stats()
		s.stats.FromMemory, s.stats.Pulled = s.stats.FromMemory+st.FromMemory, s.stats.Pulled+st.Pulled
		s.stats.Delivered, s.stats.Voided = s.stats.Delivered+st.Delivered, s.stats.Voided+st.Voided
	}
}

func (s *system) any() *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[s.random.IntN(len(s.nodes))]
}

func (s *system) chance(in int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(in) == 0
}

// work runs some of the waiting fan-outs, on either node, and now and then lets the owners come after.
func (s *system) work() error {
	if s.chance(4) {
		time.Sleep(7 * time.Millisecond)
	}
	for s.chance(2) {
		s.mu.Lock()
		if len(s.jobs) == 0 {
			s.mu.Unlock()
			return nil
		}
		i := s.random.IntN(len(s.jobs))
		post := s.jobs[i]
		if s.random.IntN(4) > 0 {
			s.jobs = slices.Delete(s.jobs, i, i+1)
		}
		s.mu.Unlock()
		if err := s.any().FanOut(context.Background(), post, nil); err != nil && !s.faulty {
			return err
		}
	}
	return nil
}

func (s *system) Post(author int, text string) (freshet.ID, error) {
	post := freshet.PostRef{Author: freshet.ID(author)}
	post.ID = s.Model.Post(post.Author, text)
	s.mu.Lock()
	s.jobs = append(s.jobs, post)
	s.mu.Unlock()
	err := s.work()
	s.any().Publish(post)
	return post.ID, err
}

func (s *system) Edit(_ int, post freshet.ID, text string) error {
	s.Model.Edit(post, text)
	return s.work()
}

func (s *system) Delete(_ int, post freshet.ID) error {
	s.Model.Delete(post)
	s.any().Remove(post)
	return s.work()
}

func (s *system) Follow(actor, target int) error {
	if !s.Model.Follow(freshet.ID(actor), freshet.ID(target)) {
		return freshet.NotFound("user")
	}
	s.any().Void(freshet.ID(actor))
	return s.work()
}

func (s *system) Unfollow(actor, target int) error {
	s.Model.Unfollow(freshet.ID(actor), freshet.ID(target))
	s.any().Void(freshet.ID(actor))
	return s.work()
}

func (s *system) Block(actor, target int) error {
	s.Model.Block(freshet.ID(actor), freshet.ID(target))
	s.any().Void(freshet.ID(actor), freshet.ID(target))
	return s.work()
}

func (s *system) Unblock(actor, target int) error {
	s.Model.Unblock(freshet.ID(actor), freshet.ID(target))
	return s.work()
}

func (s *system) Mute(actor, target int) error {
	s.Model.Mute(freshet.ID(actor), freshet.ID(target))
	return s.work()
}

func (s *system) Unmute(actor, target int) error {
	s.Model.Unmute(freshet.ID(actor), freshet.ID(target))
	return s.work()
}

func (s *system) Page(reader int, before freshet.ID, limit int) (feedtest.Page, error) {
	q := feed.Query{Reader: freshet.ID(reader), Before: before, Limit: limit}
	got, err := s.any().Page(context.Background(), q)
	if err != nil {
		return feedtest.Page{}, err
	}
	if s.strict {
		want, err := s.Model.Page(context.Background(), q)
		if err != nil || !slices.Equal(got.Refs, want.Refs) || got.Scanned != want.Scanned {
			return feedtest.Page{}, fmt.Errorf("page of %+v: got %v, want %v (%v)", q, got, want, err)
		}
	}
	page := feedtest.Page{Next: got.Scanned}
	for _, ref := range got.Refs {
		p := s.Get(ref.ID)
		page.Posts = append(page.Posts, feedtest.PageItem{ID: p.ID, Author: int(ref.Author), Text: p.Text, Edited: p.Edited})
	}
	return page, s.work()
}

func (s *system) Restart() error {
	s.end(s.chance(2))
	s.start()
	return s.work()
}

// adaptive has costs by which readers of all three kinds come up, and a clock by which a plan is looked at again after a few reads.
func adaptive(o redis.Options) redis.Options {
	var ticks atomic.Int64
	o.Mode, o.Costs = feed.Adaptive, feed.Costs{Push: 30, Read: 20, Pull: 20, PullAuthor: 20}
	o.Now = func() time.Time { return time.Unix(1_800_000_000+200*ticks.Add(1), 0) }
	return o
}

func open(client rueidis.ClientOption, strict bool, seen *[]*system) feedtest.Open {
	return func(t feedtest.T, _ int) map[string]feedtest.System {
		systems := make(map[string]feedtest.System)
		for name, o := range map[string]redis.Options{
			"push":          {Disorder: 8},
			"push tiny":     {Length: 5, Readers: 32, InFlight: 100, Disorder: 2},
			"pull":          {Mode: feed.Pull},
			"hybrid":        {Mode: feed.Hybrid, Threshold: 2, Disorder: 8},
			"hybrid tiny":   {Mode: feed.Hybrid, Threshold: 2, Length: 5, Ring: 2, Readers: 32, InFlight: 100, Disorder: 2},
			"adaptive":      adaptive(redis.Options{Disorder: 8}),
			"adaptive tiny": adaptive(redis.Options{Length: 5, Ring: 2, Readers: 32, InFlight: 100, Disorder: 2}),
		} {
			o.Client, o.Lease = client, 100*time.Millisecond
			o.Lost = func(err error) {
				if !errors.Is(err, context.Canceled) && !errors.Is(err, rueidis.ErrClosing) {
					t.Logf("%s: %v", name, err)
				}
			}
			s := newSystem(t, o, strict)
			systems[name] = s
			*seen = append(*seen, s)
		}
		return systems
	}
}

// TestStreams holds every mode, in comfort and at every bound, to the model.
func TestStreams(t *testing.T) {
	client := clientOf(testenv.StartRedis(t).Addr)
	var seen []*system
	feedtest.Run(t, open(client, true, &seen), feedtest.Options{Checks: testenv.Size(2, 3, 400), Ops: 250})
	used(t, seen)
}

// TestConcurrentUsers holds the same to what overlapping reads may see.
func TestConcurrentUsers(t *testing.T) {
	client := clientOf(testenv.StartRedis(t).Addr)
	var seen []*system
	feedtest.RunConcurrent(t, open(client, false, &seen), feedtest.Options{Ops: testenv.Size(600, 2_000, 60_000), Seed: 1})
	used(t, seen)
}

// used fails where no timeline was ever read: then pulls alone were tested.
func used(t *testing.T, all []*system) {
	t.Helper()
	var sum feed.Stats
	for _, s := range all {
		s.end(true)
		sum.FromMemory, sum.Pulled = sum.FromMemory+s.stats.FromMemory, sum.Pulled+s.stats.Pulled
		sum.Delivered, sum.Voided = sum.Delivered+s.stats.Delivered, sum.Voided+s.stats.Voided
	}
	t.Logf("%d pages from timelines, %d pulls, %d deliveries, %d ends of stripes", sum.FromMemory, sum.Pulled, sum.Delivered, sum.Voided)
	if sum.FromMemory == 0 || sum.Delivered == 0 {
		t.Error("timelines were not used")
	}
}
