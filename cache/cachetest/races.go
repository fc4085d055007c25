package cachetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Backend is a remote layer under whole stacks: what [Races] puts nodes on.
type Backend struct {
	// Open joins another node to the layer, and has it leave when t ends.
	Open func(t *testing.T) cache.Remote
	// Restart ends the server at once and starts it again, with what it had on disk alone. Nil: that can't happen.
	Restart func(t *testing.T)
	// Evict takes what lies under a key from the layer, its tombstone too. Nil: that can't happen.
	Evict func(t *testing.T, key string)
}

// Races drives two nodes, each a stack of its own on one layer and one source, through the interleavings in which caches go
// stale: each is forced, none left to chance. Where a fault can't occur on a backend, that is logged with the reason.
func Races(t *testing.T, b Backend) {
	for _, c := range []struct {
		name string
		test func(*race)
	}{
		{"A/LoaderPausedAcrossInvalidation", loaderPaused},
		{"B/ReadBegunAfterInvalidation", readBegunAfter},
		{"C/InvalidationFromTheOtherNode", invalidatedElsewhere},
		{"D/MemoryOfTheOtherNode", memoryOfTheOther},
		{"D/MemoryOfTheOtherNodeByDefault", memoryWithinBound},
		{"E/MessageBeforeTheFill", messageBeforeFill},
		{"F/LaggingReplicaRefills", laggingReplica},
		{"G/ClocksApart", clocksApart},
		{"H/RestartInTheMiddleOfAFill", restartInFill},
		{"H/RestartUnnoticed", restartUnnoticed},
		{"I/MessagesLost", messagesLost},
		{"I/MessagesMissed", messagesMissed},
		{"I/SilentChannel", silentChannel},
		{"J/TombstoneEvicted", tombstoneEvicted},
		{"Tags", tagsOnBothNodes},
		{"WriteThrough", writeThrough},
		{"OneLoad", oneLoadInAll},
		{"DeadHolder", deadHolder},
		{"DeadHolderOfARenewal", deadRenewer},
		{"RemoteFails", remoteFails},
		{"ForeignBytes", foreignBytes},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(newRace(t, b)) })
	}
}

// race is two nodes over one source.
type race struct {
	*testing.T
	Backend
	source *source
	one    *node
	other  *node
	key    string
}

const maxStale = time.Second

func newRace(t *testing.T, b Backend) *race {
	r := &race{T: t, Backend: b, source: &source{system: 1}, key: id(newID()).text()}
	r.source.version.Store(1)
	r.one, r.other = r.node(0), r.node(0)
	return r
}

// source is the database: a version that rises with each write, which is its position as well.
type source struct {
	system  uint64
	version atomic.Uint64
	loads   atomic.Int64
}

func (s *source) write() position.Token {
	return position.Token{{System: s.system, Timeline: 1, Offset: s.version.Add(1)}}
}

// node is one process.
type node struct {
	stack  *cache.Stack
	values *cache.Cache[string, uint64]
	remote *faulty

	mu       sync.Mutex
	inLoad   func(ctx context.Context, read uint64) uint64 // after the source was read
	inDecode func()
}

func (n *node) set(load func(context.Context, uint64) uint64, decode func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inLoad, n.inDecode = load, decode
}

func (n *node) hooks() (load func(context.Context, uint64) uint64, decode func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inLoad, n.inDecode
}

// hooked is a codec that can be held up.
type hooked struct {
	cache.Codec[uint64]
	n *node
}

func (h hooked) Decode(data []byte) (uint64, error) {
	if _, decode := h.n.hooks(); decode != nil {
		decode()
	}
	return h.Codec.Decode(data)
}

// node starts one whose clock is ahead.
func (r *race) node(ahead time.Duration) *node {
	return r.nodeOf(ahead, cache.Space[string, uint64]{})
}

// nodeOf starts one with a space; the zero space is that of the races.
func (r *race) nodeOf(ahead time.Duration, space cache.Space[string, uint64]) *node {
	n := &node{remote: &faulty{Remote: r.Open(r.T), ahead: ahead}}
	var remote cache.Remote = n.remote
	if channel, ok := n.remote.Remote.(cache.Channel); ok {
		remote = &faultyChannel{faulty: n.remote, Channel: channel}
	}
	var err error
	if n.stack, err = cache.NewStack(cache.Options{Remote: remote, MaxStale: maxStale}); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		n.remote.deaf.Store(false)
		if err := n.stack.Close(); err != nil {
			r.Error(err)
		}
	})
	if space.Name == "" {
		space = r.space(n)
	}
	n.values = cache.Define(n.stack, space)
	r.joined(n)
	return n
}

// space is that of the races on a node: its loads and decodings can be held up.
func (r *race) space(n *node) cache.Space[string, uint64] {
	return cache.Space[string, uint64]{
		Name: "race", Codec: hooked{cache.JSON[uint64](), n},
		Policy: cache.Policy{TTL: time.Minute, HardTimeout: 20 * time.Second},
		Tags:   func(string, uint64) []string { return []string{"all", "some"} },
		LoadMany: func(ctx context.Context, keys []string) (map[string]uint64, error) {
			r.source.loads.Add(1)
			read := r.source.version.Load()
			if load, _ := n.hooks(); load != nil {
				read = load(ctx, read)
			}
			m := make(map[string]uint64)
			for _, k := range keys {
				m[k] = read
			}
			return m, nil
		},
	}
}

// joined waits until a node uses the layer.
func (r *race) joined(n *node) {
	r.Helper()
	r.eventually("the node uses the remote layer", func() bool { return n.remote.gets.Load() > 0 || r.probe(n) })
}

func (r *race) probe(n *node) bool {
	_, err := n.values.Get(r.Context(), "probe"+id(newID()).text())
	return err == nil && n.remote.gets.Load() > 0
}

func (r *race) eventually(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("never: %s", what)
		}
	}
}

func (r *race) get(n *node) uint64 {
	r.Helper()
	v, err := n.values.Get(r.Context(), r.key)
	if err != nil {
		r.Fatalf("get: %v", err)
	}
	return v
}

// want reads on both nodes.
func (r *race) want(v uint64, nodes ...*node) {
	r.Helper()
	for _, n := range nodes {
		name := "one"
		if n == r.other {
			name = "other"
		}
		if got := r.get(n); got != v {
			r.Fatalf("node %s reads version %d, want %d", name, got, v)
		}
	}
}

// paused begins a read on n whose loader stops after it has read the source, and returns what lets it go on.
func (r *race) paused(n *node) (resume func()) {
	r.Helper()
	return r.pausedOn(n, r.key)
}

func (r *race) pausedOn(n *node, key string) (resume func()) {
	r.Helper()
	reading, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	n.set(func(_ context.Context, read uint64) uint64 {
		first := false
		once.Do(func() { first = true })
		if first {
			close(reading)
			<-goOn
		}
		return read
	}, nil)
	go func() {
		defer close(ended)
		_, _ = n.values.Get(r.Context(), key)
	}()
	<-reading
	return func() { close(goOn); <-ended; n.set(nil, nil) }
}

func (r *race) confirmed(n *node) {
	r.Helper()
	if err := n.values.InvalidateConfirmed(r.Context(), r.key); err != nil {
		r.Fatalf("invalidate confirmed: %v", err)
	}
}

func (r *race) invalidated(n *node) {
	r.Helper()
	if err := n.values.Invalidate(r.Context(), r.key); err != nil {
		r.Fatalf("invalidate: %v", err)
	}
}

func loaderPaused(r *race) {
	resume := r.paused(r.one)
	r.source.write()
	r.invalidated(r.one)
	resume()
	r.want(2, r.one, r.other, r.one, r.node(0))
}

func readBegunAfter(r *race) {
	resume := r.paused(r.one)
	r.source.write()
	r.invalidated(r.one)
	r.want(2, r.one) // while the old load still runs
	resume()
	r.want(2, r.one, r.other)
}

func invalidatedElsewhere(r *race) {
	resume := r.paused(r.one)
	r.source.write()
	r.confirmed(r.other)
	r.want(2, r.other)
	resume()
	r.want(2, r.one, r.other)
}

func memoryOfTheOther(r *race) {
	r.want(1, r.one, r.other)
	r.source.write()
	r.confirmed(r.other)
	r.want(2, r.one, r.other)
}

func memoryWithinBound(r *race) {
	r.want(1, r.one, r.other)
	r.source.write()
	r.invalidated(r.other)
	r.want(2, r.other)
	for deadline := time.Now().Add(maxStale + 50*time.Millisecond); r.get(r.one) != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("the other node serves the old value after %v", maxStale)
		}
	}
	r.want(2, r.one)
}

// messageBeforeFill: a node has read the old value from the layer and hangs before it lays it into memory, while the
// invalidation is confirmed.
func messageBeforeFill(r *race) {
	r.want(1, r.one)
	reading, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.other.set(nil, sync.OnceFunc(func() { close(reading); <-goOn }))
	go func() { defer close(ended); r.get(r.other) }()
	<-reading
	r.source.write()
	r.confirmed(r.one)
	close(goOn)
	<-ended
	r.want(2, r.one, r.other)
}

// laggingReplica: a node whose source has not seen the change loads after it. The loader is told what it needs, can't give
// it, and says so.
func laggingReplica(r *race) {
	r.want(1, r.one)
	at := r.source.write()
	if err := r.one.values.Invalidate(cache.At(r.Context(), at), r.key); err != nil {
		r.Fatal(err)
	}
	r.other.set(func(ctx context.Context, _ uint64) uint64 {
		if need := cache.Need(ctx).At(r.source.system); need != at[0] {
			r.Errorf("the loader needs %v, want the position of the fence, %v", need, at[0])
		}
		behind := at[0]
		behind.Offset--
		cache.ReadAt(ctx, position.Token{behind})
		return 1
	}, nil)
	r.get(r.other) // as old as its source; that is the loader's fault
	r.other.set(nil, nil)
	r.want(2, r.other, r.one)
}

// clocksApart: invalidation goes by no clock, so nothing changes where clocks are wrong.
func clocksApart(r *race) {
	for _, by := range []time.Duration{10 * time.Second, -10 * time.Second} {
		r.other = r.node(by)
		for _, test := range []func(*race){loaderPaused, readBegunAfter, invalidatedElsewhere, memoryOfTheOther, messageBeforeFill} {
			r.source.version.Store(1)
			r.key = id(newID()).text()
			test(r)
			r.one, r.other = r.other, r.one
		}
	}
}

func restartInFill(r *race) {
	if r.Restart == nil {
		r.Log("left out: the layer has no server that restarts alone")
		return
	}
	r.want(1, r.one, r.other)
	tagged := true
	for range 5 {
		tagged = r.one.stack.InvalidateTagsConfirmed(r.Context(), "some") == nil
	}
	r.key = id(newID()).text()
	resume := r.paused(r.one)
	r.Restart(r.T)
	r.source.write()
	r.invalidated(r.other) // owed, if the layer is away
	resume()
	r.eventually("both nodes read the new version", func() bool { return r.get(r.one) == 2 && r.get(r.other) == 2 })
	r.confirmed(r.other)
	r.want(2, r.one, r.other, r.node(0))
	if !tagged {
		return
	}
	r.source.write() // epochs are drawn anew, and must count all the same
	if err := r.other.stack.InvalidateTagsConfirmed(r.Context(), "some"); err != nil {
		r.Fatal(err)
	}
	r.want(3, r.one, r.other)
}

// messagesLost: the channel of a node is cut, and it does not notice: it may trust its memory for a bounded time, and a
// confirmation waits for that.
func messagesLost(r *race) {
	r.want(1, r.one, r.other)
	r.one.remote.deaf.Store(true)
	r.source.write()
	began := time.Now()
	r.confirmed(r.other)
	r.want(2, r.one, r.other)
	if took := time.Since(began); took > 3*maxStale {
		r.Errorf("the confirmation took %v", took)
	}
	r.source.write()
	r.invalidated(r.other)
	time.Sleep(maxStale)
	r.want(3, r.one, r.other)
}

// messagesMissed: a node was away while another invalidated, and is told so when it is back: before its trust has run out.
func messagesMissed(r *race) {
	if r.one.remote.told.Load() == nil {
		r.Log("left out: the layer has no channel")
		return
	}
	r.want(1, r.one, r.other)
	resume := r.pausedOn(r.one, id(newID()).text())
	r.one.remote.away.Store(true)
	r.source.write()
	r.invalidated(r.other)
	r.eventually("the message is lost", func() bool { return r.one.remote.missed.Load() > 0 })
	r.one.remote.comeBack()
	r.eventually("the node that was away trusts its channel again", func() bool { return r.probe(r.one) })
	resume()
	for range 100 {
		r.want(2, r.one, r.other)
		time.Sleep(10 * time.Millisecond)
	}
}

// silentChannel: a node whose channel says nothing leaves the layer alone after a bounded time, since it may be another one by
// then, in which fences are missing.
func silentChannel(r *race) {
	if r.one.remote.told.Load() == nil {
		r.Log("left out: the layer has no channel")
		return
	}
	r.want(1, r.other)
	r.one.remote.deaf.Store(true)
	time.Sleep(maxStale)
	gets := r.one.remote.gets.Load()
	r.want(1, r.one)
	if r.one.remote.gets.Load() > gets {
		r.Errorf("a node reads the layer %v after it last heard of it", maxStale)
	}
}

// tombstoneEvicted: what lies under a key is gone, its lease and its tombstone too, while a loader has read the old value.
func tombstoneEvicted(r *race) {
	if r.Evict == nil {
		r.Log("left out: the layer evicts nothing by key")
		return
	}
	resume := r.paused(r.one)
	r.source.write()
	r.confirmed(r.other)
	r.Evict(r.T, r.key)
	resume()
	r.want(2, r.one, r.other)
}

func tagsOnBothNodes(r *race) {
	r.want(1, r.one, r.other)
	resume := func() {}
	for v := uint64(2); v < 5; v++ {
		r.source.write()
		if err := r.one.stack.InvalidateTagsConfirmed(r.Context(), "some"); errors.Is(err, cache.ErrNoChannel) {
			r.Log("left out: the layer has no channel, so tags reach no other node")
			return
		} else if err != nil {
			r.Fatal(err)
		}
		resume()
		r.want(v, r.one, r.other, r.one)
		resume = func() {}
		if v == 2 {
			r.key = id(newID()).text()
			resume = r.paused(r.other)
		}
	}
	loads := r.source.loads.Load()
	r.eventually("values are kept under their tag again", func() bool {
		before := r.source.loads.Load()
		r.want(4, r.one, r.other)
		return r.source.loads.Load() == before
	})
	if r.source.loads.Load() > loads+1000 {
		r.Error("the tag is never known again")
	}
}

func writeThrough(r *race) {
	r.want(1, r.one, r.other)
	at := r.source.write()
	if err := r.one.values.Put(cache.At(r.Context(), at), r.key, 2); err != nil {
		r.Fatal(err)
	}
	r.want(2, r.one)
	third := r.node(0)
	loads := r.source.loads.Load()
	r.want(2, third)
	if r.source.loads.Load() != loads {
		r.Error("what was written through had to be loaded")
	}
	// Two writers whose puts come in the wrong order: the later commit stays.
	first, second := r.source.write(), r.source.write()
	for v, at := range map[uint64]position.Token{4: second} {
		if err := r.other.values.Put(cache.At(r.Context(), at), r.key, v); err != nil {
			r.Fatal(err)
		}
	}
	if err := r.one.values.Put(cache.At(r.Context(), first), r.key, 3); err != nil {
		r.Fatal(err)
	}
	r.want(4, r.one, r.other, r.node(0))
}
