package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/position"
)

const (
	// beatEvery and beatTTL: a process that was killed is known to be dead, and its leases are free, within a second.
	beatEvery = 300 * time.Millisecond
	beatTTL   = time.Second

	// failuresAllowed in a row open the breaker: the remote layer is left alone until a beat has come back.
	failuresAllowed = 3

	// tombstoneTTL is longer than any load that may have read what the tombstone ended: see Policy.HardTimeout.
	tombstoneTTL = time.Minute

	// debtsMax is how many fences may be owed one by one. Beyond it each space is owed as a whole.
	debtsMax = 10_000
	// settleMax is how many of them are paid in one call.
	settleMax = 500

	// quietFor is how long a node that was without the channel leaves the layer alone when it has it back: the others' next beat
	// and the call that pays what they owe.
	quietFor = time.Second

	// leasesSeenMax bounds the leases of others that are remembered.
	leasesSeenMax = 4096
)

// A link is what a node has to do with its remote layer: whether it can be used, what is owed to it, and what its channel
// tells. The layer is used while
//
//   - its last calls have not failed (the breaker is closed; only the link's own beat closes it again),
//   - no fence is owed to it: what should have been fenced there could be read there,
//   - its generation is known, where it has a channel, and others have had time to pay what they owe,
//   - that was so not longer than MaxStale ago: a replica that has taken the master's place may lack fences,
//   - or, where there is no channel but a change feed, its head was reached not longer ago and nothing of it was ever lost.
type link struct {
	stack  *Stack
	holder ID
	usable atomic.Bool  // all of the above but the last, for the way of a read
	until  atomic.Int64 // on the stack's clock: the last

	mu         sync.Mutex
	failures   int // in a row
	broken     bool
	calls      uint64
	failed     uint64
	trips      uint64 // times that the breaker opened
	known      bool   // the generation
	left       bool   // see leave
	generation string
	heard      bool      // the channel, ever
	probed     time.Time // when the last probe that has come back was sent
	quietUntil time.Time // see quietFor
	owed       debts
	recent     recent
	leases     map[ID]time.Time // others' leases, by when they were seen first or their holder was known to live
	kick       chan struct{}    // something is owed

	stop context.CancelFunc
	done sync.WaitGroup
}

func newLink(s *Stack) *link {
	l := &link{
		stack: s, holder: newID(), known: s.channel == nil,
		leases: make(map[ID]time.Time), kick: make(chan struct{}, 1),
	}
	l.usable.Store(l.known)
	if s.channel == nil && (!s.options.Feed || s.options.OnlyNode) {
		l.until.Store(math.MaxInt64)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() { l.beat(ctx) })
	if s.channel != nil {
		l.done.Go(func() { _ = s.channel.Listen(ctx, l) })
	}
	return l
}

func newID() (id ID) {
	rand.Read(id[:])
	return id
}

func (l *link) close() {
	l.stop()
	l.done.Wait()
}

// beat says that this process lives, settles what is owed, and so finds out whether the layer can be used again.
func (l *link) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		err := l.call(ctx, func(ctx context.Context) error { return l.stack.remote.Beat(ctx, l.holder, beatTTL) })
		if err == nil {
			err = l.settle(ctx)
		}
		if err == nil {
			l.mend()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.kick:
		}
	}
}

// call makes one call of the layer within its time, and counts how it ended.
func (l *link) call(ctx context.Context, do func(context.Context) error) error {
	inner, cancel := context.WithTimeout(ctx, l.stack.options.RemoteTimeout)
	defer cancel()
	err := do(inner)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	switch {
	case err == nil:
		l.failures = 0
	case ctx.Err() == nil: // not the caller's own end
		l.failures++
		l.failed++
		if !l.broken && l.failures >= failuresAllowed {
			l.broken = true
			l.trips++
		}
		l.judge()
	}
	return err
}

// judge sets usable. The caller holds mu.
func (l *link) judge() {
	l.usable.Store(!l.broken && l.known && !l.left && !l.quiet() && l.owed.none())
}

// reads reports whether values may be read from the layer, and stored there.
func (l *link) reads() bool { return l.usable.Load() && l.stack.clock.NowNano() < l.until.Load() }

// quiet reports whether others still have time to pay what they owe. The caller holds mu.
func (l *link) quiet() bool { return time.Now().Before(l.quietUntil) }

// mend closes the breaker.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures, l.broken = 0, false
	l.judge()
}

// prefix comes before the text of a key in the layer: the generation, so that what an earlier one has left is out of reach.
func (l *link) prefix() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.generation + "|"
}

// fence writes tombstones. What can't be written is owed.
func (l *link) fence(ctx context.Context, texts []string, at position.Position) error {
	prefix := l.prefix()
	fences := make([]Fence, len(texts))
	for i, text := range texts {
		fences[i] = Fence{Key: prefix + text, At: at, TTL: tombstoneTTL}
	}
	err := errUnusable
	if l.reachable() {
		// The fence goes on without a caller who gives up: half of it may have been written.
		err = l.call(context.WithoutCancel(ctx), func(ctx context.Context) error { return l.stack.remote.Fence(ctx, fences) })
	}
	if err != nil {
		l.owe(texts, at)
		return err
	}
	l.wrote(prefix, texts, at)
	return nil
}

// wrote notes fences that were acknowledged under a prefix.
func (l *link) wrote(prefix string, texts []string, at position.Position) {
	l.mu.Lock()
	ended := l.generation+"|" != prefix
	if !ended && l.stack.channel != nil {
		l.recent.newer.add(texts, at)
	}
	l.mu.Unlock()
	if ended {
		l.owe(texts, at)
	}
}

var errUnusable = errors.New("cache: the remote layer is out of reach")

// reachable reports whether a write may be tried: the breaker is closed and the generation known.
func (l *link) reachable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.broken && l.known
}

func (l *link) owe(texts []string, at position.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed.add(texts, at)
	if len(l.owed.tags) > 0 && l.stack.channel == nil {
		l.known = false // nothing can pay for a whole space: this node leaves the layer alone for good
	}
	l.judge()
	l.nudge()
}

func (l *link) oweTags(tags []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tag := range tags {
		l.owed.addTag(tag)
	}
	l.judge()
	l.nudge()
}

func (l *link) nudge() {
	if l.broken {
		return // the next beat comes in time
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// later returns the position of the later change; where they can't be compared, none.
func later(a, b position.Position) position.Position {
	switch order, ok := a.Compare(b); {
	case a.IsZero():
		return b
	case b.IsZero() || ok && order >= 0:
		return a
	case ok:
		return b
	}
	return position.Position{}
}

// settle pays what is owed, in parts.
func (l *link) settle(ctx context.Context) error {
	for {
		l.mu.Lock()
		if !l.known || l.owed.none() {
			l.mu.Unlock()
			return nil
		}
		var tags []string
		for tag := range l.owed.tags {
			tags = append(tags, tag)
		}
		var owed []Fence
		var texts []string
		for text, at := range l.owed.keys {
			if len(owed) == settleMax {
				break
			}
			owed, texts = append(owed, Fence{Key: l.generation + "|" + text, At: at, TTL: tombstoneTTL}), append(texts, text)
		}
		generation := l.generation
		l.mu.Unlock()
		if len(tags) > 0 {
			if err := l.drawTags(ctx, tags); err != nil {
				return err
			}
		}
		if len(owed) > 0 {
			if err := l.call(ctx, func(ctx context.Context) error { return l.stack.remote.Fence(ctx, owed) }); err != nil {
				return err
			}
		}
		l.mu.Lock()
		if l.generation == generation {
			for i, text := range texts {
				if l.owed.keys[text] == owed[i].At {
					delete(l.owed.keys, text)
					l.recent.newer.add(texts[i:i+1], owed[i].At)
				}
			}
			for _, tag := range tags {
				delete(l.owed.tags, tag)
			}
		}
		l.judge()
		l.mu.Unlock()
	}
}

// drawTags gives tags their next epoch in the layer, and here.
func (l *link) drawTags(ctx context.Context, tags []string) error {
	return l.call(ctx, func(ctx context.Context) error {
		epoch, err := l.stack.channel.FenceTags(ctx, tags)
		if err == nil {
			for _, tag := range tags {
				l.stack.tags.pay(tag, epoch)
			}
		}
		return err
	})
}

// suspects reports whether a lease of another process has been seen for so long that its holder is to be looked after.
func (l *link) suspects(lease ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	since, seen := l.leases[lease]
	if !seen {
		l.see(lease, time.Now())
	}
	return seen && time.Since(since) >= suspectAfter
}

// trust lets a lease be for a quarter of the time after which it was suspected: its holder lived just now, but the load takes
// long, and the sooner it is looked after the sooner its death is known.
func (l *link) trust(lease ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.see(lease, time.Now().Add(-suspectAfter*3/4))
}

func (l *link) see(lease ID, at time.Time) {
	if len(l.leases) >= leasesSeenMax {
		clear(l.leases) // their time begins anew
	}
	l.leases[lease] = at
}

// lapsed reports whether this node has been without the channel for longer than it trusts it. Others may have been without the
// layer for as long, and owe it fences: memory from before that is old, and what lies in the layer may be until they had time
// to pay. The caller holds mu.
func (l *link) lapsed() bool {
	return l.heard && !l.stack.options.OnlyNode && l.stack.trust.until.Load() <= l.stack.clock.NowNano()
}

// provenSince reports whether nothing is owed, and whether a probe that was sent since then has come back.
func (l *link) provenSince(then time.Time) (paid, proven bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed.none(), !l.probed.Before(then)
}

// owes reports whether anything is owed.
func (l *link) owes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.owed.none()
}

// The link is what the channel tells. See [Listener].

func (l *link) Forget(keys ...string) {
	for _, key := range keys {
		_, text, _ := strings.Cut(key, "|") // whatever its generation: to forget too much is safe
		space, rest, _ := strings.Cut(text, ":")
		if sp, err := l.stack.find(space); err == nil {
			_ = sp.told(rest) // a key that is none of this program's
		}
	}
}

func (l *link) TagFenced(tag string, epoch uint64) { l.stack.tags.fence(tag, epoch) }

func (l *link) Alive(sent time.Time, beat Beat) {
	l.mu.Lock()
	if l.lapsed() {
		l.quietUntil = time.Now().Add(quietFor)
	}
	if beat.Generation == l.generation {
		l.recent.prove(sent)
	} else {
		l.owed.take(l.recent.older)
		l.owed.take(l.recent.newer)
		l.recent = recent{}
		l.nudge()
	}
	if !l.known || l.quiet() || beat.Generation != l.generation {
		l.forgetAll() // fences may be missing there
		l.heard, l.known, l.generation = true, true, beat.Generation
	}
	l.probed = sent
	until := l.stack.trustedUntil(sent)
	l.until.Store(until)
	l.judge()
	l.mu.Unlock()
	l.stack.tags.told(beat.Epoch, beat.Horizon)
	l.stack.applied.raise(beat.Applied)
	if !l.stack.options.OnlyNode {
		l.stack.trust.until.Store(until)
	}
}

func (l *link) Lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = false
	l.judge()
	l.forgetAll()
}

// forgetAll puts all of memory out of sight, and what loads in flight will bring, unless this node knows of every change
// without being told.
func (l *link) forgetAll() {
	if l.stack.options.OnlyNode {
		return
	}
	raise(&l.stack.trust.floor, l.stack.fence.ticket())
	l.stack.trust.until.Store(0)
}

// fenceRemote writes tombstones under the texts of keys. A fence that is owed is no error of the caller's.
func (s *Stack) fenceRemote(ctx context.Context, texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	_ = s.link.fence(ctx, texts, onePosition(tokenOf(ctx)))
	return ctx.Err()
}

// onePosition is where a write was committed that touched one system; of several none can stand for all.
func onePosition(token position.Token) position.Position {
	if len(token) == 1 {
		return token[0]
	}
	return position.Position{}
}

// InvalidateTags ends every value that bears one of the tags, in all spaces, with the promise of Cache.Invalidate: at the cost
// of one write, however many values there are.
func (s *Stack) InvalidateTags(ctx context.Context, names ...string) error {
	tags := make([]string, len(names))
	for i, name := range names {
		tags[i] = ownTag(name)
	}
	return s.fenceTags(ctx, tags)
}

func (s *Stack) fenceTags(ctx context.Context, tags []string) error {
	switch {
	case len(tags) == 0:
		return nil
	case s.remote == nil:
		s.tags.draw(tags)
		return nil
	case s.channel == nil:
		return fmt.Errorf("invalidate tags: %w", ErrNoChannel)
	}
	err := errUnusable
	if s.link.reachable() {
		err = s.link.drawTags(context.WithoutCancel(ctx), tags)
	}
	if err != nil {
		for _, tag := range tags {
			s.tags.owe(tag) // here it counts at once
		}
		s.link.oweTags(slices.Clone(tags))
	}
	return ctx.Err()
}

// InvalidateTagsConfirmed is to InvalidateTags what Cache.InvalidateConfirmed is to Cache.Invalidate.
func (s *Stack) InvalidateTagsConfirmed(ctx context.Context, names ...string) error {
	return s.confirmed(ctx, func() error { return s.InvalidateTags(ctx, names...) })
}

// confirmed fences and returns when all nodes have confirmed it.
func (s *Stack) confirmed(ctx context.Context, fence func() error) error {
	if err := fence(); err != nil {
		return err
	}
	return s.Confirm(ctx)
}

// Confirm returns when no node serves what this one has invalidated before: it is the second half of the confirmed
// invalidations, for whoever has several to be confirmed at once, or has had ErrUnconfirmed and asks again. Within
// Options.ConfirmWithin, else ErrUnconfirmed. Where there is no other node it returns at once.
func (s *Stack) Confirm(ctx context.Context) error {
	if s.options.OnlyNode || s.remote == nil && !s.options.Feed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.ConfirmWithin)
	defer cancel()
	if s.link != nil {
		if err := until(ctx, func() bool { return !s.link.owes() }); err != nil {
			return err
		}
	}
	if s.channel == nil { // by then other nodes have followed the feed to this change, or trust nothing from before it
		select {
		case <-ctx.Done():
			return ErrUnconfirmed
		case <-time.After(s.options.MaxStale + 2*clockResolution):
			return nil
		}
	}
	for {
		asked := time.Now()
		if err := s.channel.Confirm(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		var paid, proven bool
		err := until(ctx, func() bool {
			paid, proven = s.link.provenSince(asked)
			return proven || !paid
		})
		if err != nil || paid {
			return err
		}
		// The generation has ended, and the fence is owed to the next one.
		if err := until(ctx, func() bool { return !s.link.owes() }); err != nil {
			return err
		}
	}
}

// until waits for ok, and no longer than ctx.
func until(ctx context.Context, ok func() bool) error {
	for retry := time.Millisecond; !ok(); retry = min(2*retry, 50*time.Millisecond) {
		select {
		case <-ctx.Done():
			return ErrUnconfirmed
		case <-time.After(retry):
		}
	}
	return nil
}

// Proven reports whether every fence that had returned by then is in the layer for good: none is owed, and a probe that was sent
// since has come back. Who goes on after a restart with what was not fenced before must ask: what is owed dies with its process.
func (s *Stack) Proven(then time.Time) bool {
	if s.link == nil {
		return true
	}
	paid, proven := s.link.provenSince(then)
	return paid && (proven || s.channel == nil)
}

// Advance tells all nodes that the changes of the source up to applied have been fenced. Whoever consumes the change feed
// calls it. While the layer is out of reach, or a fence is owed to it, others are not told and it fails.
func (s *Stack) Advance(ctx context.Context, applied position.Token) error {
	s.applied.raise(applied)
	if s.channel == nil {
		return nil
	}
	if !s.link.reachable() || s.link.owes() {
		return errUnusable
	}
	return s.link.call(ctx, func(ctx context.Context) error { return s.channel.Advance(ctx, applied) })
}
