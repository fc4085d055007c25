package httpchannel

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
)

const (
	maxEvents    = 1 << 16
	maxLog       = 16 << 20 // bytes
	maxFollowers = 4 * maxMembers
)

// outbox is what this node has fenced, for those who ask, and how far each of them has been told:
//
//	Fence, FenceTags ──▶ events ──▶ take ──▶ the asker's listener
//	                                             │
//	        Confirm ◀── progress ◀── followed ◀──┘ asks for what comes after
type outbox struct {
	trust time.Duration

	mu        sync.Mutex
	events    []event // the latest; the first is number dropped+1
	dropped   uint64
	bytes     int
	left      bool          // there will be no more
	grown     chan struct{} // closed, and replaced, when there is more
	followers map[cache.ID]follower
	progress  chan struct{} // closed, and replaced, when a follower was told more, or is none any more
}

// follower is a node that listens. It trusts its memory for as long as trust after seen at most: it has asked at seen or
// before, and every Alive needs an answer.
type follower struct {
	told uint64
	seen time.Time
}

// batch is what one that asks is told.
type batch struct {
	events []event
	upTo   uint64
	gap    bool
	left   bool
}

func newOutbox(trust time.Duration) *outbox {
	return &outbox{trust: trust, grown: make(chan struct{}), followers: make(map[cache.ID]follower), progress: make(chan struct{})}
}

// add puts events in. What is beyond the limits drops out, and whoever has not been told it will be told of the gap.
func (o *outbox) add(events []event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		o.events = append(o.events, e)
		o.bytes += e.size()
		if len(e.key)+len(e.tag) > maxKey {
			o.drop(len(o.events))
		}
	}
	drop := 0
	for bytes := o.bytes; len(o.events)-drop > maxEvents || bytes > maxLog; drop++ {
		bytes -= o.events[drop].size()
	}
	if drop > 0 {
		o.drop(max(drop, len(o.events)/8)) // some more, so that not each event moves all others
	}
	close(o.grown)
	o.grown = make(chan struct{})
}

// drop forgets the first n events. The caller holds mu.
func (o *outbox) drop(n int) {
	for _, e := range o.events[:n] {
		o.bytes -= e.size()
	}
	o.dropped += uint64(n)
	o.events = append([]event(nil), o.events[n:]...)
}

// leave says that nothing will follow.
func (o *outbox) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = true
	close(o.grown)
	o.grown = make(chan struct{})
}

// end is the number of the last event. The caller holds mu.
func (o *outbox) end() uint64 { return o.dropped + uint64(len(o.events)) }

// take returns what comes after a number, and what to wait for where that is nothing.
func (o *outbox) take(after uint64) (b batch, grown <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.upTo, b.left = o.end(), o.left
	switch {
	case after == b.upTo:
		return b, o.grown
	case after < o.dropped, after > b.upTo: // fromNow as well
		b.gap = true
		return b, o.grown
	}
	bytes := 0
	for _, e := range o.events[after-o.dropped:] {
		if bytes += e.size(); bytes > maxBatch && len(b.events) > 0 {
			b.upTo, b.left = after+uint64(len(b.events)), false
			break
		}
		b.events = append(b.events, e)
	}
	return b, o.grown
}

// poll notes that a follower was told all up to after, and returns what comes then; it waits until there is something.
func (o *outbox) poll(ctx context.Context, from cache.ID, after uint64, wait time.Duration) batch {
	o.followed(from, after)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		b, grown := o.take(after)
		if len(b.events) > 0 || b.gap || b.left || wait <= 0 {
			return b
		}
		select {
		case <-grown:
		case <-timer.C:
			return b
		case <-ctx.Done():
			return b
		}
	}
}

// followed notes who asks, and what it has been told.
func (o *outbox) followed(from cache.ID, told uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if _, known := o.followers[from]; !known {
		for id, f := range o.followers {
			if now.Sub(f.seen) > 10*o.trust {
				delete(o.followers, id)
			}
		}
	}
	o.followers[from] = follower{told: min(told, o.end()), seen: now}
	o.progressed()
}

func (o *outbox) unfollowed(id cache.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.followers, id)
	o.progressed()
}

func (o *outbox) progressed() {
	close(o.progress)
	o.progress = make(chan struct{})
}

// room reports whether one more may follow.
func (o *outbox) room(from cache.ID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.followers[from]
	return known || len(o.followers) < maxFollowers
}

// confirm returns when every follower has been told all that is there now, or cannot trust its memory any more.
func (o *outbox) confirm(ctx context.Context) error {
	o.mu.Lock()
	target := o.end()
	o.mu.Unlock()
	return o.await(ctx, func(f follower) bool { return f.told >= target })
}

// emptied returns when no follower is left that may trust its memory.
func (o *outbox) emptied(ctx context.Context) error {
	return o.await(ctx, func(follower) bool { return false })
}

// await returns when every follower is done or untrusting.
func (o *outbox) await(ctx context.Context, done func(follower) bool) error {
	for {
		patience, progress := o.waits(done)
		if patience <= 0 {
			return nil
		}
		timer := time.NewTimer(patience)
		select {
		case <-progress:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// waits tells for how long a follower that is not done may still trust its memory, and what to wait for.
func (o *outbox) waits(done func(follower) bool) (longest time.Duration, progress <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.followers {
		if !done(f) {
			longest = max(longest, time.Until(f.seen.Add(o.trust)))
		}
	}
	return longest, o.progress
}
