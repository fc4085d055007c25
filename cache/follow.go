package cache

import (
	"sync"
	"time"

	"github.com/freshet/freshet/position"
)

// A follower is what a stack knows of the change feed that its program consumes (Options.Feed). The program asks the feed, fences
// here what it is told, and says so:
//
//	consumer                                     feed                another node
//	  sent = now ── what is there after 41? ──▶                        commits 42
//	             ◀── 42, and that was all ────
//	  Invalidate(what 42 changed)
//	  Followed(sent, 42): trusted until sent + MaxStale                commits 43: told with the next question
//
// A consumer that is late lets the trust end and nothing else: what memory holds was read before changes of which the feed will
// still tell, so it is as good as ever when the consumer has caught up. Only what nobody will tell any more makes it worthless:
// what committed before the feed was followed first, and what it has lost.
type follower struct {
	mu      sync.Mutex
	follows bool      // without a gap since the memory began that is in sight
	lost    time.Time // when continuity ended last
}

// Followed says that everything the source had committed at the time sent, on this node's monotonic clock, has been fenced
// here, and all changes up to applied: the consumer of the change feed took the time, asked the feed, was told that there was no
// more, and has invalidated what it was told. Memory is trusted until Options.MaxStale after sent; so it is to be called a few
// times in MaxStale, also while nothing changes. Reads At a token up to applied are answered from memory.
//
// After FeedLost, and at the start, it is the first one after that which lets memory be trusted again, and what was there before
// is forgotten. One whose question was sent before the loss is passed over. Without Options.Feed it only raises applied.
func (s *Stack) Followed(sent time.Time, applied position.Token) {
	if s.options.Feed && !s.options.OnlyNode && !s.follow(sent) {
		return
	}
	s.applied.raise(applied)
	s.feedTold.followed(s, sent)
}

func (s *Stack) follow(sent time.Time) bool {
	f := &s.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if sent.Before(f.lost) {
		return false
	}
	if !f.follows {
		raise(&s.trust.floor, s.fence.ticket())
		f.follows = true
	}
	until := s.trustedUntil(sent)
	s.trust.until.Store(until)
	if s.link != nil {
		s.link.until.Store(until)
	}
	return true
}

// FeedLost says that the change feed will not tell all that has changed: rows are gone that were not consumed, or the history of
// the source is another. Nothing in memory from before is served again. What the remote layer holds can't be told from what it
// should have lost: this stack reads nothing there any more, and goes on to fence. Before the program is started again, empty the
// layer. Without Options.Feed it does nothing.
func (s *Stack) FeedLost() {
	if !s.options.Feed || s.options.OnlyNode {
		return
	}
	f := &s.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follows, f.lost = false, time.Now()
	s.trust.until.Store(0)
	if s.link != nil {
		s.link.leave()
	}
}

// trustedUntil is the end, on the stack's clock, of a trust that was proven by a question sent then.
func (s *Stack) trustedUntil(sent time.Time) int64 {
	return s.clock.NowNano() + int64(s.options.MaxStale-time.Since(sent)-2*clockResolution)
}

// leave keeps this node from reading the layer for good.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
	l.judge()
}
