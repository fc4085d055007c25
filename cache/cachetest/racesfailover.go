package cachetest

import (
	"sync"
	"testing"
	"time"
)

// Replicas are the servers of a layer that replicates and does not wait for it.
type Replicas struct {
	// Cut keeps from the replicas what is written from then on.
	Cut func()
	// FailOver has the replicas take the place of what they are replicas of, and returns when they serve.
	FailOver func()
}

// FailedOver is the race H with a failover in which the layer loses its last fences: it uses up the servers, and so stands
// apart from [Races]. The one exception that package cache names holds for as long as its MaxStale; after it, nothing that
// was ended may be read.
func FailedOver(t *testing.T, b Backend, servers Replicas) {
	r := newRace(t, b)
	inMemory, inLayer, inLoad := id(newID()).text(), id(newID()).text(), id(newID()).text()
	keys := []string{inMemory, inLayer, inLoad}
	r.key = inMemory
	r.want(1, r.one, r.other)
	r.key = inLayer
	r.want(1, r.one)
	resume := sync.OnceFunc(r.pausedOn(r.one, inLoad))
	t.Cleanup(resume)

	servers.Cut()
	r.source.write()
	if err := r.other.values.InvalidateConfirmed(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if err := r.other.stack.InvalidateTagsConfirmed(t.Context(), "some"); err != nil {
		t.Fatal(err)
	}
	servers.FailOver()
	resume()
	time.Sleep(maxStale)
	for began := time.Now(); time.Since(began) < 2*maxStale; time.Sleep(10 * time.Millisecond) {
		for _, r.key = range keys {
			r.want(2, r.one, r.other)
		}
	}
	// Both come to use what is now the layer.
	r.source.write()
	for _, n := range []*node{r.one, r.other} {
		gets := n.remote.gets.Load()
		r.eventually("a node uses the layer again", func() bool { r.probe(n); return n.remote.gets.Load() > gets })
	}
	for _, r.key = range keys {
		r.eventually("an invalidation is confirmed", func() bool { return r.one.values.InvalidateConfirmed(t.Context(), r.key) == nil })
		r.want(3, r.one, r.other, r.node(0))
	}
}

// restartUnnoticed: the server restarts, and a node whose channel hangs fences what it knows of, in a history that has ended
// for the others.
func restartUnnoticed(r *race) {
	if r.Restart == nil {
		r.Log("left out: the layer has no server that restarts alone")
		return
	}
	r.want(1, r.one, r.other)
	r.one.remote.deaf.Store(true)
	r.Restart(r.T)
	gets := r.other.remote.gets.Load()
	r.eventually("the other node uses the layer again", func() bool { r.probe(r.other); return r.other.remote.gets.Load() > gets })
	r.want(1, r.other)
	r.source.write()
	r.invalidated(r.one)
	r.one.remote.deaf.Store(false)
	r.eventually("the other node reads the new version", func() bool { return r.get(r.other) == 2 })
	r.want(2, r.one, r.other, r.node(0))
}
