package cachetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Histories runs some ops on three nodes while their ways to the layer fail, hang and come back, and checks what they read:
//
//   - confirmed: each key is a regular register, by porcupine. A write is two operations, begun and acknowledged; a read that
//     begins after the acknowledgement sees it, one that overlaps the write may see either value.
//   - by default: a session that bears its tokens sees at least what it wrote, on every node; and whoever reads MaxStale after
//     an invalidation has returned sees it.
//
// A history that is none is printed by its shortest part.
func Histories(t *testing.T, b Backend, ops int) {
	t.Run("Confirmed", func(t *testing.T) { confirmedHistory(newHistory(t, b), ops) })
	t.Run("Default", func(t *testing.T) { defaultHistory(newHistory(t, b), ops) })
}

const (
	historyKeys    = 4
	historyClients = 8
	// slack is what the bound may be exceeded by on a busy machine: the clock that memory goes by is moved by a goroutine.
	slack = 500 * time.Millisecond
)

// history is three nodes over a source of versions.
type history struct {
	*testing.T
	nodes []*node
	keys  [historyKeys]historyKey
	clock time.Time
	at    atomic.Uint64 // position of the source: the number of its writes
	name  string
}

// historyKey is one key of the source.
type historyKey struct {
	mu      sync.Mutex // one writer at a time
	version atomic.Int64
	at      atomic.Uint64
}

func newHistory(t *testing.T, b Backend) *history {
	h := &history{T: t, clock: time.Now(), name: id(newID()).text()}
	for i := range h.keys {
		h.keys[i].version.Store(1)
	}
	r := &race{T: t, Backend: b, source: &source{system: 1}}
	for range 3 {
		h.nodes = append(h.nodes, r.nodeOf(0, cache.Space[string, uint64]{
			Name: "history", Policy: cache.Policy{TTL: time.Minute, HardTimeout: 10 * time.Second},
			LoadMany: h.load,
		}))
	}
	return h
}

func (h *history) key(i int) string { return fmt.Sprint(h.name, "-", i) }

func (h *history) load(_ context.Context, keys []string) (map[string]uint64, error) {
	m := make(map[string]uint64)
	for _, key := range keys {
		var i int
		if _, err := fmt.Sscanf(key[min(len(key), len(h.name)):], "-%d", &i); err != nil || i >= historyKeys {
			continue // a probe's
		}
		m[key] = uint64(h.keys[i].version.Load())
	}
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // between the read and the fill
	}
	return m, nil
}

// commit writes a key, whose writer's lock the caller holds.
func (h *history) commit(i int) (version int64, token position.Token) {
	at := h.at.Add(1)
	version = h.keys[i].version.Add(1)
	h.keys[i].at.Store(at)
	return version, position.Token{{System: 1, Timeline: 1, Offset: at}}
}

// trouble breaks and mends the ways of the nodes at random until stop, and mends them all then.
func (h *history) trouble(stop <-chan struct{}) {
	faults := []func(*node, bool){
		func(n *node, on bool) { n.remote.broken.Store(on) },
		func(n *node, on bool) { n.remote.deaf.Store(on) },
	}
	for {
		n, fault := h.nodes[rand.IntN(len(h.nodes))], faults[rand.IntN(len(faults))]
		fault(n, true)
		ended := h.pause(stop, 300*time.Millisecond)
		fault(n, false)
		if ended || h.pause(stop, 700*time.Millisecond) {
			return
		}
	}
}

func (h *history) pause(stop <-chan struct{}, atMost time.Duration) (ended bool) {
	select {
	case <-stop:
		return true
	case <-time.After(rand.N(atMost)):
		return false
	}
}

// run has clients work until ops are done, in trouble.
func (h *history) run(ops int, op func(client int, rng *rand.Rand)) {
	stop := make(chan struct{})
	var troubles, clients sync.WaitGroup
	troubles.Go(func() { h.trouble(stop) })
	var done atomic.Int64
	for c := range historyClients {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), uint64(ops)))
			for done.Add(1) <= int64(ops) && !h.Failed() {
				op(c, rng)
			}
		})
	}
	clients.Wait()
	close(stop)
	troubles.Wait()
}

// step is the input of an operation in porcupine's history; a read's output is its version.
type step struct {
	key  int
	kind stepKind
	v    int64
}

type stepKind uint8

const (
	stepRead stepKind = iota
	stepBegin
	stepAcknowledged
)

// regular is the state of a key: its version, and the one that is being written.
type regular struct{ version, pending int64 }

var regularRegister = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, historyKeys)
		for _, op := range history {
			i := op.Input.(step).key
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return regular{version: 1} },
	Step: func(state, input, output any) (bool, any) {
		s, in := state.(regular), input.(step)
		switch in.kind {
		case stepBegin:
			return s.pending == 0, regular{s.version, in.v}
		case stepAcknowledged:
			return s.pending == in.v, regular{version: in.v}
		}
		v := output.(int64)
		return v == s.version || s.pending != 0 && v == s.pending, s
	},
	DescribeOperation: func(input, output any) string {
		in := input.(step)
		return fmt.Sprintf("%s %d %v", []string{"read", "begin", "acknowledged"}[in.kind], in.v, output)
	},
}

func confirmedHistory(h *history, ops int) {
	logs := make([][]porcupine.Operation, historyClients)
	h.run(ops, func(client int, rng *rand.Rand) {
		note := func(s step, from, to time.Duration, output int64) {
			logs[client] = append(logs[client], porcupine.Operation{ClientId: client, Input: s, Call: int64(from), Return: int64(to), Output: output})
		}
		i, n := rng.IntN(historyKeys), h.nodes[rng.IntN(len(h.nodes))]
		if rng.IntN(50) > 0 {
			from := time.Since(h.clock)
			v, err := n.values.Get(h.Context(), h.key(i))
			if err != nil {
				h.Errorf("get: %v", err)
				return
			}
			note(step{i, stepRead, 0}, from, time.Since(h.clock), int64(v))
			return
		}
		k := &h.keys[i]
		k.mu.Lock()
		defer k.mu.Unlock()
		from := time.Since(h.clock)
		v, token := h.commit(i)
		note(step{i, stepBegin, v}, from, time.Since(h.clock), 0)
		for {
			err := n.values.InvalidateConfirmed(cache.At(h.Context(), token), h.key(i))
			if err == nil {
				break
			}
			if !errors.Is(err, cache.ErrUnconfirmed) {
				h.Errorf("invalidate: %v", err)
				return
			}
		}
		acknowledged := time.Since(h.clock)
		note(step{i, stepAcknowledged, v}, acknowledged, acknowledged, 0)
	})
	var all []porcupine.Operation
	for _, log := range logs {
		all = append(all, log...)
	}
	if len(all) < ops/2 {
		h.Fatalf("%d operations of %d", len(all), ops)
	}
	result, info := porcupine.CheckOperationsVerbose(regularRegister, all, 2*time.Minute)
	if result != porcupine.Ok {
		h.Errorf("%d operations: %v, not a regular register; longest partial linearizations by key: %v", len(all), result, lengths(info))
	}
	h.Logf("%d operations", len(all))
}

func lengths(info porcupine.LinearizationInfo) (l []int) {
	for _, part := range info.PartialLinearizations() {
		longest := 0
		for _, p := range part {
			longest = max(longest, len(p))
		}
		l = append(l, longest)
	}
	return l
}

func defaultHistory(h *history, ops int) {
	type published struct {
		version int64
		since   time.Time
	}
	var last [historyKeys]atomic.Pointer[published]
	sessions := make([]position.Token, historyClients)
	own := make([][historyKeys]int64, historyClients)
	h.run(ops, func(client int, rng *rand.Rand) {
		i, n := rng.IntN(historyKeys), h.nodes[rng.IntN(len(h.nodes))]
		if rng.IntN(50) > 0 {
			known, began := last[i].Load(), time.Now()
			ctx, least, why := h.Context(), int64(1), ""
			if rng.IntN(2) == 0 {
				ctx, least, why = cache.At(ctx, sessions[client]), own[client][i], "its session wrote it"
			}
			if known != nil && began.Sub(known.since) > maxStale+slack && known.version > least {
				least, why = known.version, "it was invalidated longer ago than MaxStale"
			}
			v, err := n.values.Get(ctx, h.key(i))
			if err != nil {
				h.Errorf("get: %v", err)
			} else if int64(v) < least {
				h.Errorf("read version %d of %d, want at least %d: %s", v, i, least, why)
			}
			return
		}
		k := &h.keys[i]
		k.mu.Lock()
		defer k.mu.Unlock()
		v, token := h.commit(i)
		if err := n.values.Invalidate(cache.At(h.Context(), token), h.key(i)); err != nil {
			h.Errorf("invalidate: %v", err)
		}
		sessions[client], own[client][i] = sessions[client].Merge(token), v
		if !n.remote.broken.Load() { // else it is owed: see below
			last[i].Store(&published{v, time.Now()})
		}
	})
}
