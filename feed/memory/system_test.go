package memory_test

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

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/memory"
)

// system is a network on an engine: the model is its store, and its fan-outs
// are late, interrupted, repeated and run before their post is published.
type system struct {
	*feedtest.Model
	options memory.Options
	engine  *memory.Engine
	strict  bool // one user at a time: every page equals the model's to the last id

	mu     sync.Mutex
	random *rand.Rand
	jobs   []*job
	runs   uint64 // of fan-outs
}

// job is one fan-out that has not been completed for good.
type job struct {
	*system
	post  freshet.PostRef
	saved []byte
}

var errInterrupted = errors.New("interrupted")

func newSystem(o memory.Options, strict bool) *system {
	s := &system{Model: new(feedtest.Model), options: o, strict: strict, random: rand.New(rand.NewPCG(1, 2))}
	s.options.Source, s.options.Graph = s.Model, s.Model
	s.engine = memory.New(s.options)
	return s
}

func (s *system) chance(in int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(in) == 0
}

func (j *job) Checkpoint() []byte { return j.saved }

// Save fails now and then, before or after it has kept the checkpoint.
func (j *job) Save(_ context.Context, checkpoint []byte) error {
	if j.chance(4) {
		return errInterrupted
	}
	j.saved = checkpoint
	if j.chance(4) {
		return errInterrupted
	}
	return nil
}

// work runs some of the waiting fan-outs.
func (s *system) work() error {
	for s.chance(2) {
		s.mu.Lock()
		if len(s.jobs) == 0 {
			s.mu.Unlock()
			return nil
		}
		i := s.random.IntN(len(s.jobs))
		j := s.jobs[i]
		s.jobs = slices.Delete(s.jobs, i, i+1)
		s.runs++
		s.mu.Unlock()
		err := s.engine.FanOut(context.Background(), j.post, j)
		if err != nil && !errors.Is(err, errInterrupted) {
			return err
		}
		if err != nil || s.chance(4) {
			s.enqueue(j)
		}
	}
	return nil
}

func (s *system) enqueue(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, j)
}

func (s *system) Post(author int, text string) (freshet.ID, error) {
	post := freshet.PostRef{Author: freshet.ID(author)}
	post.ID = s.Model.Post(post.Author, text)
	s.enqueue(&job{system: s, post: post})
	err := s.step()
	s.engine.Publish(post)
	return post.ID, err
}

// step works between two operations of one user at a time. Chance then depends
// on what there is and not on how it came to be, so that most of a stream can
// be left out and the rest still fails.
func (s *system) step() error {
	if !s.strict {
		return nil // workers of their own
	}
	s.random = rand.New(rand.NewPCG(uint64(s.Len()), s.runs))
	return s.work()
}

func (s *system) Edit(_ int, post freshet.ID, text string) error {
	s.Model.Edit(post, text)
	return s.step()
}

func (s *system) Delete(_ int, post freshet.ID) error {
	s.Model.Delete(post)
	s.engine.Remove(post)
	return s.step()
}

func (s *system) Follow(actor, target int) error {
	if !s.Model.Follow(freshet.ID(actor), freshet.ID(target)) {
		return freshet.NotFound("user")
	}
	s.engine.Void(freshet.ID(actor))
	return s.step()
}

func (s *system) Unfollow(actor, target int) error {
	s.Model.Unfollow(freshet.ID(actor), freshet.ID(target))
	s.engine.Void(freshet.ID(actor))
	return s.step()
}

func (s *system) Block(actor, target int) error {
	s.Model.Block(freshet.ID(actor), freshet.ID(target))
	s.engine.Void(freshet.ID(actor), freshet.ID(target))
	return s.step()
}

func (s *system) Unblock(actor, target int) error {
	s.Model.Unblock(freshet.ID(actor), freshet.ID(target))
	return s.step()
}

func (s *system) Mute(actor, target int) error {
	s.Model.Mute(freshet.ID(actor), freshet.ID(target))
	return s.step()
}

func (s *system) Unmute(actor, target int) error {
	s.Model.Unmute(freshet.ID(actor), freshet.ID(target))
	return s.step()
}

func (s *system) Page(reader int, before freshet.ID, limit int) (feedtest.Page, error) {
	q := feed.Query{Reader: freshet.ID(reader), Before: before, Limit: limit}
	got, err := s.engine.Page(context.Background(), q)
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
	return page, s.step()
}

func (s *system) Restart() error {
	s.engine = memory.New(s.options)
	return s.step()
}

// tiny makes every bound a matter of a few posts.
var tiny = memory.Options{Length: 5, Readers: 4, InFlight: 4, Chunk: 2, Tombstones: 3, Posts: 12}

// adaptive has costs by which readers of all three kinds come up, and a clock by
// which a plan is looked at again after a few reads.
func adaptive(o memory.Options) memory.Options {
	var ticks atomic.Int64
	o.Mode, o.Costs = feed.Adaptive, feed.Costs{Push: 30, Read: 20, Pull: 20, PullAuthor: 20}
	o.Now = func() time.Time { return time.Unix(1_800_000_000+200*ticks.Add(1), 0) }
	return o
}

func open(strict bool) feedtest.Open {
	return func(t feedtest.T, _ int) map[string]feedtest.System {
		systems := make(map[string]feedtest.System)
		for name, o := range map[string]memory.Options{
			"push":          {Chunk: 2},
			"push tiny":     tiny,
			"push long":     {Length: 20, Readers: 4, InFlight: 50, Chunk: 1, Posts: 40},
			"pull":          {Mode: feed.Pull},
			"pull tiny":     {Mode: feed.Pull, Rings: 3, Ring: 2, Tombstones: 3, Posts: 5},
			"pull source":   {Mode: feed.Pull, Rings: -1},
			"hybrid":        {Mode: feed.Hybrid, Threshold: 2},
			"adaptive":      adaptive(memory.Options{}),
			"adaptive tiny": adaptive(memory.Options{Length: 5, Readers: 4, InFlight: 4, Chunk: 2, Tombstones: 3, Rings: 3, Ring: 2, Posts: 14}),
			"hybrid tiny":   {Mode: feed.Hybrid, Threshold: 2, Length: 5, Readers: 4, InFlight: 4, Chunk: 2, Tombstones: 3, Rings: 3, Ring: 2, Posts: 14},
		} {
			s := newSystem(o, strict)
			systems[name] = s
			if !strict {
				s.startWorkers(t, 2)
			}
		}
		return systems
	}
}

func (s *system) startWorkers(t feedtest.T, n int) {
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(s.delay())):
				}
				if err := s.work(); err != nil {
					t.Logf("work: %v", err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { close(stop); workers.Wait() })
}

func (s *system) delay() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Int64N(int64(100 * time.Microsecond))
}

// TestStreams holds every mode, in comfort and at every bound, to the model.
func TestStreams(t *testing.T) {
	checks := 100
	if testing.Short() {
		checks = 16
	}
	feedtest.Run(t, open(true), feedtest.Options{Checks: checks})
}

// TestConcurrentUsers holds the same to what overlapping reads may see.
func TestConcurrentUsers(t *testing.T) {
	ops := 4_000
	if testing.Short() {
		ops = 800
	}
	feedtest.RunConcurrent(t, open(false), feedtest.Options{Ops: ops, Seed: 1})
}
