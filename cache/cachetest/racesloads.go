package cachetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
)

// The races that are about loads, leases and a layer that fails.

func oneLoadInAll(r *race) {
	before := r.source.loads.Load()
	r.one.set(func(_ context.Context, v uint64) uint64 { time.Sleep(50 * time.Millisecond); return v }, nil)
	r.other.set(func(_ context.Context, v uint64) uint64 { time.Sleep(50 * time.Millisecond); return v }, nil)
	var wg sync.WaitGroup
	for range 100 {
		for _, n := range []*node{r.one, r.other} {
			wg.Go(func() {
				if v, err := n.values.Get(r.Context(), r.key); err != nil || v != 1 {
					r.Errorf("get: %d, %v", v, err)
				}
			})
		}
	}
	wg.Wait()
	if loads := r.source.loads.Load() - before; loads != 1 {
		r.Errorf("%d loads for one key on two nodes, want 1", loads)
	}
}

// deadHolder: a process dies with a lease. Its place is taken within about a second.
func deadHolder(r *race) {
	r.want(1, r.one)
	full := *r.one.remote.lastKey.Load()
	r.key = id(newID()).text()
	ask := cache.LeaseAsk{Key: full[:len(full)-len(keyOf(full))] + r.key, Lease: cache.ID(newID()), Holder: cache.ID(newID()), TTL: time.Minute}
	answers := make([]cache.LeaseAnswer, 1)
	if err := r.one.remote.Remote.Lease(r.Context(), []cache.LeaseAsk{ask}, answers); err != nil || !answers[0].Granted {
		r.Fatalf("lease of a process that never beats: %+v, %v", answers, err)
	}
	began := time.Now()
	r.want(1, r.other)
	if took := time.Since(began); took > 1200*time.Millisecond {
		r.Errorf("the lease of a dead process kept its key for %v", took)
	}
}

// deadRenewer: a process dies while it renews a value that others may be served stale meanwhile. They don't wait, and one of
// them takes its place.
func deadRenewer(r *race) {
	r.want(1, r.one)
	full := *r.one.remote.lastKey.Load()
	stale := cache.Define(r.other.stack, cache.Space[string, uint64]{
		Name: "stale", Policy: cache.Policy{TTL: 100 * time.Millisecond, Jitter: -1, StaleFor: time.Minute},
		LoadMany: func(_ context.Context, keys []string) (map[string]uint64, error) {
			return map[string]uint64{keys[0]: r.source.version.Load()}, nil
		},
	})
	get := func(want uint64) (ok bool, took time.Duration) {
		began := time.Now()
		v, err := stale.Get(r.Context(), r.key)
		if err != nil {
			r.Fatal(err)
		}
		return v == want, time.Since(began)
	}
	get(1)
	key := full[:len(full)-len(keyOf(full))-len("race:")] + "stale:" + r.key
	record := make([]cache.Record, 1)
	if err := r.one.remote.Remote.Get(r.Context(), []string{key}, record); err != nil || record[0].State != cache.Filled {
		r.Fatalf("%s holds %+v, %v", key, record[0], err)
	}
	ask := cache.LeaseAsk{Key: key, Lease: cache.ID(newID()), Holder: cache.ID(newID()), Renew: cache.Stamp(record[0].Value), TTL: time.Minute}
	answers := make([]cache.LeaseAnswer, 1)
	if err := r.one.remote.Remote.Lease(r.Context(), []cache.LeaseAsk{ask}, answers); err != nil || !answers[0].Granted {
		r.Fatalf("renewal by a process that never beats: %+v, %v", answers, err)
	}
	r.source.write()
	time.Sleep(150 * time.Millisecond)
	began := time.Now()
	for {
		ok, took := get(2)
		if ok {
			break
		}
		if took > 500*time.Millisecond {
			r.Errorf("a read that may be answered by a stale value took %v", took)
		}
		if time.Since(began) > 1200*time.Millisecond {
			r.Fatal("nobody takes the place of the dead process")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// keyOf is the part of a key in the layer that its space has given it.
func keyOf(full string) string {
	for i := len(full) - 1; i >= 0; i-- {
		if full[i] == ':' {
			return full[i+1:]
		}
	}
	return full
}

// remoteFails: the layer is out of reach of one node, which goes on from the source, and owes its fences.
func remoteFails(r *race) {
	r.want(1, r.one, r.other)
	r.one.remote.broken.Store(true)
	r.source.write()
	r.invalidated(r.one)
	r.want(2, r.one)
	if err := func() error {
		ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
		defer cancel()
		return r.one.values.InvalidateConfirmed(ctx, r.key)
	}(); !errors.Is(err, cache.ErrUnconfirmed) {
		r.Errorf("a confirmation without the layer: %v, want %v", err, cache.ErrUnconfirmed)
	}
	r.one.remote.broken.Store(false)
	r.eventually("the fence that is owed is paid", func() bool { return r.get(r.other) == 2 })
	r.confirmed(r.one)
	r.want(2, r.one, r.other, r.node(0))
}

// foreignBytes: what is no envelope is a miss, whatever it is.
func foreignBytes(r *race) {
	r.want(1, r.one)
	full := *r.one.remote.lastKey.Load()
	prefix := full[:len(full)-len(keyOf(full))]
	for i, value := range [][]byte{newValue(""), newValue("foreign"), make([]byte, 1000), []byte(fmt.Sprint(newID()))} {
		key := id(newID()).text()
		lease, answers, out := cache.ID(newID()), make([]cache.LeaseAnswer, 1), make([]bool, 1)
		ask := cache.LeaseAsk{Key: prefix + key, Lease: lease, Holder: cache.ID(newID()), TTL: time.Minute}
		if err := r.one.remote.Remote.Lease(r.Context(), []cache.LeaseAsk{ask}, answers); err != nil {
			r.Fatal(err)
		}
		fill := cache.Fill{Key: prefix + key, Lease: lease, Value: value, TTL: time.Minute}
		if err := r.one.remote.Remote.Fill(r.Context(), []cache.Fill{fill}, out); err != nil || !out[0] {
			r.Fatalf("fill %d: %v, %v", i, out, err)
		}
		if v, err := r.other.values.Get(r.Context(), key); err != nil || v != 1 {
			r.Errorf("a key with foreign bytes %d reads %d, %v", i, v, err)
		}
	}
	var undecodable uint64
	for _, s := range r.other.stack.Stats() {
		undecodable += s.Undecodable
	}
	if undecodable == 0 {
		r.Error("no foreign bytes were counted")
	}
}
