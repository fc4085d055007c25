package cachetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache"
)

// faulty is a node's way to the layer, in which things can go wrong.
type faulty struct {
	cache.Remote
	broken  atomic.Bool  // every call fails
	deaf    atomic.Bool  // what the channel tells hangs
	away    atomic.Bool  // what the channel tells is lost; hangUp says so
	missed  atomic.Int64 // keys of messages that were lost
	told    atomic.Pointer[hardOfHearing]
	ahead   time.Duration
	gets    atomic.Int64
	lastKey atomic.Pointer[string]
}

var errBroken = errors.New("cachetest: the way to the layer is broken")

func (f *faulty) err() error {
	if f.broken.Load() {
		return errBroken
	}
	return nil
}

func (f *faulty) Get(ctx context.Context, keys []string, out []cache.Record) error {
	if err := f.err(); err != nil {
		return err
	}
	f.gets.Add(1)
	if len(keys) > 0 {
		f.lastKey.Store(&keys[0])
	}
	return f.Remote.Get(ctx, keys, out)
}

func (f *faulty) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Remote.Lease(ctx, asks, out)
}

func (f *faulty) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Remote.Fill(ctx, fills, out)
}

func (f *faulty) Release(ctx context.Context, held []cache.Held) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Remote.Release(ctx, held)
}

func (f *faulty) Fence(ctx context.Context, fences []cache.Fence) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Remote.Fence(ctx, fences)
}

func (f *faulty) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Remote.Beat(ctx, holder, ttl)
}

func (f *faulty) Now() time.Time { return f.Remote.Now().Add(f.ahead) }

// faultyChannel is the same of a layer with a channel.
type faultyChannel struct {
	*faulty
	cache.Channel
}

func (f *faultyChannel) Listen(ctx context.Context, l cache.Listener) error {
	h := &hardOfHearing{l, f.faulty}
	f.told.Store(h)
	return f.Channel.Listen(ctx, h)
}

func (f *faultyChannel) FenceTags(ctx context.Context, tags []string) (uint64, error) {
	if err := f.err(); err != nil {
		return 0, err
	}
	return f.Channel.FenceTags(ctx, tags)
}

// hardOfHearing hears nothing while its node is deaf, and what it is told then reaches it later. So the layer can't take it
// for told.
type hardOfHearing struct {
	cache.Listener
	f *faulty
}

func (h *hardOfHearing) hears() bool {
	for h.f.deaf.Load() {
		time.Sleep(time.Millisecond)
	}
	return !h.f.away.Load()
}

// comeBack ends being away: the node is told that it may have missed something.
func (f *faulty) comeBack() {
	f.told.Load().Listener.Lost()
	f.away.Store(false)
}

func (h *hardOfHearing) Forget(keys ...string) {
	if h.hears() {
		h.Listener.Forget(keys...)
	} else {
		h.f.missed.Add(int64(len(keys)))
	}
}

func (h *hardOfHearing) TagFenced(tag string, epoch uint64) {
	if h.hears() {
		h.Listener.TagFenced(tag, epoch)
	}
}

func (h *hardOfHearing) Alive(sent time.Time, beat cache.Beat) {
	if h.hears() {
		h.Listener.Alive(sent, beat)
	}
}

func (h *hardOfHearing) Lost() {
	h.hears()
	h.Listener.Lost()
}
