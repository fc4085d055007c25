package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
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
	// Remote is the layer that this node shares with others; the caller closes it after the stack. Default: none. Where it
	// is a Channel too, the node listens to it.
	Remote Remote
	// OnlyNode says that nobody else changes the source, so that memory needs no channel to be trusted.
	OnlyNode bool
	// Feed says that this program consumes the source's change feed, with a consumer of this node's own, and tells the stack of
	// it (Followed, FeedLost): that keeps memory true where the remote layer has no Channel, or where there is none. All
	// nodes that change the source or cache it do the same, with the same MaxStale. What ends on other nodes is what the
	// feed tells them; what is invalidated without a change of the source ends here, and in the remote layer, alone. It is
	// refused with a remote layer that is a Channel, and changes nothing with OnlyNode.
	Feed bool
	// MaxStale is how long memory is trusted after the channel was last known to be alive, or the head of the change feed was
	// reached, and so the longest time that a node serves what another has fenced, even under partition. Without either it
	// bounds the life of entries in memory. A node that can't write its fence (it alone is cut off from the layer) can't
	// bound what others read there meanwhile; where that matters, the store's change feed has to repeat the fence, or
	// InvalidateConfirmed says that it is not confirmed. Default 1 s.
	MaxStale time.Duration
	// MaxValue bounds the bytes of a value in the remote layer, before compression; a longer one stays in memory. Default
	// 1 MiB, which is what memcached takes.
	MaxValue int
	// RemoteTimeout bounds each call of the remote layer. Default 500 ms.
	RemoteTimeout time.Duration
	// ConfirmWithin bounds how long the confirmed invalidations wait. Default 5 s.
	ConfirmWithin time.Duration
	// AuditEvery is the default of Policy.AuditEvery. Default 0: nothing is audited.
	AuditEvery int
}

func (o Options) withDefaults() Options {
	o.MaxStale = cmp.Or(max(0, o.MaxStale), time.Second)
	o.MaxValue = cmp.Or(max(0, o.MaxValue), 1<<20)
	o.RemoteTimeout = cmp.Or(max(0, o.RemoteTimeout), 500*time.Millisecond)
	o.ConfirmWithin = cmp.Or(max(0, o.ConfirmWithin), 5*time.Second)
	return o
}

// Stack holds the layers that spaces share, and the spaces by name. It is safe for concurrent use.
type Stack struct {
	options Options
	clock   *otter.CoarseClock
	fence   fence
	tags    *tags
	applied applied

	feedTold feedTold
	auditor  *auditor

	// loads are the calls of loaders and what asks for them by itself; end ends the latter's ctx.
	loads sync.WaitGroup
	ctx   context.Context
	end   context.CancelFunc

	trust    *trust
	follower follower

	remote  Remote  // nil: none
	channel Channel // nil: none
	link    *link   // with remote

	mu     sync.Mutex
	spaces map[string]space
	closed bool
}

// trust is what each hit asks of the stack. It is written seldom, and shares its cache line with nothing that is written often.
type trust struct {
	until atomic.Int64  // on the stack's clock; see valid
	floor atomic.Uint64 // entries with a lower ticket are out of sight
	_     [128 - 16]byte
}

// space is what the stack needs of a Cache, whatever its types.
type space interface {
	snapshot() Stats
	invalidateAll(context.Context) error
	invalidateText(ctx context.Context, key string) error
	inspect(ctx context.Context, key string) (Inspection, error)
	told(key string) error
	refuseLoads() (longest time.Duration) // how long a load in flight may still take
	stop()
}

// NewStack returns a stack without spaces. It fails if an override makes no sense, or a feed beside a channel. Close it after use.
func NewStack(options Options) (*Stack, error) {
	for _, name := range slices.Sorted(maps.Keys(options.Policies)) {
		if err := options.Policies[name].validate(); err != nil {
			return nil, fmt.Errorf("override cache policy of %s: %w", name, err)
		}
	}
	channel, _ := options.Remote.(Channel)
	if channel != nil && options.Feed {
		return nil, errors.New("make cache stack: Options.Feed is for remote layers without a channel; to this one the consumer tells Advance")
	}
	s := &Stack{
		options: options.withDefaults(),
		clock:   otter.NewCoarseClock(clockResolution),
		tags:    newTags(),
		trust:   new(trust),
		remote:  options.Remote,
		channel: channel,
		spaces:  make(map[string]space),
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.auditor = newAuditor(s.options)
	if options.OnlyNode || channel == nil && !options.Feed {
		s.trust.until.Store(math.MaxInt64)
	}
	if s.remote != nil {
		s.link = newLink(s)
	}
	return s, nil
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
func (s *Stack) InvalidateAll(ctx context.Context, name string) error {
	sp, err := s.find(name)
	if err != nil {
		return err
	}
	return sp.invalidateAll(ctx)
}

// Close refuses further loads and waits for those in flight. What is in memory can still be read. It fails if a loader
// has not returned a second after its deadline; its waiters have had their answer by then.
func (s *Stack) Close() error {
	spaces := s.closeSpaces()
	s.end()
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
	if s.link != nil {
		s.link.close()
	}
	for _, sp := range spaces {
		sp.stop()
	}
	s.clock.Stop()
	return err
}

// add registers a space under its name, which must be new, and starts its tasks, which end with ctx.
func (s *Stack) add(name string, sp space, tasks ...func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		panic(fmt.Sprintf("cache: space %q defined on a closed stack", name))
	}
	if _, taken := s.spaces[name]; taken {
		panic(fmt.Sprintf("cache: space %q defined twice", name))
	}
	s.spaces[name] = sp
	for _, task := range tasks {
		s.loads.Go(func() { task(s.ctx) })
	}
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
