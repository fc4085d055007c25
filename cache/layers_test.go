package cache_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/position"
)

// counter is a source whose answer is how often it was asked.
func counter(loads *atomic.Int64) func(context.Context, []string) (map[string]int64, error) {
	return func(_ context.Context, keys []string) (map[string]int64, error) {
		n := loads.Add(1)
		m := make(map[string]int64)
		for _, k := range keys {
			m[k] = n
		}
		return m, nil
	}
}

func TestTagsJoinEntriesOfAllSpaces(t *testing.T) {
	s := newStack(t, cache.Options{})
	var loads atomic.Int64
	tagged := func(name, tag string) *cache.Cache[string, int64] {
		return cache.Define(s, cache.Space[string, int64]{Name: name, LoadMany: counter(&loads), Tags: func(key string, _ int64) []string { return []string{tag, "key " + key} }})
	}
	users, posts := tagged("user", "org 1"), tagged("post", "org 2")
	get := func(c *cache.Cache[string, int64], key string) int64 {
		t.Helper()
		v, err := c.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ann, bob, post := get(users, "ann"), get(users, "bob"), get(posts, "ann")
	invalidate := func(tags ...string) {
		t.Helper()
		if err := s.InvalidateTags(t.Context(), tags...); err != nil {
			t.Fatal(err)
		}
	}

	invalidate("nobody's")
	if get(users, "ann") != ann || get(users, "bob") != bob || get(posts, "ann") != post {
		t.Error("a tag that nothing bears ended something")
	}
	invalidate("org 1")
	if get(users, "ann") == ann || get(users, "bob") == bob || get(posts, "ann") != post {
		t.Error("org 1 ends the users, and no post")
	}
	ann, bob = get(users, "ann"), get(users, "bob")
	invalidate("key ann", "nobody's")
	if get(users, "ann") == ann || get(users, "bob") != bob || get(posts, "ann") == post {
		t.Error("a tag ends what bears it in every space, and nothing else")
	}
	if again := get(users, "ann"); again != get(users, "ann") {
		t.Error("nothing is kept under a tag that was fenced before")
	}
}

// A load that began before its tag was fenced must not bring back what was there.
func TestTagEndsLoadsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, cache.Options{})
		version, goOn := "old", make(chan struct{})
		c := cache.Define(s, cache.Space[string, string]{
			Name: "value", Tags: func(string, string) []string { return []string{"tag"} },
			LoadMany: func(_ context.Context, keys []string) (map[string]string, error) {
				read := version
				if read == "old" {
					<-goOn
				}
				return map[string]string{keys[0]: read}, nil
			},
		})
		go func() { _, _ = c.Get(t.Context(), "k") }()
		synctest.Wait()
		version = "new"
		if err := s.InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		synctest.Wait()
		if v, err := c.Get(t.Context(), "k"); v != "new" || err != nil {
			t.Errorf("%s, %v", v, err)
		}
	})
}

func TestTokenIsAnsweredByWhatHasReachedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, cache.Options{})
		at := func(offset uint64) position.Token {
			return position.Token{{System: 1, Timeline: 1, Offset: offset}}
		}
		var loads atomic.Int64
		var needed position.Token
		c := cache.Define(s, cache.Space[string, int64]{Name: "value", LoadMany: func(ctx context.Context, keys []string) (map[string]int64, error) {
			needed = cache.Need(ctx)
			return counter(&loads)(ctx, keys)
		}})
		get := func(want position.Token) (took time.Duration) {
			t.Helper()
			began := time.Now()
			if _, err := c.Get(cache.At(t.Context(), want), "k"); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		expect := func(what string, n int64) {
			t.Helper()
			if got := loads.Load(); got != n {
				t.Fatalf("%s: %d loads, want %d", what, got, n)
			}
		}
		get(nil)
		expect("without a token", 1)
		if took := get(at(5)); took != 5*time.Millisecond {
			t.Errorf("waited %v for the changes up to its token", took)
		}
		expect("a token beyond all that is fenced", 2)
		if needed.At(1) != at(5)[0] {
			t.Errorf("the loader was told that it needs %v", needed)
		}
		if took := get(at(5)); took != 0 {
			t.Errorf("an entry that was read at the token waited %v", took)
		}
		expect("an entry that was read there", 2)

		go func() { time.Sleep(2 * time.Millisecond); _ = s.Advance(context.Background(), at(7)) }()
		if took := get(at(6)); took != 2*time.Millisecond {
			t.Errorf("waited %v for the changes to be fenced", took)
		}
		expect("changes that are fenced meanwhile", 2)
		if took := get(at(7)); took != 0 {
			t.Errorf("waited %v for what is fenced", took)
		}
		expect("what is fenced", 2)
		get(position.Token{{System: 2, Timeline: 1, Offset: 1}})
		expect("another system", 3)
	})
}

// What a read found before it waited for the changes up to its token is what those changes have ended.
func TestTokenIsNotAnsweredByWhatWasEndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, cache.Options{})
		var loads atomic.Int64
		c := cache.Define(s, cache.Space[string, int64]{Name: "value", LoadMany: counter(&loads)})
		first, err := c.Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		at := position.Token{{System: 1, Timeline: 1, Offset: 1}}
		go func() {
			time.Sleep(time.Millisecond)
			_ = c.Invalidate(cache.At(context.Background(), at), "k")
			_ = s.Advance(context.Background(), at)
		}()
		if v, err := c.Get(cache.At(t.Context(), at), "k"); err != nil || v == first {
			t.Errorf("a read at the token of a write sees %d, %v, as before it", v, err)
		}
	})
}

// What a loader has read behind what was needed answers who asked, and is kept nowhere.
func TestReadBehindTheNeedIsNotKept(t *testing.T) {
	s := newStack(t, cache.Options{})
	need := position.Token{{System: 1, Timeline: 1, Offset: 5}}
	if err := s.Advance(t.Context(), need); err != nil {
		t.Fatal(err)
	}
	var loads atomic.Int64
	behind := true
	c := cache.Define(s, cache.Space[string, int64]{Name: "value", LoadMany: func(ctx context.Context, keys []string) (map[string]int64, error) {
		if behind {
			cache.ReadAt(ctx, position.Token{{System: 1, Timeline: 1, Offset: 4}})
		}
		return counter(&loads)(ctx, keys)
	}})
	for i := range 2 {
		if v, err := c.Get(t.Context(), "k"); v != int64(i+1) || err != nil {
			t.Errorf("read %d behind: %d, %v", i, v, err)
		}
	}
	behind = false
	for range 2 {
		if v, err := c.Get(t.Context(), "k"); v != 3 || err != nil {
			t.Errorf("read at the need: %d, %v", v, err)
		}
	}
}

// A value that is read is renewed before it ends, so that nobody waits for it.
func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, cache.Options{})
		var loads, failures atomic.Int64
		c := cache.Define(s, cache.Space[string, int64]{
			Name: "value", Policy: cache.Policy{TTL: time.Minute, Jitter: -1, RefreshAhead: 1, StaleFor: time.Minute},
			LoadMany: func(ctx context.Context, keys []string) (map[string]int64, error) {
				time.Sleep(time.Second)
				if loads.Load() == 3 && failures.Add(1) == 1 {
					return nil, errors.New("the source fails once")
				}
				return counter(&loads)(ctx, keys)
			},
		})
		var slow int
		for range 20 * 600 { // 20 minutes
			began := time.Now()
			if _, err := c.Get(t.Context(), "hot"); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 0 {
				slow++
			}
			time.Sleep(100 * time.Millisecond)
		}
		// The first read waits. With ten reads a second and loads of one, XFetch at beta 1 renews 2.3 s ahead in the mean.
		if n := loads.Load(); n < 20 || n > 30 || slow > 4 {
			t.Errorf("%d loads in 20 minutes, %d reads had to wait", n, slow)
		}
		if loads.Load() <= int64(slow) {
			t.Error("nothing was renewed ahead")
		}
	})
}

func TestSpaceWithKeysOfAllKinds(t *testing.T) {
	s := newStack(t, cache.Options{})
	type text string
	type number uint64
	type pair struct{ a, b int }
	check(t, cache.Define(s, cache.Space[text, int64]{Name: "text", LoadMany: one[text]}), "a", "b")
	check(t, cache.Define(s, cache.Space[number, int64]{Name: "number", LoadMany: one[number]}), 1, 1<<63)
	check(t, cache.Define(s, cache.Space[[2]byte, int64]{Name: "bytes", LoadMany: one[[2]byte]}), [2]byte{1, 2}, [2]byte{2, 1})
	check(t, cache.Define(s, cache.Space[pair, int64]{Name: "pair", LoadMany: one[pair], Key: func(p pair) string { return strings.Repeat("a", p.a) + strings.Repeat("b", p.b) }}), pair{1, 2}, pair{2, 1})
	defer func() {
		if p := recover(); p == nil {
			t.Error("a space of structs without a Key was defined")
		}
	}()
	cache.Define(s, cache.Space[pair, int64]{Name: "keyless", LoadMany: one[pair]})
}

var asked atomic.Int64

func one[K comparable](_ context.Context, keys []K) (map[K]int64, error) {
	m := make(map[K]int64)
	for _, k := range keys {
		m[k] = asked.Add(1)
	}
	return m, nil
}

func check[K comparable](t *testing.T, c *cache.Cache[K, int64], a, b K) {
	t.Helper()
	get := func(k K) int64 {
		v, err := c.Get(t.Context(), k)
		if err != nil {
			t.Errorf("get %v: %v", k, err)
		}
		return v
	}
	va, vb := get(a), get(b)
	if va == vb || get(a) != va || get(b) != vb {
		t.Errorf("%v and %v are mixed up", a, b)
	}
	if err := c.Invalidate(t.Context(), a); err != nil {
		t.Error(err)
	}
	if get(a) == va || get(b) != vb {
		t.Errorf("invalidation of %v", a)
	}
}

// A value that is too long for the remote layer, or that the codec refuses, is served and stays in memory.
func TestUnstorableValuesAreServed(t *testing.T) {
	s := newStack(t, cache.Options{Remote: newLayer(t), MaxValue: 100})
	long := strings.Repeat("x", 1000)
	c := cache.Define(s, cache.Space[string, string]{Name: "value", LoadMany: func(_ context.Context, keys []string) (map[string]string, error) {
		return map[string]string{keys[0]: long}, nil
	}})
	deadline := time.Now().Add(10 * time.Second)
	for s.Stats()[0].Unstorable == 0 {
		if v, err := c.Get(cache.Fresh(t.Context()), "k"); v != long || err != nil {
			t.Fatalf("%d bytes, %v", len(v), err)
		}
		if v, err := c.Get(t.Context(), "k"+time.Now().String()); v != long || err != nil {
			t.Fatalf("%d bytes, %v", len(v), err)
		}
		if time.Now().After(deadline) {
			t.Fatal("no value was too long")
		}
	}
	if err := c.Put(t.Context(), "k", long); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("put: %v, want %v", err, cache.ErrTooLarge)
	}
	if v, err := c.Get(t.Context(), "k"); v != long || err != nil {
		t.Errorf("after put: %d bytes, %v", len(v), err)
	}
}

func TestInspect(t *testing.T) {
	s := newStack(t, cache.Options{Remote: newLayer(t), OnlyNode: true})
	c := cache.Define(s, cache.Space[int64, string]{Name: "value", LoadMany: func(_ context.Context, keys []int64) (map[int64]string, error) {
		return map[int64]string{1: "one"}, nil
	}})
	look := func(key string) cache.Inspection {
		t.Helper()
		in, err := s.Inspect(t.Context(), "value", key)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	deadline := time.Now().Add(10 * time.Second)
	in := look("1")
	for ; in.Remote.State != "fresh" || in.Memory.State != "fresh"; in = look("1") { // until the layer is known
		if err := c.Invalidate(t.Context(), 1); err != nil || time.Now().After(deadline) {
			t.Fatalf("the layer is not used: %v", err)
		}
		if _, err := c.Get(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if string(in.Memory.Value) != `"one"` || string(in.Remote.Value) != `"one"` || in.Remote.Bytes == 0 {
		t.Errorf("%+v %+v", in, in.Remote)
	}
	if err := s.InvalidateKey(t.Context(), "value", "1"); err != nil {
		t.Fatal(err)
	}
	if in := look("1"); in.Memory.State != "absent" || in.Remote.State != "absent" {
		t.Errorf("after invalidation: %+v %+v", in, in.Remote)
	}
	if err := s.InvalidateKey(t.Context(), "value", "x"); !errors.Is(err, cache.ErrKey) {
		t.Errorf("a text that is no key: %v", err)
	}
	if _, err := s.Inspect(t.Context(), "nothing", "1"); !errors.Is(err, cache.ErrUnknownSpace) {
		t.Errorf("a space that is none: %v", err)
	}
}

// Two versions of a program share a layer during a deploy: neither reads the other's bytes.
func TestVersionOfTheSchemaIsNotMixedUp(t *testing.T) {
	layer := newLayer(t)
	type user struct{ Name string } // in capitals since version 1
	oldStack, newStack := newStack(t, cache.Options{Remote: layer}), newStack(t, cache.Options{Remote: layer})
	var loads atomic.Int64
	before := cache.Define(oldStack, cache.Space[string, user]{Name: "user", LoadMany: func(_ context.Context, keys []string) (map[string]user, error) {
		loads.Add(1)
		return map[string]user{keys[0]: {"ann"}}, nil
	}})
	after := cache.Define(newStack, cache.Space[string, user]{Name: "user", Version: 1, LoadMany: func(_ context.Context, keys []string) (map[string]user, error) {
		loads.Add(1)
		return map[string]user{keys[0]: {"ANN"}}, nil
	}})
	deadline := time.Now().Add(10 * time.Second)
	for i := 0; oldStack.Stats()[0].Undecodable == 0 || newStack.Stats()[0].Undecodable == 0; i++ {
		key := strings.Repeat("k", i)
		for range 2 {
			if v, err := before.Get(cache.At(t.Context(), nil), key); v.Name != "ann" || err != nil {
				t.Fatalf("the old version reads %v, %v", v, err)
			}
			if v, err := after.Get(t.Context(), key); v.Name != "ANN" || err != nil {
				t.Fatalf("the new version reads %v, %v", v, err)
			}
			if err := oldStack.InvalidateKey(t.Context(), "user", key); err != nil {
				t.Fatal(err)
			}
			if v, err := after.Get(t.Context(), key); v.Name != "ANN" || err != nil {
				t.Fatalf("the new version reads %v, %v", v, err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the versions never met in the layer")
		}
	}
}

// The only node is told of nothing that it does not know, so the loss of the layer takes nothing from its memory.
func TestOnlyNodeKeepsItsMemory(t *testing.T) {
	layer := memory.New(memory.Options{})
	s := newStack(t, cache.Options{Remote: layer, OnlyNode: true})
	var loads atomic.Int64
	c := cache.Define(s, cache.Space[string, int64]{Name: "value", LoadMany: counter(&loads)})
	deadline := time.Now().Add(10 * time.Second)
	for s.Stats()[0].RemoteHits == 0 { // until the layer is used
		if _, err := c.Get(t.Context(), time.Now().String()); err != nil || time.Now().After(deadline) {
			t.Fatalf("the layer is not used: %v", err)
		}
		if in, err := s.Inspect(t.Context(), "value", "x"); err == nil && in.Remote.State == "absent" {
			if _, err := c.Get(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
			if in, _ := s.Inspect(t.Context(), "value", "x"); in.Remote != nil && in.Remote.State == "fresh" {
				break
			}
			_ = c.Invalidate(t.Context(), "x")
			time.Sleep(time.Millisecond)
		}
	}
	v, err := c.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	layer.Close() // ends Listen with Lost
	time.Sleep(50 * time.Millisecond)
	if again, err := c.Get(t.Context(), "k"); again != v || err != nil {
		t.Errorf("after the layer was lost: %d, %v, want %d from memory", again, err, v)
	}
}

// A space that keeps nothing in the layer is emptied also where the layer has no channel.
func TestLocalSpaceIsEmptiedWithoutChannel(t *testing.T) {
	layer := memory.New(memory.Options{})
	s := newStack(t, cache.Options{Remote: struct{ cache.Remote }{layer}})
	var loads atomic.Int64
	local := cache.Define(s, cache.Space[string, int64]{Name: "local", Local: true, LoadMany: counter(&loads)})
	shared := cache.Define(s, cache.Space[string, int64]{Name: "shared", LoadMany: counter(&loads)})
	if _, err := local.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := local.InvalidateAll(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := local.Get(t.Context(), "k"); v != 2 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	if err := shared.InvalidateAll(t.Context()); !errors.Is(err, cache.ErrNoChannel) {
		t.Errorf("what lies in the layer can't be told of: %v", err)
	}
}
