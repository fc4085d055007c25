package position

import (
	"context"
	"sync"
)

// Reading goes with a read, in its context: what must have been reached where it is read, and where it was read. Whoever
// begins a read makes one; whoever knows positions (a database, a router between replicas) reports to it.
//
//	ctx, reading := position.WithReading(ctx, token)
//	posts, err := db.Posts(ctx, ids)
//	token = token.Merge(reading.High())
//
// Of what is read at one moment two positions are known, before and after it:
//
//	──── low ──── the read's snapshot ──── high ────▶
//
// What was read has everything up to low, so a cache may keep it as of there. It has nothing above high, so who has seen it
// sees nothing older where high has been reached. So what happens under one Reading sees its own writes and never goes back
// in time. A primary reports no low: it has all that is acknowledged, and that is not a position.
//
// A floor is what every read must have reached, whatever its reader has seen, because of how things are: where a part has come
// to have all that it is asked for. It is no need of the reader's, so what is held against a reader who needs nothing, such as the
// age of a replica, is held against one with floors alone too. A Reading is safe for concurrent use; a nil one takes part in
// nothing.
type Reading struct {
	need   Token
	latest bool

	mu        sync.Mutex
	low, high Token
	floor     Token
	reported  bool
}

type readingKey struct{}

// WithReading returns a context whose reads must have reached need, and their Reading.
func WithReading(ctx context.Context, need Token) (context.Context, *Reading) {
	r := &Reading{need: need}
	return context.WithValue(ctx, readingKey{}, r), r
}

// WithLatest is WithReading for reads that must see all that was acknowledged: only a primary may answer them.
func WithLatest(ctx context.Context, need Token) (context.Context, *Reading) {
	r := &Reading{need: need, latest: true}
	return context.WithValue(ctx, readingKey{}, r), r
}

// ReadingOf returns the Reading of a context, nil if it has none: then the latest is wanted.
func ReadingOf(ctx context.Context) *Reading {
	r, _ := ctx.Value(readingKey{}).(*Reading)
	return r
}

// Need is what must have been reached: what was asked for, and what has been read or written under this Reading since.
func (r *Reading) Need() Token {
	if r == nil {
		return nil
	}
	return r.need.Merge(r.High())
}

// Floor says what every read from here on must have reached: of a part, or of a system that whoever says it has itself, and that
// no part is asked for.
func (r *Reading) Floor(floor Token) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.floor) == 0 {
		r.floor = floor
		return
	}
	r.floor = r.floor.Merge(floor)
}

// Wants is what a replica must have reached: the need but for what is not above a floor, and the floors.
func (r *Reading) Wants() (need, floor Token) {
	need = r.Need()
	if r == nil {
		return need, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	floor = r.floor
	for _, p := range floor {
		if order, ok := need.At(p.System).Compare(p); ok && order <= 0 {
			need = need.without(p.System)
		}
	}
	return need, floor
}

// NeedAt is Need of one system.
func (r *Reading) NeedAt(system uint64) Position {
	if r == nil {
		return Position{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	need, seen := r.need.At(system), r.high.At(system)
	if order, ok := need.Compare(seen); ok && order > 0 {
		return need
	}
	if seen.IsZero() {
		return need
	}
	return seen
}

// Latest reports whether only a primary may answer; a nil Reading wants that too.
func (r *Reading) Latest() bool { return r == nil || r.latest }

// Report says that a part was read between two positions, or, without a low one, that something was written at high. Where
// several are, low becomes the lowest and high the highest of a system's.
func (r *Reading) Report(low, high Token) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range low {
		if old := r.low.At(p.System); !old.IsZero() {
			if order, _ := p.Compare(old); order >= 0 {
				continue
			}
			r.low = r.low.without(p.System)
		}
		r.low = r.low.Raise(p)
	}
	r.high = r.high.Merge(high)
	r.reported = r.reported || len(low) > 0
}

// Low is up to where all that was read has everything, and whether any read was reported.
func (r *Reading) Low() (low Token, reported bool) {
	if r == nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.low, r.reported
}

// High is the position above which nothing was read.
func (r *Reading) High() Token {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.high
}

// without is t without its position of a system.
func (t Token) without(system uint64) (rest Token) {
	for _, p := range t {
		if p.System != system {
			rest = append(rest, p)
		}
	}
	return rest
}
