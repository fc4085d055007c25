package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/internal/record"
	"github.com/freshet/freshet/position"
)

// Options configures a layer. The zero Options are fine.
type Options struct {
	// MaxBytes bounds what is kept. Default: 64 MiB.
	MaxBytes int64
	// Beat is how often listeners are told that they are up to date. Default: 200 ms.
	Beat time.Duration
	// Trust is how long after its last beat a node trusts its memory, which is how long Confirm waits for one that hangs.
	// Default: 1 s.
	Trust time.Duration
	// Now is the clock of TTLs. Default: time.Now.
	Now func() time.Time
}

// Layer is a shared layer within one process. It is safe for concurrent use.
type Layer struct {
	options Options
	name    string        // at random: the history of one layer is not that of another
	closed  chan struct{} // closed by Close
	once    sync.Once

	// mu is held while a record is changed and until the change is in the queue of every listener, so that what is
	// written is also queued. Nobody is told anything under it.
	mu        sync.Mutex
	records   table
	beats     map[cache.ID]int64 // until when a holder lives, Unix nanoseconds
	tags      tagEpochs
	applied   position.Token
	listeners map[*listener]struct{}
}

var (
	_ cache.Remote  = (*Layer)(nil)
	_ cache.Channel = (*Layer)(nil)
)

// New makes an empty layer.
func New(options Options) *Layer {
	if options.MaxBytes <= 0 {
		options.MaxBytes = 64 << 20
	}
	if options.Beat <= 0 {
		options.Beat = 200 * time.Millisecond
	}
	if options.Trust <= 0 {
		options.Trust = time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Layer{
		options:   options,
		name:      rand.Text(),
		closed:    make(chan struct{}),
		listeners: make(map[*listener]struct{}),
		records:   newTable(options.MaxBytes),
		beats:     make(map[cache.ID]int64),
		tags:      newTagEpochs(),
	}
}

// Get reads records.
func (l *Layer) Get(ctx context.Context, keys []string, out []cache.Record) error {
	return l.do(ctx, func(now time.Time) {
		for i, key := range keys {
			out[i] = own(l.records.get(key, now).View())
		}
	})
}

// Lease asks for leases.
func (l *Layer) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	return l.do(ctx, func(now time.Time) {
		for i, ask := range asks {
			r, answer := record.Lease(l.records.get(ask.Key, now), ask, now)
			if answer.Granted {
				l.records.put(ask.Key, r, now)
			}
			answer.Record = own(answer.Record)
			out[i] = answer
		}
	})
}

// Fill stores values. One that takes more than the whole layer may is refused, and what it was to renew is gone.
func (l *Layer) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	return l.do(ctx, func(now time.Time) {
		for i, fill := range fills {
			r, ok := record.Fill(l.records.get(fill.Key, now), fill, now)
			if ok && l.records.tooLarge(fill.Key, r) {
				l.records.put(fill.Key, r.Fenced(), now)
				ok = false
			} else if ok {
				r.Value = bytes.Clone(r.Value)
				l.records.put(fill.Key, r, now)
			}
			out[i] = ok
		}
	})
}

// Release gives leases back.
func (l *Layer) Release(ctx context.Context, held []cache.Held) error {
	return l.do(ctx, func(now time.Time) {
		for _, h := range held {
			if r, ok := record.Release(l.records.get(h.Key, now), h, now); ok {
				l.records.put(h.Key, r, now)
			}
		}
	})
}

// Fence ends what is stored under keys. When it returns every listener's queue bears the keys.
func (l *Layer) Fence(ctx context.Context, fences []cache.Fence) error {
	return l.do(ctx, func(now time.Time) {
		for _, f := range fences {
			l.records.put(f.Key, record.Fence(l.records.get(f.Key, now), f, now), now)
			l.enqueue(event{key: f.Key})
		}
	})
}

// Beat says that a holder lives.
func (l *Layer) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	return l.do(ctx, func(now time.Time) {
		if _, known := l.beats[holder]; !known {
			for other, until := range l.beats { // holders are few: one per process
				if until <= now.UnixNano() {
					delete(l.beats, other)
				}
			}
		}
		l.beats[holder] = now.Add(ttl).UnixNano()
	})
}

// Beating tells whether a holder's last Beat is in force.
func (l *Layer) Beating(ctx context.Context, holder cache.ID) (alive bool, err error) {
	err = l.do(ctx, func(now time.Time) { alive = l.beats[holder] > now.UnixNano() })
	return alive, err
}

// Now is Options.Now.
func (l *Layer) Now() time.Time { return l.options.Now() }

// Close ends the layer: Listen returns, and all that is called after it fails with cache.ErrClosed.
func (l *Layer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// do runs f with the layer locked.
func (l *Layer) do(ctx context.Context, f func(now time.Time)) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.options.Now())
	return nil
}

func (l *Layer) usable(ctx context.Context) error {
	select {
	case <-l.closed:
		return fmt.Errorf("use memory layer: %w", cache.ErrClosed)
	default:
		return ctx.Err()
	}
}

// own gives a reader bytes of his own.
func own(r cache.Record) cache.Record {
	r.Value = bytes.Clone(r.Value)
	return r
}
