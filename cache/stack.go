package cache

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// clockResolution is how far the time that entries are judged by may lag. Reading the clock of the system at each hit
// would be a third of its cost (86 against 60 ns in research/cache.md, 4a); a hundred wake-ups a second do not show.
const clockResolution = 10 * time.Millisecond

// Options configures a Stack. The zero Options are fine.
type Options struct {
	// Policies overrides the policies of spaces by their names, field by field (see Policy): it carries the settings
	// `cache.policies.<space>.*`. A name that no space bears changes nothing; compare with Stack.Names to warn of it.
	Policies map[string]Policy
	// Observe returns the observer of a space and is called once for it, by Define. Default: nobody observes.
	Observe func(space string) Observer
}

// Stack holds the layers that spaces share, and the spaces by name. It is safe for concurrent use.
type Stack struct {
	options Options
	clock   *otter.CoarseClock
	fence   fence
	loads   sync.WaitGroup

	mu     sync.Mutex
	spaces map[string]space
	closed bool
}

// space is what the stack needs of a Cache, whatever its types.
type space interface {
	snapshot() Stats
	invalidateAll()
	refuseLoads() (longest time.Duration) // how long a load in flight may still take
	stop()
}

// NewStack returns a stack without spaces. It fails if an override makes no sense. Close it after use.
func NewStack(options Options) (*Stack, error) {
	for _, name := range slices.Sorted(maps.Keys(options.Policies)) {
		if err := options.Policies[name].validate(); err != nil {
			return nil, fmt.Errorf("override cache policy of %s: %w", name, err)
		}
	}
	return &Stack{
		options: options,
		clock:   otter.NewCoarseClock(clockResolution),
		spaces:  make(map[string]space),
	}, nil
}

// Names returns the names of all spaces, sorted.
func (s *Stack) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.spaces))
}

// Stats returns what each space has done, sorted by name. The numbers of one space are read one after another while it
// works, so they may differ by what happened in between.
func (s *Stack) Stats() []Stats {
	spaces := s.sorted()
	stats := make([]Stats, len(spaces))
	for i, sp := range spaces {
		stats[i] = sp.snapshot()
	}
	return stats
}

// InvalidateAll empties the space called name, as its Cache.InvalidateAll does. It is for operators, who know names.
func (s *Stack) InvalidateAll(_ context.Context, name string) error {
	sp, err := s.find(name)
	if err != nil {
		return err
	}
	sp.invalidateAll()
	return nil
}

// Close refuses further loads and waits for those in flight. What is in memory can still be read. It fails if a loader
// has not returned a second after its deadline; its waiters have had their answer by then.
func (s *Stack) Close() error {
	spaces := s.closeSpaces()
	var longest time.Duration
	for _, sp := range spaces {
		longest = max(longest, sp.refuseLoads())
	}
	returned := make(chan struct{})
	go func() {
		s.loads.Wait()
		close(returned)
	}()
	patience := time.NewTimer(longest + time.Second)
	defer patience.Stop()
	var err error
	select {
	case <-returned:
	case <-patience.C:
		err = fmt.Errorf("close cache: a loader still runs a second after its deadline of %v", longest)
	}
	for _, sp := range spaces {
		sp.stop()
	}
	s.clock.Stop()
	return err
}

// add registers a space under its name, which must be new.
func (s *Stack) add(name string, sp space) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		panic(fmt.Sprintf("cache: space %q defined on a closed stack", name))
	}
	if _, taken := s.spaces[name]; taken {
		panic(fmt.Sprintf("cache: space %q defined twice", name))
	}
	s.spaces[name] = sp
}

func (s *Stack) find(name string) (space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, ok := s.spaces[name]
	if !ok {
		return nil, fmt.Errorf("find %q: %w", name, ErrUnknownSpace)
	}
	return sp, nil
}

// closeSpaces returns the spaces and lets none be added.
func (s *Stack) closeSpaces() []space {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return slices.Collect(maps.Values(s.spaces))
}

// sorted returns the spaces in the order of their names.
func (s *Stack) sorted() []space {
	s.mu.Lock()
	defer s.mu.Unlock()
	spaces := make([]space, 0, len(s.spaces))
	for _, name := range slices.Sorted(maps.Keys(s.spaces)) {
		spaces = append(spaces, s.spaces[name])
	}
	return spaces
}
