package memory

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Listen tells to what happens until ctx or the layer ends. It begins and ends with Lost: nothing is known of the time
// when nobody listened.
func (l *Layer) Listen(ctx context.Context, to cache.Listener) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	n := l.join()
	defer l.leave(n)
	defer to.Lost()
	ticker := time.NewTicker(l.options.Beat)
	defer ticker.Stop()
	for beat := true; ; {
		if beat {
			b, sent, beat := l.probe(n)
			l.tell(to, n, b)
			to.Alive(sent, beat)
		} else {
			l.tell(to, n, l.take(n))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.closed:
			return fmt.Errorf("listen to memory layer: %w", cache.ErrClosed)
		case <-ticker.C:
			beat = true
		case <-n.wake:
			beat = l.hastened(n)
		}
	}
}

// beat is what a probe brings back; mu is held.
func (l *Layer) beat() cache.Beat {
	return cache.Beat{
		Applied:    l.applied,
		Epoch:      l.tags.last,
		Horizon:    l.tags.horizon,
		Generation: l.name + "-" + strconv.FormatUint(l.records.lost, 10),
	}
}

// Confirm returns when every listener has been told what was fenced before, or has not answered for as long as it trusts
// its memory.
func (l *Layer) Confirm(ctx context.Context) error {
	targets := make(map[*listener]uint64)
	err := l.do(ctx, func(time.Time) {
		for n := range l.listeners {
			targets[n] = n.queued
			n.hasten = true // who confirms waits for his own beat
			n.rouse()
		}
	})
	if err != nil {
		return err
	}
	for n, target := range targets {
		if err := l.await(ctx, n, target); err != nil {
			return fmt.Errorf("confirm fences: %w", err)
		}
	}
	return nil
}

// await waits for one listener.
func (l *Layer) await(ctx context.Context, n *listener, target uint64) error {
	for {
		patience, progress := l.waits(n, target)
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

// Advance publishes how far the source's changes have been fenced. Of each system the latest position stays.
func (l *Layer) Advance(ctx context.Context, applied position.Token) error {
	return l.do(ctx, func(time.Time) {
		l.applied = l.applied.Merge(applied)
		for n := range l.listeners {
			n.hasten = true
			n.rouse()
		}
	})
}

// FenceTags gives tags a new epoch.
func (l *Layer) FenceTags(ctx context.Context, tags []string) (epoch uint64, err error) {
	err = l.do(ctx, func(time.Time) {
		epoch = l.tags.raise(tags)
		for _, tag := range tags {
			l.enqueue(event{tag: tag, epoch: epoch})
		}
	})
	return epoch, err
}
