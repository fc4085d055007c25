package httpchannel

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

func generationName(id cache.ID) string { return hex.EncodeToString(id[:]) }

// follow is what a listener hears from one node: a goroutine asks for what comes after what was told, again and again.
type follow struct {
	peer
	answered time.Time // when the last answer that has been told was asked for
	cancel   context.CancelFunc
}

// delivery is an answer on its way to the listener.
type delivery struct {
	from cache.ID
	sent time.Time
	batch
	applied position.Token
	done    chan struct{} // closed when it has been told
}

// follow begins to ask a node. What it wrote before matters only to a memory that is trusted.
func (s *session) follow(ctx context.Context, p peer) {
	ctx, cancel := context.WithCancel(ctx)
	s.follows[p.id] = &follow{peer: p, cancel: cancel}
	after := uint64(fromNow)
	if s.sound.Load() {
		after = 0
	}
	s.waits.Go(func() { s.ask(ctx, p, after) })
}

func (s *session) unfollow(id cache.ID) {
	if f := s.follows[id]; f != nil {
		f.cancel()
		delete(s.follows, id)
	}
}

// ask asks until ctx ends. It asks again only when its answer has been told, so that asking for what comes after says so.
func (s *session) ask(ctx context.Context, p peer, after uint64) {
	const first = 5 * time.Millisecond
	var broken fault
	var asked time.Time
	for backoff := first; ctx.Err() == nil; {
		sent := time.Now()
		d, err := s.once(ctx, p, ask{kind: askEvents, after: after, wait: s.wait(asked)})
		broken.note(ctx, s.r.o.Broken, err)
		if err != nil {
			_ = pause(ctx, backoff/2+rand.N(backoff/2))
			backoff = min(2*backoff, s.r.o.beat())
			continue
		}
		d.from, d.sent, d.done = p.id, sent, make(chan struct{})
		select {
		case s.in <- d:
		case <-ctx.Done():
			return
		}
		<-d.done
		if d.left {
			return
		}
		after, asked, backoff = d.upTo, sent, first
	}
}

// once asks a peer, or our own outbox.
func (s *session) once(ctx context.Context, p peer, a ask) (d delivery, err error) {
	if p.id == s.r.id {
		d.batch = s.r.out.poll(ctx, p.id, a.after, a.wait)
		return d, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, a.wait+s.r.o.Trust)
	defer cancel()
	got, err := s.r.ask(ctx, p, a)
	if err != nil {
		return d, fmt.Errorf("follow: %w", err)
	}
	d.batch, d.applied = batch{events: got.events, upTo: got.upTo, gap: got.gap, left: got.left}, got.applied
	return d, nil
}

// wait is for how long a peer may keep an answer back where nothing happens: until a little after the board will be read
// again, so that the next question comes after that look. While memory is not trusted, whoever was not asked since the last
// look is asked for an answer at once.
func (s *session) wait(asked time.Time) time.Duration {
	beat := s.r.o.beat()
	recv := s.recv.Load()
	if recv == 0 {
		return beat / 16 // the first look that counts is on its way
	}
	looked := s.start.Add(time.Duration(recv))
	if !s.sound.Load() && asked.Before(looked) {
		return 0
	}
	next := looked.Add(beat + beat/8)
	return max(beat/8, min(time.Until(next), beat+beat/8))
}
