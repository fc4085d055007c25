package memory

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// listener is a node that is told. Everybody who has something to tell does it himself, one at a time:
//
//	Fence ───────┐
//	FenceTags ───┼──▶ mu ──▶ cache.Listener
//	Listen's beat┘
type listener struct {
	mu sync.Mutex
	to cache.Listener
}

func (n *listener) tell(what func(cache.Listener)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what(n.to)
}

// Listen tells to what happens until ctx or the layer ends. It begins with Lost, as nothing is known of the time before,
// the tags that are known, and a beat.
func (l *Layer) Listen(ctx context.Context, to cache.Listener) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	n := l.join(to)
	defer l.leave(n)
	ticker := time.NewTicker(l.options.Beat)
	defer ticker.Stop()
	for {
		l.beat(n)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.closed:
			return fmt.Errorf("listen to memory layer: %w", cache.ErrClosed)
		case <-ticker.C:
		}
	}
}

// join adds a listener while no fence is under way, so that it hears of each either wholly or not at all.
func (l *Layer) join(to cache.Listener) *listener {
	n := &listener{to: to}
	l.telling.Lock()
	defer l.telling.Unlock()
	n.tell(func(to cache.Listener) {
		to.Lost()
		l.tagsMu.Lock()
		defer l.tagsMu.Unlock()
		for tag, epoch := range l.tags.epochs {
			to.TagFenced(tag, epoch)
		}
	})
	l.listenersMu.Lock()
	defer l.listenersMu.Unlock()
	l.listeners[n] = struct{}{}
	return n
}

func (l *Layer) leave(n *listener) {
	l.listenersMu.Lock()
	defer l.listenersMu.Unlock()
	delete(l.listeners, n)
}

// beat tells a listener that it has heard everything written before now.
func (l *Layer) beat(n *listener) {
	sent := time.Now()
	beat := l.settled()
	n.tell(func(to cache.Listener) { to.Alive(sent, beat) })
}

// settled returns what is so when nothing is under way that is written and not yet told.
func (l *Layer) settled() cache.Beat {
	l.telling.Lock()
	defer l.telling.Unlock()

	l.recordsMu.Lock()
	lost := l.records.lost
	l.recordsMu.Unlock()

	l.tagsMu.Lock()
	defer l.tagsMu.Unlock()
	return cache.Beat{
		Applied:    l.applied,
		Epoch:      l.tags.last,
		Horizon:    l.tags.horizon,
		Generation: l.name + "-" + strconv.FormatUint(lost, 10),
	}
}

// Confirm returns when all that was fenced before has been told.
func (l *Layer) Confirm(ctx context.Context) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.settled()
	return nil
}

// Advance publishes how far the source's changes have been fenced. Of each system the latest position stays.
func (l *Layer) Advance(ctx context.Context, applied position.Token) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.tagsMu.Lock()
	defer l.tagsMu.Unlock()
	l.applied = l.applied.Merge(applied)
	return nil
}

// FenceTags gives tags a new epoch and tells every listener before it returns.
func (l *Layer) FenceTags(ctx context.Context, tags []string) (uint64, error) {
	if err := l.usable(ctx); err != nil {
		return 0, err
	}
	l.telling.RLock()
	defer l.telling.RUnlock()
	l.tagsMu.Lock()
	epoch := l.tags.raise(tags)
	l.tagsMu.Unlock()
	l.tell(func(to cache.Listener) {
		for _, tag := range tags {
			to.TagFenced(tag, epoch)
		}
	})
	return epoch, nil
}

// tell tells every listener the same.
func (l *Layer) tell(what func(cache.Listener)) {
	l.listenersMu.Lock()
	listeners := make([]*listener, 0, len(l.listeners))
	for n := range l.listeners {
		listeners = append(listeners, n)
	}
	l.listenersMu.Unlock()
	for _, n := range listeners {
		n.tell(what)
	}
}
