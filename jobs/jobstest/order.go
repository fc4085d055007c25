package jobstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

func eachJobRuns(t *testing.T, open Open) {
	n := size(2000, 400)
	ran := make([]atomic.Int64, n)
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		ran[r.Job().Subject].Add(1)
		return nil
	}), quick))
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := part; i < n; i += 8 {
				if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 50), Subject: freshet.ID(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	settle(t, e)
	for i := range ran {
		if ran[i].Load() != 1 {
			t.Fatalf("job %d ran %d times without a failure, want once", i, ran[i].Load())
		}
	}
	if left := list(t, e, false); len(left) != 0 {
		t.Errorf("%d jobs are left", len(left))
	}
}

func jobArrives(t *testing.T, open Open) {
	got := make(chan jobs.Job, 1)
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		if r.Checkpoint() != nil {
			t.Errorf("a first attempt has the checkpoint %q", r.Checkpoint())
		}
		got <- r.Job()
		return nil
	}), quick))
	args := []byte{0, 1, 255, '\''}
	before := time.Now().Add(-time.Second)
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "ключ'\x01", Subject: 77, Args: args})
	args[0] = 9 // the effect was taken in; the maker may use its bytes again
	j := receive(t, "the job", got)
	if j.ID == 0 || j.Kind != "k" || j.Key != "ключ'\x01" || j.Subject != 77 || string(j.Args) != "\x00\x01\xff'" {
		t.Errorf("the handler saw %+v", j)
	}
	if j.Attempt != 0 || j.Dead || j.Error != "" || j.CreatedAt.Before(before) || j.RunAt.Before(before) {
		t.Errorf("the handler saw %+v", j)
	}
}

// orderWithinKey makes jobs of a few keys for subjects in many buckets, so that
// ids alone don't tell the order.
func orderWithinKey(t *testing.T, open Open) {
	const keys = 5
	n := size(200, 60)
	var mu sync.Mutex
	seen, running := map[string][]string{}, map[string]int{}
	h := handle(func(_ context.Context, r jobs.Run) error {
		key := r.Job().Key
		mu.Lock()
		if running[key]++; running[key] > 1 {
			t.Errorf("two jobs of key %s run at once", key)
		}
		mu.Unlock()
		time.Sleep(time.Duration(r.Job().Subject%3) * 100 * time.Microsecond)
		mu.Lock()
		running[key]--
		seen[key] = append(seen[key], string(r.Job().Args))
		mu.Unlock()
		return nil
	})
	e := start(t, open(t, h, quick))
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := 0; i < n; i += 4 {
				var effects []freshet.Effect
				for j := i; j < i+4; j++ {
					effects = append(effects, freshet.Effect{
						Kind: "k", Key: fmt.Sprint(k), Args: fmt.Append(nil, j),
						Subject: freshet.NewID(1, (j*397)%freshet.Buckets, j),
					})
				}
				if err := e.Enqueue(t.Context(), effects...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	settle(t, e)
	for k := range keys {
		wantInOrder(t, k, seen[fmt.Sprint(k)], n)
	}
}

func wantInOrder(t *testing.T, key int, got []string, n int) {
	t.Helper()
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("key %d ran in the order %v, want 0 to %d", key, got, n-1)
	}
}

func orderThroughRetries(t *testing.T, open Open) {
	var did journal
	s := open(t, handle(func(_ context.Context, r jobs.Run) error {
		did.add("%s.%d", r.Job().Args, r.Job().Attempt)
		if string(r.Job().Args) == "a" && r.Job().Attempt < 2 {
			return errors.New("not yet")
		}
		if string(r.Job().Args) == "b" {
			return jobs.Final(errors.New("never"))
		}
		return nil
	}), quick)
	for _, a := range []string{"a", "b", "c"} {
		enqueue(t, s.Engine, freshet.Effect{Kind: "k", Key: "x", Args: []byte(a)})
	}
	e := start(t, s)
	await(t, "all of the key", func() bool { return len(did.all()) >= 5 })
	settle(t, e)
	did.want(t, "a.0", "a.1", "a.2", "b.0", "c.0")
}

func keysRunBesideEachOther(t *testing.T, open Open) { meet(t, open, "a", "b", "c", "d") }
func noKeyNoOrder(t *testing.T, open Open)           { meet(t, open, "", "", "", "") }

// meet has a job of each key, all of which must run at once to end.
func meet(t *testing.T, open Open, keys ...string) {
	var all sync.WaitGroup
	all.Add(len(keys))
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error {
		all.Done()
		all.Wait()
		return nil
	}), jobs.Options{Workers: len(keys)}))
	for _, k := range keys {
		enqueue(t, e, freshet.Effect{Kind: "k", Key: k})
	}
	settle(t, e)
}

func bigKeyStarvesNobody(t *testing.T, open Open) {
	const small, each = 20, 5
	big := size(3_000, 1_000)
	var bigDone, smallDone, bigAtTheEnd atomic.Int64
	s := open(t, handle(func(_ context.Context, r jobs.Run) error {
		if r.Job().Key == "big" {
			bigDone.Add(1)
		} else if smallDone.Add(1) == small*each {
			bigAtTheEnd.Store(bigDone.Load())
		}
		return nil
	}), jobs.Options{Workers: 1})
	var effects []freshet.Effect
	few := func(from, to int) {
		for i := range (to - from) * each {
			effects = append(effects, freshet.Effect{Kind: "k", Key: fmt.Sprint(from + i%(to-from))})
		}
	}
	few(0, small/2) // some are there first, some come later
	for range big {
		effects = append(effects, freshet.Effect{Kind: "k", Key: "big"})
	}
	few(small/2, small)
	enqueue(t, s.Engine, effects...)
	settle(t, start(t, s))
	if got := bigDone.Load(); got != int64(big) {
		t.Errorf("%d jobs of the big key ran, want %d", got, big)
	}
	if got := bigAtTheEnd.Load(); got > int64(big/10) {
		t.Errorf("%d of %d jobs of the big key ran before the small keys were through, want at most a tenth", got, big)
	}
}

// runAt schedules a job and makes two more of its key at once. On a machine
// so slow that the time came before they were made it tries a longer one.
func runAt(t *testing.T, open Open) {
	for delay := 100 * time.Millisecond; delay < time.Minute; delay *= 4 {
		var did journal
		at := time.Now().Add(delay)
		e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
			if string(r.Job().Args) == "later" && time.Now().Before(at) {
				t.Errorf("ran %v too early", time.Until(at))
			}
			did.add("%s", r.Job().Args)
			return nil
		}), quick))
		enqueue(t, e,
			freshet.Effect{Kind: "k", Key: "x", Args: []byte("later"), RunAt: at},
			freshet.Effect{Kind: "k", Key: "x", Args: []byte("past"), RunAt: time.Now().Add(-time.Hour)},
			freshet.Effect{Kind: "k", Key: "x", Args: []byte("now")})
		settle(t, e)
		inTime := time.Now().Before(at)
		await(t, "the scheduled job", func() bool { return len(did.all()) == 3 })
		if inTime {
			did.want(t, "past", "now", "later")
			return
		}
	}
}
