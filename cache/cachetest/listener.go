package cachetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
)

// seen is what a node has been told so far.
type seen struct {
	keys  map[string]bool   // what was forgotten
	tags  map[string]uint64 // the last epoch of each
	alive bool              // told Alive, and not Lost since
	sent  time.Time         // of the last Alive
	beat  cache.Beat
	lost  int
	drawn map[uint64]string // the tags that a test has fenced, by epoch
}

func (s *seen) forgot(keys ...string) bool {
	for _, k := range keys {
		if !s.keys[k] {
			return false
		}
	}
	return true
}

// trusts tells whether the node may still answer from memory.
func (s *seen) trusts(now time.Time, trust time.Duration) bool {
	return s.alive && now.Sub(s.sent) < trust
}

// listener is a node that listens, and the goroutine that does.
type listener struct {
	Node
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
	inside atomic.Int32
	gate   sync.RWMutex // held while Forget is to hang

	mu      sync.Mutex
	seen    seen
	atAlive func(*seen) // looks at each Alive in the moment when it is told
}

// listening starts to listen and returns after the first Alive.
func listening(t *testing.T, n Node) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &listener{Node: n, t: t, cancel: cancel, ended: make(chan error, 1), seen: seen{keys: map[string]bool{}, tags: map[string]uint64{}, drawn: map[uint64]string{}}}
	go func() { l.ended <- n.Listen(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		<-l.ended
	})
	l.await("the first Alive", func(s *seen) bool { return s.alive })
	return l
}

// await waits until what the node was told is as it should be.
func (l *listener) await(what string, ok func(*seen) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		done := ok(&l.seen)
		l.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("a node waits in vain for %s", what)
		}
	}
}

// check looks at what the node was told.
func (l *listener) check(look func(*seen)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	look(&l.seen)
}

func (l *listener) losses() (n int) {
	l.check(func(s *seen) { n = s.lost })
	return n
}

// reset has the node forget that it forgot.
func (l *listener) reset(key string) { l.check(func(s *seen) { delete(s.keys, key) }) }

// block has Forget hang until unblock is called, or the test ends.
func (l *listener) block() (unblock func()) {
	l.gate.Lock()
	unblock = sync.OnceFunc(l.gate.Unlock)
	l.t.Cleanup(unblock)
	return unblock
}

// enter counts who is inside: Listen calls from one goroutine at a time.
func (l *listener) enter() func() {
	if l.inside.Add(1) > 1 {
		l.t.Error("a listener was called from two goroutines at a time")
	}
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		l.inside.Add(-1)
	}
}

func (l *listener) Forget(keys ...string) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	defer l.enter()()
	for _, k := range keys {
		l.seen.keys[k] = true
	}
}

func (l *listener) TagFenced(tag string, epoch uint64) {
	defer l.enter()()
	l.seen.tags[tag] = epoch
}

func (l *listener) Alive(sent time.Time, beat cache.Beat) {
	defer l.enter()()
	l.seen.alive, l.seen.sent, l.seen.beat = true, sent, beat
	if l.atAlive != nil {
		l.atAlive(&l.seen)
	}
}

func (l *listener) Lost() {
	defer l.enter()()
	l.seen.alive = false
	l.seen.lost++
}
