package memcached

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/internal/record"
)

// Remote is a layer on memcached. It is safe for concurrent use.
type Remote struct {
	keys    keys
	servers []*server
	cancel  context.CancelFunc
	running sync.WaitGroup
}

var _ cache.Remote = (*Remote)(nil)

// Open connects to all servers and fails if one is out of reach within ctx. A server that is lost later is connected to
// again for as long as it takes; meanwhile what concerns it fails at once.
func Open(ctx context.Context, options Options) (*Remote, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open memcached: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Remote{keys: keys{prefix: options.Prefix, hash: func(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }}, cancel: cancel}
	first := make(chan error, len(options.Servers)*options.Conns)
	for _, addr := range options.Servers {
		s := newServer(addr, options)
		r.servers = append(r.servers, s)
		for slot := range options.Conns {
			r.running.Go(func() { s.run(running, slot, first) })
		}
	}
	for range cap(first) {
		select {
		case err = <-first:
		case <-ctx.Done():
			err = fmt.Errorf("connect to %v: %w", options.Servers, ctx.Err())
		}
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("open memcached: %w", err)
		}
	}
	return r, nil
}

// Close ends all connections and returns when nothing of them is left. What waits for an answer gets ErrClosed.
func (r *Remote) Close() error {
	r.cancel()
	r.running.Wait()
	return nil
}

// Now is the time of the first server that has told its own, to half a second.
func (r *Remote) Now() time.Time {
	for _, s := range r.servers {
		if now, ok := s.clock.now(); ok {
			return now
		}
	}
	return time.Now()
}

// Get reads records.
func (r *Remote) Get(ctx context.Context, keys []string, out []cache.Record) error {
	if len(keys) == 1 {
		return r.getOne(ctx, keys[0], &out[0])
	}
	return r.each(len(keys), func(i int) string { return keys[i] }, func(s *server, of []int) error {
		l, err := s.link()
		if err != nil {
			return err
		}
		c := l.newCall(len(of))
		for _, i := range of {
			c.get(r.keys.wire(keys[i]))
		}
		if err := l.do(ctx, c); err != nil {
			return err
		}
		now := r.Now()
		for j, i := range of {
			out[i] = l.parse(c.replies[j], r.keys.wire(keys[i]), now).View()
		}
		c.free()
		return nil
	})
}

// getOne is Get without what a batch takes.
func (r *Remote) getOne(ctx context.Context, key string, out *cache.Record) error {
	l, err := pick(r.servers, key).link()
	if err != nil {
		return err
	}
	wire := r.keys.wire(key)
	c := l.newCall(1)
	c.get(wire)
	if err := l.do(ctx, c); err != nil {
		return err
	}
	*out = l.parse(c.replies[0], wire, r.Now()).View()
	c.free()
	return nil
}

// Lease asks for leases.
func (r *Remote) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	return r.swap(ctx, len(asks), swap{
		key: func(i int) string { return asks[i].Key },
		next: func(i int, old record.Record, now time.Time) (record.Record, bool) {
			next, answer := record.Lease(old, asks[i], now)
			out[i] = answer
			return next, answer.Granted
		},
	})
}

// Fill stores values. Of those that the server can't take a TooLargeError tells; their keys hold nothing.
func (r *Remote) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	return r.swap(ctx, len(fills), swap{
		key: func(i int) string { return fills[i].Key },
		next: func(i int, old record.Record, now time.Time) (next record.Record, ok bool) {
			next, ok = record.Fill(old, fills[i], now)
			out[i] = ok
			return next, ok
		},
		tooLarge: func(i int) { out[i] = false },
	})
}

// Release gives leases back.
func (r *Remote) Release(ctx context.Context, held []cache.Held) error {
	return r.swap(ctx, len(held), swap{
		key: func(i int) string { return held[i].Key },
		next: func(i int, old record.Record, now time.Time) (record.Record, bool) {
			return record.Release(old, held[i], now)
		},
	})
}

// Fence stores tombstones, also where nothing is known of a key: it may have been evicted, and its loader still be loading.
func (r *Remote) Fence(ctx context.Context, fences []cache.Fence) error {
	return r.swap(ctx, len(fences), swap{
		key: func(i int) string { return fences[i].Key },
		next: func(i int, old record.Record, now time.Time) (record.Record, bool) {
			return record.Fence(old, fences[i], now), true
		},
	})
}

// Beat stores an item in the holder's name. The server's clock alone ends it: later by up to two seconds, never sooner, so
// that nobody who lives is taken for dead.
func (r *Remote) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	key := beatKey(holder)
	l, err := pick(r.servers, key).link()
	if err != nil {
		return err
	}
	now := r.Now()
	c := l.newCall(1)
	c.overwrite(r.keys.wire(key), record.Record{Epoch: l.epoch, Holder: holder, LeaseUntil: now.Add(max(ttl, 1)).UnixNano()}, now)
	if err := l.do(ctx, c); err != nil {
		return err
	}
	err = l.refused(c.replies[0])
	c.free()
	return err
}

// Beating tells whether a holder's last Beat is in force.
func (r *Remote) Beating(ctx context.Context, holder cache.ID) (bool, error) {
	key := beatKey(holder)
	l, err := pick(r.servers, key).link()
	if err != nil {
		return false, err
	}
	c := l.newCall(1)
	wire := r.keys.wire(key)
	c.get(wire)
	if err := l.do(ctx, c); err != nil {
		return false, err
	}
	beat, ok := record.Parse(c.replies[0].value, wire.bears)
	c.free()
	return ok && beat.Epoch == l.epoch && beat.Holder == holder, nil
}

func beatKey(holder cache.ID) string { return "!beat:" + hex.EncodeToString(holder[:]) }

// parse is what an item says that holds now: nothing if it is foreign, and of a record from before the server's restart
// its fence alone.
func (l *link) parse(rep reply, key wireKey, now time.Time) record.Record {
	if rep.code != value {
		return record.Record{}
	}
	rec, ok := record.Parse(rep.value, key.bears)
	if !ok {
		return record.Record{}
	}
	if rec.Epoch != l.epoch {
		rec = rec.Fenced()
	}
	return rec.At(now)
}

// refused is the error of an answer that is one.
func (l *link) refused(rep reply) error {
	if rep.code != serverError {
		return nil
	}
	return &ServerError{Server: l.server.addr, Message: rep.message}
}
