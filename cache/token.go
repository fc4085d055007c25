package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/position"
)

// readOptions are what a context says of a read or a write.
type readOptions struct {
	fresh    bool
	token    position.Token
	reading  *position.Reading // hears how far what was shown may go
	patience *patience
}

// optionsKey is compared by its address, which is the cheapest key a context can be asked for.
var optionsKey byte

func optionsOf(ctx context.Context) *readOptions {
	o, _ := ctx.Value(&optionsKey).(*readOptions)
	return o
}

func with(ctx context.Context, set func(*readOptions)) context.Context {
	var o readOptions
	if old := optionsOf(ctx); old != nil {
		o = *old
	}
	set(&o)
	return context.WithValue(ctx, &optionsKey, &o)
}

// Fresh returns a context whose reads ask the source, whatever the layers hold, join no load that has begun before, and
// accept no stale value; of a source with replicas they ask the primary. What they bring fills memory like any load, but never
// over something newer. Where the context bears a position.Reading, it hears what was shown, as At says.
func Fresh(ctx context.Context) context.Context {
	return with(ctx, func(o *readOptions) { o.fresh, o.reading = true, position.ReadingOf(ctx) })
}

// At returns a context that bears a token. Its reads see what was committed up to there: an entry answers them if all
// changes up to the token have been fenced, or if it was read there or later. Its writes (Put, Invalidate) were committed
// there. Where the context bears a position.Reading, that is told above which position nothing was shown, whatever layer the
// value came from: who raises a token by it never goes back in time.
func At(ctx context.Context, token position.Token) context.Context {
	reading := position.ReadingOf(ctx)
	if len(token) == 0 && reading == nil {
		return ctx
	}
	return with(ctx, func(o *readOptions) { o.token, o.reading, o.patience = token, reading, new(patience) })
}

func isFresh(ctx context.Context) bool {
	o := optionsOf(ctx)
	return o != nil && o.fresh
}

// shown tells who reads how far an entry goes.
func (o *readOptions) shown(e *entry) *entry {
	if o != nil && o.reading != nil && e != nil && e.read != nil {
		o.reading.Report(nil, e.read.high)
	}
	return e
}

func tokenOf(ctx context.Context) position.Token {
	if o := optionsOf(ctx); o != nil {
		return o.token
	}
	return nil
}

// hit returns what memory has under k, if it may answer a read of ctx.
func (c *Cache[K, V]) hit(ctx context.Context, k K, chosen bool) *entry {
	if o := optionsOf(ctx); o != nil {
		return c.hitFor(ctx, o, k, chosen)
	}
	return c.lookup(k, chosen)
}

// hitFor looks how far changes have been fenced before it looks into memory, never after: what is in memory by then has not
// been ended by any of them.
func (c *Cache[K, V]) hitFor(ctx context.Context, o *readOptions, k K, chosen bool) *entry {
	if o.fresh {
		return nil
	}
	for waited := false; ; waited = true {
		applied := c.stack.applied.get()
		e := c.lookup(k, chosen)
		if e == nil || reached(applied, e.low(), o.token) {
			return o.shown(e)
		}
		if waited || !c.stack.applied.answers(ctx, o, e.low()) {
			return nil
		}
	}
}

// readsPast reports whether a read of ctx that missed must go to the source, whatever the layers hold.
func (s *Stack) readsPast(ctx context.Context) bool {
	o := optionsOf(ctx)
	return o != nil && (o.fresh || !s.applied.covers(o.token))
}

// applyWait is how long a read waits for the changes up to its token to be fenced before it reads past the cache: about what
// reading past it would cost.
const applyWait = 5 * time.Millisecond

// patience is what the reads of one context have left of applyWait: a page of many keys waits once. It ends at a time, on the
// local clock in nanoseconds; 0: nothing has waited yet.
type patience struct{ ends atomic.Int64 }

func (p *patience) left() time.Duration {
	if p == nil {
		return applyWait
	}
	now := time.Now().UnixNano()
	p.ends.CompareAndSwap(0, now+int64(applyWait))
	return time.Duration(p.ends.Load() - now)
}

// applied is how far all changes of the source have been fenced, as this node knows.
type applied struct {
	mu      sync.RWMutex
	token   position.Token
	changed chan struct{} // closed when token rises
}

func (a *applied) get() position.Token {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.token
}

func (a *applied) covers(want position.Token) bool { return reached(a.get(), nil, want) }

// raise moves a to token where that is later, and wakes who waits for it.
func (a *applied) raise(token position.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reached(a.token, nil, token) {
		return
	}
	a.token = a.token.Merge(token)
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// answers reports whether what was read at could answer a read that wants a token, and waits a little for that.
func (a *applied) answers(ctx context.Context, o *readOptions, at position.Token) bool {
	want := o.token
	if reached(a.get(), at, want) {
		return true
	}
	left := o.patience.left()
	if left <= 0 {
		return false
	}
	patience := time.NewTimer(left)
	defer patience.Stop()
	for {
		a.mu.Lock()
		if reached(a.token, at, want) {
			a.mu.Unlock()
			return true
		}
		if a.changed == nil {
			a.changed = make(chan struct{})
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-patience.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// reached reports whether each position of want has been reached by one or the other.
func reached(one, other, want position.Token) bool {
	for _, p := range want {
		if !one.At(p.System).Reached(p) && !other.At(p.System).Reached(p) {
			return false
		}
	}
	return true
}

// Need returns the positions that a loader must have reached where it reads: what its readers have seen, what has been
// fenced. A replica that is behind is not good enough; the primary always is. What knows position.Reading takes them from
// the loader's context itself.
func Need(ctx context.Context) position.Token { return position.ReadingOf(ctx).Need() }

// ReadAt tells the cache where a loader has read, if what it reads with does not. A loader that does not call it has read the
// primary. What was read behind Need answers those who asked, and is kept nowhere.
func ReadAt(ctx context.Context, at position.Token) { position.ReadingOf(ctx).Report(at, at) }

// outcome returns where a loader has read, and whether that was far enough.
func outcome(r *position.Reading, need position.Token) (at position.Token, enough bool) {
	at, reported := r.Low()
	if !reported {
		return need, true
	}
	return at, reached(at, nil, need)
}
