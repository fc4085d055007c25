package httpchannel_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/httpchannel"
	"github.com/freshet/freshet/cache/memory"
)

// A fleet is nodes on one layer, in one bubble of package synctest: the way between them is calls of their handlers, which can
// be cut, and time is the bubble's.
type fleet struct {
	*testing.T
	layer *memory.Layer

	mu    sync.Mutex
	hosts map[string]*node // who is reached at a host
	cut   map[[2]string]bool
}

const trust = time.Second

// inFleet runs a test in a bubble.
func inFleet(t *testing.T, test func(f *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{T: t, layer: memory.New(memory.Options{}), hosts: make(map[string]*node), cut: make(map[[2]string]bool)}
		defer f.layer.Close()
		defer func() {
			f.heal()
			for _, n := range f.hosts {
				n.set(nil)
				n.close()
			}
		}()
		test(f)
	})
}

// node is one of a fleet, and what its listener was told.
type node struct {
	*httpchannel.Remote
	f      *fleet
	host   string
	way    *way
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	keys   map[string]time.Time // when they were told
	tags   map[string]uint64
	alive  bool
	sent   time.Time
	beat   cache.Beat
	lost   int
	broken []error
	change func(*http.Response) // what it gets to see of answers
}

// set has a node see answers as they are not.
func (n *node) set(change func(*http.Response)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change = change
}

// join adds a node that listens, at a host.
func (f *fleet) join(host string) *node {
	n := f.start(host, secret)
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan struct{})
	go func() { defer close(n.ended); _ = n.Listen(ctx, n) }()
	return n
}

// start adds a node that does not listen.
func (f *fleet) start(host, secret string) *node {
	f.Helper()
	n := &node{f: f, host: host, way: &way{Remote: f.layer}, cancel: func() {}, keys: map[string]time.Time{}, tags: map[string]uint64{}}
	r, err := httpchannel.New(n.way, httpchannel.Options{
		URL: "http://" + host + "/", Secret: []byte(secret), Trust: trust, Client: &http.Client{Transport: n},
		Broken: func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.broken = append(n.broken, err)
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	n.Remote = r
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts[host] = n
	return n
}

func (n *node) close() {
	n.cancel()
	n.Close()
	if n.ended != nil {
		<-n.ended
	}
}

// crash ends a node as SIGKILL does: nobody hears of it again, and it hears of nobody. What is left of it goes on by itself.
func (n *node) crash() {
	n.way.set(func(string) bool { return true }, true)
	for _, host := range append(n.f.all(), "the others") {
		n.f.cutOff(n.host, host)
	}
}

func (f *fleet) all() (hosts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for host := range f.hosts {
		hosts = append(hosts, host)
	}
	return hosts
}

// cutOff cuts the way from one host to another, and back.
func (f *fleet) cutOff(one, other string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[[2]string{one, other}], f.cut[[2]string{other, one}] = true, true
}

func (f *fleet) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.cut)
	for _, n := range f.hosts {
		n.way.set(nil, false)
	}
}

var errCut = errors.New("no route to host")

// RoundTrip calls the handler of whoever is at the host.
func (n *node) RoundTrip(req *http.Request) (*http.Response, error) {
	n.f.mu.Lock()
	to, cut := n.f.hosts[req.URL.Host], n.f.cut[[2]string{n.host, req.URL.Host}]
	n.f.mu.Unlock()
	if cut || to == nil {
		return nil, errCut
	}
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		to.ServeHTTP(w, req)
	}()
	select {
	case <-done:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	n.f.mu.Lock()
	cut = n.f.cut[[2]string{n.host, req.URL.Host}]
	n.f.mu.Unlock()
	if cut {
		return nil, errCut
	}
	resp := w.Result()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.change != nil {
		n.change(resp)
	}
	return resp, nil
}

// way is a node's way to the layer, which has no channel and may fail.
type way struct {
	cache.Remote
	mu    sync.Mutex
	fails func(key string) bool
	mute  bool          // no beats come through
	lag   time.Duration // how long a call may take on its way
}

var errAway = errors.New("the layer is away")

func (w *way) set(fails func(key string) bool, mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails, w.mute = fails, mute
}

// slow has every call take a random time on its way.
func (w *way) slow(lag time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lag = lag
}

func (w *way) err(key string) error {
	w.mu.Lock()
	lag, fails := w.lag, w.fails
	w.mu.Unlock()
	if lag > 0 {
		time.Sleep(rand.N(lag))
	}
	if fails != nil && fails(key) {
		return errAway
	}
	return nil
}

func (w *way) Get(ctx context.Context, keys []string, out []cache.Record) error {
	if err := w.err(keys[0]); err != nil {
		return err
	}
	return w.Remote.Get(ctx, keys, out)
}

func (w *way) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	if err := w.err(asks[0].Key); err != nil {
		return err
	}
	return w.Remote.Lease(ctx, asks, out)
}

func (w *way) Fence(ctx context.Context, fences []cache.Fence) error {
	if err := w.err(fences[0].Key); err != nil {
		return err
	}
	return w.Remote.Fence(ctx, fences)
}

func (w *way) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	w.mu.Lock()
	mute := w.mute
	w.mu.Unlock()
	if mute {
		return errAway
	}
	return w.Remote.Beat(ctx, holder, ttl)
}

func (n *node) Forget(keys ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, key := range keys {
		n.keys[key] = time.Now()
	}
}

func (n *node) TagFenced(tag string, epoch uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tags[tag] = epoch
}

func (n *node) Alive(sent time.Time, beat cache.Beat) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive, n.sent, n.beat = true, sent, beat
}

func (n *node) Lost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive = false
	n.lost++
}

// told is what the listener was told so far.
type told struct {
	trusts bool // its memory
	lost   int
	beat   cache.Beat
	broken []error
}

func (n *node) told() told {
	n.mu.Lock()
	defer n.mu.Unlock()
	return told{n.alive && time.Since(n.sent) < trust, n.lost, n.beat, slices.Clone(n.broken)}
}

func (n *node) forgot(key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, is := n.keys[key]
	return is
}

// trusting waits until nodes trust their memory, and returns how long that took.
func (f *fleet) trusting(nodes ...*node) time.Duration {
	f.Helper()
	began := time.Now()
	for _, n := range nodes {
		f.await(n.host+" to trust its memory", func() bool { return n.told().trusts })
	}
	return time.Since(began)
}

func (f *fleet) await(what string, ok func() bool) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain for %s", what)
		}
	}
}

// fence has a node fence a key within a time.
func (n *node) fence(key string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return n.Fence(ctx, []cache.Fence{{Key: key, TTL: time.Minute}})
}

func (n *node) mustFence(key string) {
	n.f.Helper()
	if err := n.fence(key, 10*time.Second); err != nil {
		n.f.Fatal(fmt.Errorf("%s: %w", n.host, err))
	}
}
