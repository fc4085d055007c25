package shard_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// gated is a real part whose door can be shut, for all or for mirrors alone.
type gated struct {
	*sqlite.DB
	shut   atomic.Bool
	before atomic.Pointer[func()] // runs once, before mirrors are applied
}

var errShut = errors.New("out of reach")

func (g *gated) Apply(ctx context.Context, m []store.Mirror) ([]store.Applied, position.Token, error) {
	if f := g.before.Swap(nil); f != nil {
		(*f)()
	}
	if g.shut.Load() {
		return nil, nil, errShut
	}
	return g.DB.Apply(ctx, m)
}

// world is a store of two parts with a user on each.
type world struct {
	*testing.T
	*shard.Store
	gates     []*gated
	near, far freshet.ID // on part 0 and 1
}

func openWorld(t *testing.T, o shard.Options) *world {
	t.Helper()
	w := &world{T: t}
	var parts []store.Part
	for _, p := range openFiles(t, 2, nil).parts {
		g := &gated{DB: p.(*sqlite.DB)}
		w.gates, parts = append(w.gates, g), append(parts, g)
	}
	w.Store = openStore(t, parts, o)
	w.near, w.far = w.userOn(0, "near"), w.userOn(1, "far")
	return w
}

// userOn makes a user on a part.
func (w *world) userOn(part int, name string) freshet.ID {
	w.Helper()
	for i := 0; ; i++ {
		u := freshet.NewUser{Handle: fmt.Sprintf("%s_%d", name, i)}
		if int(w.Directory().Owners[shard.ByName(u)]) != part {
			continue
		}
		made, _, err := w.CreateUser(w.Context(), u, store.Write{})
		if err != nil {
			w.Fatal(err)
		}
		return made.ID
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// counted checks a user's followers and following.
func (w *world) counted(user freshet.ID, followers, following int64) {
	w.Helper()
	users, err := w.Users(w.Context(), []freshet.ID{user})
	w.ok(err)
	if len(users) != 1 || users[0].FollowersCount != followers || users[0].FollowingCount != following {
		w.Errorf("%s has %+v, want %d followers and %d following", user, users, followers, following)
	}
}

// agrees wants no broken invariant, once all is carried.
func (w *world) agrees() {
	w.Helper()
	_, found, err := w.Verify(w.Context(), 0, false)
	w.ok(err)
	if len(found) > 0 {
		w.Errorf("%d invariants are broken, the first: %+v", len(found), found[0])
	}
}

// until waits for what the sweep does.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			w.Fatalf("%s did not happen", what)
		}
	}
}

// TestAFollowDoesNotWaitForAPartThatIsDown: it is acknowledged, with the token of the directory and its own half, and carried when the part is back.
func TestAFollowDoesNotWaitForAPartThatIsDown(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: 5 * time.Millisecond})
	w.gates[1].shut.Store(true)
	changed, at, err := w.Follow(t.Context(), w.near, w.far, store.Write{})
	if err != nil || !changed || len(at) != 2 {
		t.Fatalf("follow: %v, %v, %v", changed, at, err)
	}
	w.counted(w.near, 0, 1)
	w.counted(w.far, 0, 0)
	other := w.userOn(0, "other")
	if changed, at, err := w.Follow(t.Context(), w.near, other, store.Write{}); err != nil || !changed || len(at) != 2 {
		t.Errorf("a follow on one part: %v, %v, %v", changed, at, err)
	}
	w.gates[1].shut.Store(false)
	w.until("the follow", func() bool {
		edges, err := w.Followers(t.Context(), w.far, 0, 10)
		w.ok(err)
		return len(edges) == 1
	})
	w.counted(w.far, 1, 0)
	if changed, at, err := w.Unfollow(t.Context(), w.near, w.far, store.Write{}); err != nil || !changed || len(at) != 3 {
		t.Errorf("unfollow: %v, %v, %v, want a token of the directory and both parts", changed, at, err)
	}
	w.counted(w.far, 0, 0)
	w.agrees()
}

// TestABlockIsAcknowledgedWhenBothPartsHaveIt: until then the caller is told to try again, and what was made is kept.
func TestABlockIsAcknowledgedWhenBothPartsHaveIt(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: time.Hour})
	_, _, err := w.Follow(t.Context(), w.far, w.near, store.Write{})
	w.ok(err)
	w.gates[1].shut.Store(true)
	if _, _, err := w.Block(t.Context(), w.near, w.far, store.Write{}); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Fatalf("a block that the other part does not have: %v", err)
	}
	w.gates[1].shut.Store(false)
	changed, at, err := w.Block(t.Context(), w.near, w.far, store.Write{})
	if err != nil || changed || len(at) < 1 {
		t.Fatalf("the second time: %v, %v, %v", changed, at, err)
	}
	relations, err := w.Relations(t.Context(), []freshet.ID{w.near, w.far})
	w.ok(err)
	if r := relations[w.far]; !slices.Equal(r.Blocked, []freshet.ID{w.near}) || len(r.Following) > 0 {
		t.Errorf("the blocked one has %+v", r)
	}
	w.counted(w.near, 0, 0)
	w.counted(w.far, 0, 0)
	if _, _, err := w.Follow(t.Context(), w.far, w.near, store.Write{}); freshet.CodeOf(err) != freshet.CodeNotFound {
		t.Errorf("the blocked one follows: %v", err)
	}
	w.agrees()
}

// TestAFollowOfWhoIsErasedMeanwhile is refused by the other part, and undone.
func TestAFollowOfWhoIsErasedMeanwhile(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: time.Hour})
	erase := func() {
		if _, _, err := w.gates[1].EraseUser(t.Context(), w.far, store.Write{}); err != nil {
			t.Error(err)
		}
	}
	w.gates[1].before.Store(&erase)
	if changed, _, err := w.Follow(t.Context(), w.near, w.far, store.Write{}); changed || freshet.CodeOf(err) != freshet.CodeNotFound {
		t.Errorf("follow: %v, %v", changed, err)
	}
	w.counted(w.near, 0, 0)
	w.agrees()
}

// TestAnErasureReachesEveryPart: it is acknowledged when all have it; what one part could not do then is done later.
func TestAnErasureReachesEveryPart(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: 5 * time.Millisecond})
	post, _, err := w.CreatePost(t.Context(), freshet.NewPost{Author: w.near, Text: "x"}, store.Write{})
	w.ok(err)
	_, _, _, err = w.Like(t.Context(), w.far, post.ID, store.Write{})
	w.ok(err)
	_, _, err = w.Follow(t.Context(), w.near, w.far, store.Write{})
	w.ok(err)
	w.gates[0].shut.Store(true)
	if _, _, err := w.EraseUser(t.Context(), w.far, store.Write{}); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Fatalf("an erasure that a part does not have: %v", err)
	}
	w.gates[0].shut.Store(false)
	w.until("the erasure", func() bool {
		counts, err := w.Counts(t.Context(), []freshet.ID{post.ID})
		w.ok(err)
		return counts[post.ID].Likes == 0
	})
	w.counted(w.near, 0, 0)
	if _, _, _, err := w.Like(t.Context(), w.far, post.ID, store.Write{}); freshet.CodeOf(err) != freshet.CodeNotFound {
		t.Errorf("who was erased likes: %v", err)
	}
	w.agrees()
	for i, g := range w.gates {
		if pending, err := g.Pending(t.Context(), store.AllBuckets(), 10); err != nil || len(pending) > 0 {
			t.Errorf("part %d still has to tell %+v, %v", i, pending, err)
		}
	}
}

// TestWhatAProcessLeftIsCarried: mirrors whose process died are carried by the next one.
func TestWhatAProcessLeftIsCarried(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: time.Hour})
	if changed, _, err := w.gates[0].Follow(t.Context(), w.near, w.far, store.Write{}); err != nil || !changed { // and no more
		t.Fatal(changed, err)
	}
	w.counted(w.far, 0, 0)
	openStore(t, w.Parts(), shard.Options{})
	w.until("the follow", func() bool {
		edges, err := w.Followers(t.Context(), w.far, 0, 10)
		w.ok(err)
		return len(edges) == 1
	})
	w.agrees()
}

// TestTwoProcessesCarry: whatever they do at a time to the same few users, originals and mirrors agree in the end, and no
// counter is off.
func TestTwoProcessesCarry(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: 2 * time.Millisecond})
	stores := []*shard.Store{w.Store, openStore(t, w.Parts(), shard.Options{Sweep: 2 * time.Millisecond})}
	users := []freshet.ID{w.near, w.far, w.userOn(0, "a"), w.userOn(1, "b"), w.userOn(1, "c")}
	seed := uint64(time.Now().UnixNano())
	var writers sync.WaitGroup
	for n := range 6 {
		random, s := rand.New(rand.NewPCG(seed, uint64(n))), stores[n%2]
		writers.Go(func() {
			for range testenv.Size(15, 60, 1500) {
				a, b := users[random.IntN(len(users))], users[random.IntN(len(users))]
				if a == b {
					continue
				}
				op := []func(context.Context, freshet.ID, freshet.ID, store.Write) (bool, position.Token, error){
					s.Follow, s.Follow, s.Follow, s.Unfollow, s.Block, s.Unblock,
				}[random.IntN(6)]
				_, _, err := op(t.Context(), a, b, store.Write{})
				if told := freshet.CodeOf(err); err != nil && told != freshet.CodeNotFound && told != freshet.CodeUnavailable {
					t.Errorf("seed %d: %v", seed, err)
				}
				if random.IntN(20) == 0 {
					w.gates[random.IntN(2)].shut.Store(random.IntN(3) == 0)
				}
			}
		})
	}
	stop, flapped := make(chan struct{}), make(chan struct{})
	go func() { // no door stays shut: a block would wait for it
		defer close(flapped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
				w.gates[0].shut.Store(false)
				w.gates[1].shut.Store(false)
			}
		}
	}()
	writers.Wait()
	close(stop)
	<-flapped
	w.gates[0].shut.Store(false)
	w.gates[1].shut.Store(false)
	w.agrees()
}

// TestAStrangerDoesNothing: a part can't know whether a user of another part exists, so the store asks there first.
func TestAStrangerDoesNothing(t *testing.T) {
	w := openWorld(t, shard.Options{Sweep: time.Hour})
	post, _, err := w.CreatePost(t.Context(), freshet.NewPost{Author: w.near, Text: "x"}, store.Write{})
	w.ok(err)
	stranger := freshet.NewID(w.far.Millis(), w.far.Bucket(), (w.far.Sequence()+1)%freshet.Sequences)
	_, _, _, like := w.Like(t.Context(), stranger, post.ID, store.Write{})
	_, _, comment := w.CreateComment(t.Context(), freshet.NewComment{Author: stranger, Post: post.ID, Text: "x"}, store.Write{})
	_, _, follow := w.Follow(t.Context(), w.near, stranger, store.Write{})
	_, _, mute := w.Mute(t.Context(), w.near, stranger, store.Write{})
	for what, err := range map[string]error{"likes": like, "comments": comment, "is followed": follow, "is muted": mute} {
		if freshet.CodeOf(err) != freshet.CodeNotFound {
			t.Errorf("a stranger %s: %v", what, err)
		}
	}
	w.counted(w.near, 0, 0)
	w.agrees()
}
