package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet/freshet/cache"
)

// A register is a source of versioned rows behind a cache, and the check that the two together are regular: a read that begins
// after a write was acknowledged returns that write's version or a later one. A write is acknowledged when the cache has been
// told of it. Row 0 of a key is its absence.
type register struct {
	cache    *cache.Cache[int, int]
	rows     [registerKeys]atomic.Int64
	acked    [registerKeys]atomic.Int64
	writers  [registerKeys]sync.Mutex // Put wants its callers in order
	wire     func()                   // how long a message to or from the source takes
	failing  func() bool
	violated atomic.Pointer[string]
}

const registerKeys = 3

var errSource = errors.New("source failed")

func newRegister(stack *cache.Stack, policy cache.Policy) *register {
	r := &register{}
	r.cache = cache.Define(stack, cache.Space[int, int]{Name: "register", Policy: policy, LoadMany: r.loadMany})
	return r
}

func (r *register) loadMany(_ context.Context, keys []int) (map[int]int, error) {
	r.wire()
	found := make(map[int]int)
	for _, key := range keys {
		if v := r.rows[key].Load(); v > 0 {
			found[key] = int(v)
		}
	}
	r.wire()
	if r.failing() {
		return nil, errSource
	}
	return found, nil
}

// write changes the row of key, tells the cache and acknowledges.
func (r *register) write(ctx context.Context, op, key int) {
	r.writers[key].Lock()
	version := r.rows[key].Add(1)
	if op == opPut {
		r.cache.Put(ctx, key, int(version))
	}
	r.writers[key].Unlock()
	switch op {
	case opInvalidate:
		r.cache.Invalidate(ctx, key)
	case opInvalidateAll:
		r.cache.InvalidateAll(ctx)
	}
	for old := r.acked[key].Load(); old < version && !r.acked[key].CompareAndSwap(old, version); {
		old = r.acked[key].Load()
	}
}

// read checks what one read of keys returns.
func (r *register) read(ctx context.Context, op int, keys ...int) {
	var atLeast [registerKeys]int64
	for _, key := range keys {
		atLeast[key] = r.acked[key].Load()
	}
	if op == opFresh {
		ctx = cache.Fresh(ctx)
	}
	got := make(map[int]int)
	var err error
	if len(keys) == 1 {
		got[keys[0]], err = r.cache.Get(ctx, keys[0])
	} else {
		got, err = r.cache.GetMany(ctx, keys)
	}
	if errors.Is(err, errSource) {
		return
	}
	for _, key := range keys {
		if int64(got[key]) < atLeast[key] {
			s := fmt.Sprintf("op %d: key %d is %d, though %d was acknowledged before the read began", op, key, got[key], atLeast[key])
			r.violated.CompareAndSwap(nil, &s)
		}
	}
}

const (
	opGet = iota
	opGetMany
	opFresh
	opPut
	opInvalidate
	opInvalidateAll
	ops
)

func (r *register) do(ctx context.Context, op, key int) {
	switch op {
	case opGet, opFresh:
		r.read(ctx, op, key)
	case opGetMany:
		r.read(ctx, op, 0, 1, 2)
	default:
		r.write(ctx, op, key)
	}
}

// Random scripts for a few workers, with delays drawn in virtual time: every order of the steps of reads and writes that the
// delays can bring about, and a script that fails is shrunk.
func TestRegisterInVirtualTime(t *testing.T) {
	type step struct {
		Op, Key int
		Pause   time.Duration
	}
	millis := rapid.Map(rapid.IntRange(0, 40), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	script := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.IntRange(0, ops-1).Draw(t, "op"), rapid.IntRange(0, registerKeys-1).Draw(t, "key"), millis.Draw(t, "pause")}
	}), 1, 12)
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.SliceOfN(script, 2, 4).Draw(rt, "workers")
		delays := rapid.SliceOfN(millis, 1, 20).Draw(rt, "delays of the source")
		failures := rapid.IntRange(2, 9).Draw(rt, "source fails each nth time")
		var violated *string
		synctest.Test(t, func(t *testing.T) {
			stack := newStack(t, cache.Options{})
			r := newRegister(stack, cache.Policy{
				TTL: 60 * time.Millisecond, NegativeTTL: 60 * time.Millisecond, StaleFor: time.Second, SoftTimeout: 15 * time.Millisecond,
			})
			var sent, loads atomic.Int64
			r.wire = func() { time.Sleep(delays[int(sent.Add(1))%len(delays)]) }
			r.failing = func() bool { return int(loads.Add(1))%failures == 0 }
			var wg sync.WaitGroup
			for _, steps := range workers {
				wg.Go(func() {
					for _, step := range steps {
						time.Sleep(step.Pause)
						r.do(t.Context(), step.Op, step.Key)
					}
				})
			}
			wg.Wait()
			violated = r.violated.Load()
		})
		if violated != nil {
			rt.Fatal(*violated)
		}
	})
}

// The same in real time, where the narrow windows are.
func TestRegisterUnderLoad(t *testing.T) {
	r := newRegister(newStack(t, cache.Options{}), cache.Policy{TTL: 10 * time.Millisecond, StaleFor: time.Second, SoftTimeout: time.Millisecond})
	r.wire = func() {
		if rand.IntN(4) == 0 {
			time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
		}
	}
	r.failing = func() bool { return rand.IntN(20) == 0 }
	end := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(end) {
				op := rand.IntN(ops)
				if op >= opPut && rand.IntN(4) != 0 {
					op = opGet // five reads to each write, as one reads more than one writes
				}
				r.do(t.Context(), op, rand.IntN(registerKeys))
			}
		})
	}
	wg.Wait()
	if violated := r.violated.Load(); violated != nil {
		t.Fatal(*violated)
	}
}
