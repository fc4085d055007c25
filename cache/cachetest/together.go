package cachetest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet/cache"
)

func nodesShare(b *bench) {
	k, other := b.key("k"), b.open(b.T)
	value := b.filled(k, "value")
	out := make([]cache.Record, 1)
	if err := other.Get(b.ctx(), []string{k}, out); err != nil {
		b.Fatal(err)
	}
	same(b.T, out[0], cache.Record{State: cache.Filled, Value: value})
	if err := other.Fence(b.ctx(), []cache.Fence{{Key: k, At: at(1, 1, 1), TTL: long}}); err != nil {
		b.Fatal(err)
	}
	b.want(k, cache.Record{State: cache.Absent})
	if got := b.fenceAt(k); got != at(1, 1, 1) {
		b.Errorf("another node's fence is at %v", got)
	}
}

// together has n callers on two nodes do the same at the same time.
func (b *bench) together(n int, do func(caller int, r cache.Remote)) {
	nodes := []cache.Remote{b.r, b.open(b.T)}
	var (
		all   sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range n {
		all.Go(func() {
			<-start
			do(i, nodes[i%2])
		})
	}
	close(start)
	all.Wait()
}

// races has 64 callers ask for a key together, round after round; ask says how, and exactly one is to be granted.
func (b *bench) races(ask func(round int) cache.LeaseAsk) {
	const callers = 64
	for round := range size(3, 20) {
		common := ask(round)
		var granted atomic.Int32
		var winner atomic.Pointer[cache.LeaseAsk]
		b.together(callers, func(_ int, r cache.Remote) {
			mine, out := common, make([]cache.LeaseAnswer, 1)
			mine.Lease, mine.Holder, mine.TTL = newLease(), newLease(), long
			if err := r.Lease(b.ctx(), []cache.LeaseAsk{mine}, out); err != nil {
				b.Error(err)
			}
			if out[0].Granted {
				granted.Add(1)
				winner.Store(&mine)
			}
		})
		if n := granted.Load(); n != 1 {
			b.Fatalf("%d of %d callers were granted one key", n, callers)
		}
		if got := b.get(common.Key); got.Lease != winner.Load().Lease || got.Holder != winner.Load().Holder {
			b.Fatalf("the key does not bear the lease that was granted: %s", show(got))
		}
	}
}

func oneOfMany(b *bench) {
	b.races(func(round int) cache.LeaseAsk { return cache.LeaseAsk{Key: b.key(fmt.Sprint(round))} })
}

func oneTakesOver(b *bench) {
	b.races(func(round int) cache.LeaseAsk {
		k := b.key(fmt.Sprint(round))
		dead, _ := b.lease(k)
		return cache.LeaseAsk{Key: k, Over: dead}
	})
}

// noFillAfterAFence: whatever the order in which they come, of loaders and writers that race on a key nobody fills what
// was leased before a fence that has returned.
func noFillAfterAFence(b *bench) {
	k := b.key("k")
	var fenced atomic.Uint64 // offset of the latest fence that has returned
	var wrong atomic.Int32
	offset := func(v []byte) (n uint64) {
		fmt.Sscanf(string(v[cache.StampSize:]), "%d", &n)
		return n
	}
	b.together(16, func(caller int, r cache.Remote) {
		for range size(20, 100) {
			switch caller % 4 {
			case 0: // a writer; offsets come out of order, which must not matter
				at := at(1, 1, fenced.Load()+1)
				if err := r.Fence(b.ctx(), []cache.Fence{{Key: k, At: at, TTL: long}}); err != nil {
					b.Error(err)
					return
				}
				for old := fenced.Load(); old < at.Offset && !fenced.CompareAndSwap(old, at.Offset); old = fenced.Load() {
				}
			case 1: // a reader: what it finds was loaded at or after every fence that had returned
				must, out := fenced.Load(), make([]cache.Record, 1)
				if err := r.Get(b.ctx(), []string{k}, out); err != nil {
					b.Error(err)
					return
				}
				if out[0].State == cache.Filled && offset(out[0].Value) < must {
					wrong.Add(1)
				}
			default: // a loader reads the source as late as it is told to, and no later
				out, lease := make([]cache.LeaseAnswer, 1), newLease()
				if err := r.Lease(b.ctx(), []cache.LeaseAsk{{Key: k, Lease: lease, Holder: lease, TTL: long}}, out); err != nil {
					b.Error(err)
					return
				}
				if !out[0].Granted {
					continue
				}
				fill := cache.Fill{Key: k, Lease: lease, Value: newValue(fmt.Sprint(out[0].Fence.Offset)), TTL: long}
				if err := r.Fill(b.ctx(), []cache.Fill{fill}, make([]bool, 1)); err != nil {
					b.Error(err)
					return
				}
			}
		}
	})
	if n := wrong.Load(); n > 0 {
		b.Errorf("%d reads found what was leased before a fence that had returned", n)
	}
}
