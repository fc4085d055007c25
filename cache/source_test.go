package cache_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
)

// A source is a table of versions, whose answers a test can hold back: the caller of LoadMany has read the table by then, as
// one whose reply is still on the wire.
type source struct {
	mu    sync.Mutex
	rows  map[int]int
	err   error
	calls [][]int // the keys of each call
	hold  chan struct{}
}

func newSource(rows map[int]int) *source { return &source{rows: rows} }

// LoadMany answers from the table as it is at the time of the call.
func (s *source) LoadMany(_ context.Context, keys []int) (map[int]int, error) {
	s.mu.Lock()
	s.calls = append(s.calls, slices.Clone(keys))
	hold, err, found := s.hold, s.err, map[int]int{}
	for _, key := range keys {
		if v, ok := s.rows[key]; ok {
			found[key] = v
		}
	}
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (s *source) set(key, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[key] = version
}

func (s *source) remove(key int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, key)
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// holdBack makes the calls that begin from now on wait for release.
func (s *source) holdBack() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return sync.OnceFunc(func() { close(hold) })
}

// goOn lets calls that begin from now on answer at once; those held back stay so.
func (s *source) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = nil
}

func (s *source) loads() [][]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *source) wantLoads(t *testing.T, n int) {
	t.Helper()
	if calls := s.loads(); len(calls) != n {
		t.Fatalf("source was asked %d times, want %d: %v", len(calls), n, calls)
	}
}

// newStack returns a stack that is closed with the test.
func newStack(t *testing.T, options cache.Options) *cache.Stack {
	t.Helper()
	stack, err := cache.NewStack(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	return stack
}

// define returns a cache in front of s. Its entries live an hour and end at their time, where policy does not say otherwise.
func define(t *testing.T, s *source, policy cache.Policy) *cache.Cache[int, int] {
	t.Helper()
	if policy.TTL == 0 {
		policy.TTL = time.Hour
	}
	if policy.Jitter == 0 {
		policy.Jitter = -1
	}
	return cache.Define(newStack(t, cache.Options{}), cache.Space[int, int]{Name: "row", Policy: policy, LoadMany: s.LoadMany})
}

func wantGet(t *testing.T, c *cache.Cache[int, int], key, want int) {
	t.Helper()
	got, err := c.Get(t.Context(), key)
	if err != nil || got != want {
		t.Fatalf("Get(%d) = %d, %v; want %d", key, got, err, want)
	}
}

// result is what a Get in another goroutine came to.
type result struct {
	value int
	err   error
}

func goGet(ctx context.Context, c *cache.Cache[int, int], key int) <-chan result {
	done := make(chan result, 1)
	go func() {
		v, err := c.Get(ctx, key)
		done <- result{v, err}
	}()
	return done
}
