package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// touches are the sessions whose use is to be noted, each once. Requests add,
// one goroutine ([Authenticator.Run]) takes; nobody waits for the write:
//
//	request ── add ──▶ queue (1,024) ──▶ Run ── TouchSession ── Invalidate ── done
//	             └ waits or runs already, or the queue is full: the next request tries again
type touches struct {
	queue chan *freshet.Session
	mu    sync.Mutex
	known map[freshet.ID]struct{} // what waits or runs
}

const (
	touchQueue   = 1024
	touchTimeout = 5 * time.Second
)

func newTouches() touches {
	return touches{queue: make(chan *freshet.Session, touchQueue), known: make(map[freshet.ID]struct{})}
}

func (t *touches) add(s *freshet.Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.known[s.ID]; known {
		return
	}
	select {
	case t.queue <- s:
		t.known[s.ID] = struct{}{}
	default:
	}
}

func (t *touches) done(s *freshet.Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, s.ID)
}

// touchEvery is how old a session's last noted use may grow: an hour, or less
// where sessions are short.
func (a *Authenticator) touchEvery() time.Duration {
	return min(time.Hour, a.options.SessionTTL/24)
}

// Run notes the use of sessions, which moves their end, until ctx ends. It
// returns ctx's error. A write that fails is told to [Options.TouchFailed] and
// tried again with the session's next request.
func (a *Authenticator) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-a.touches.queue:
			if err := a.touch(ctx, s); err != nil && ctx.Err() == nil {
				a.options.TouchFailed(fmt.Errorf("touch session %v: %w", s.ID, err))
			}
		}
	}
}

func (a *Authenticator) touch(ctx context.Context, s *freshet.Session) error {
	defer a.touches.done(s)
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	now := a.now()
	if s, err := a.sessions.Get(ctx, s.Hash); err == nil && now.Sub(s.UsedAt) < a.touchEvery() {
		return nil // noted since the request looked
	}
	err := a.store.TouchSession(ctx, s.ID, now, now.Add(a.options.SessionTTL))
	if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound { // not found: it has been ended
		return err
	}
	return a.sessions.Invalidate(ctx, s.Hash)
}
