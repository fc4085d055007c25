package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/position"
)

// grace is how long the auditor gives a fence to arrive, with the defaults of Options.
const grace = time.Second + 500*time.Millisecond

// jury keeps what the auditor reports.
type jury struct {
	mu    sync.Mutex
	found []cache.StaleRead
}

func (j *jury) Loaded(int, time.Duration, error) {}
func (j *jury) ServedStale(time.Duration)        {}
func (j *jury) FoundStale(s cache.StaleRead) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found = append(j.found, s)
}

// audited returns the only space of a stack all of whose hits are audited.
func audited(t *testing.T, s *source, o cache.Options) (*cache.Stack, *cache.Cache[int, int]) {
	t.Helper()
	o.AuditEvery = 1
	stack := newStack(t, o)
	return stack, cache.Define(stack, cache.Space[int, int]{Name: "row", Policy: cache.Policy{TTL: time.Hour, NegativeTTL: time.Hour}, LoadMany: s.LoadMany})
}

func wantAudits(t *testing.T, stack *cache.Stack, audited, stale, failed uint64) {
	t.Helper()
	s := stack.Stats()[0]
	if s.Audited != audited || s.StaleReads != stale || s.AuditsFailed != failed {
		t.Errorf("%d hits audited, %d stale, %d undecided; want %d, %d, %d", s.Audited, s.StaleReads, s.AuditsFailed, audited, stale, failed)
	}
}

func TestAuditFindsWhatWasNeverInvalidated(t *testing.T) {
	hit := map[string]func(t *testing.T, c *cache.Cache[int, int], key int){
		"Get":     func(t *testing.T, c *cache.Cache[int, int], key int) { c.Get(t.Context(), key) },
		"GetMany": func(t *testing.T, c *cache.Cache[int, int], key int) { c.GetMany(t.Context(), []int{key}) },
	}
	for name, get := range hit {
		for change, of := range map[string]struct {
			key    int
			change func(s *source)
		}{
			"changed":  {1, func(s *source) { s.set(1, 2) }},
			"removed":  {1, func(s *source) { s.remove(1) }},
			"appeared": {7, func(s *source) { s.set(7, 1) }},
		} {
			t.Run(name+" "+change, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, j := newSource(map[int]int{1: 1}), new(jury)
					stack, c := audited(t, s, cache.Options{Observe: func(string) cache.Observer { return j }})
					get(t, c, of.key)
					get(t, c, of.key)
					time.Sleep(time.Second)
					wantAudits(t, stack, 1, 0, 0)

					of.change(s)
					get(t, c, of.key)
					time.Sleep(grace + 100*time.Millisecond)
					wantAudits(t, stack, 2, 1, 0)
					j.mu.Lock()
					defer j.mu.Unlock()
					if len(j.found) != 1 {
						t.Fatalf("reported: %v", j.found)
					}
					r := j.found[0]
					if want := string(rune('0' + of.key)); r.Space != "row" || r.Key != want || r.For < grace || r.For > 2*grace || r.Age < grace+time.Second || r.Age > 10*time.Minute {
						t.Errorf("reported: %+v", r)
					}
				})
			})
		}
	}
}

// A key that changes faster than it can be asked about twice is found too.
func TestAuditFindsAKeyThatChangesAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		stack, c := audited(t, s, cache.Options{})
		wantGet(t, c, 1, 1)
		s.set(1, 2)
		wantGet(t, c, 1, 1) // the auditor may look at this hit at once
		for version := range 30 {
			s.set(1, 3+version)
			time.Sleep(101 * time.Millisecond) // never at the moment of an audit
		}
		wantAudits(t, stack, 1, 1, 0)
	})
}

// Writers that invalidate as late as is promised, on other nodes and this one: no alarm, however busy.
func TestAuditRaisesNoFalseAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layer := memory.New(memory.Options{})
		t.Cleanup(func() { layer.Close() })
		s := newSource(map[int]int{})
		here, c := audited(t, s, cache.Options{Remote: layer})
		there, other := audited(t, s, cache.Options{Remote: layer})
		const keys = 20
		stop := time.Now().Add(2 * time.Minute)
		var all sync.WaitGroup
		for worker, c := range []*cache.Cache[int, int]{c, other, c, other} {
			all.Go(func() {
				for version := worker; time.Now().Before(stop); version += 4 {
					key := rand.IntN(keys)
					s.set(key, version)
					time.Sleep(rand.N(time.Second))
					switch key % 3 {
					case 0:
						c.InvalidateConfirmed(t.Context(), key)
					default:
						c.Invalidate(t.Context(), key)
					}
				}
			})
			all.Go(func() {
				for time.Now().Before(stop) {
					c.Get(t.Context(), rand.IntN(keys))
					c.GetMany(t.Context(), []int{1, 2, 3})
					time.Sleep(rand.N(10 * time.Millisecond))
				}
			})
		}
		all.Wait()
		for _, stack := range []*cache.Stack{here, there} {
			if st := stack.Stats()[0]; st.StaleReads > 0 || st.AuditsFailed > 0 || st.Audited < 1000 {
				t.Errorf("%d stale, %d undecided, %d audited", st.StaleReads, st.AuditsFailed, st.Audited)
			}
		}
	})
}

// Nothing is stale by the word of a source that contradicts itself, or does not answer.
func TestAuditThatCannotBeDecided(t *testing.T) {
	var calls atomic.Int64
	down := errors.New("down")
	for name, load := range map[string]func(context.Context) (int, error){
		"contradicts itself": func(context.Context) (int, error) { return int(calls.Add(1)), nil },
		"fails":              func(context.Context) (int, error) { return 0, down },
		"panics":             func(context.Context) (int, error) { panic("loader") },
		"exits":              func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"late":               func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil },
		"behind": func(ctx context.Context) (int, error) {
			cache.ReadAt(ctx, position.Token{{System: 1, Timeline: 1, Offset: 1}})
			return -1, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stack := newStack(t, cache.Options{AuditEvery: 1})
				if err := stack.Advance(t.Context(), position.Token{{System: 1, Timeline: 1, Offset: 2}}); err != nil {
					t.Fatal(err)
				}
				c := cache.Define(stack, cache.Space[int, int]{
					Name: "row", Policy: cache.Policy{TTL: time.Hour},
					LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
						v, err := load(ctx)
						return map[int]int{keys[0]: v}, err
					},
				})
				c.Put(t.Context(), 1, -2)
				for range 3 {
					wantGet(t, c, 1, -2)
				}
				time.Sleep(time.Minute)
				wantAudits(t, stack, 0, 0, 3)
			})
		})
	}
}

func TestAuditOfValuesThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := newStack(t, cache.Options{AuditEvery: 1})
		c := cache.Define(stack, cache.Space[int, func()]{Name: "row", LoadMany: func(context.Context, []int) (map[int]func(), error) {
			return map[int]func(){1: func() {}}, nil
		}})
		for range 2 {
			c.Get(t.Context(), 1)
		}
		time.Sleep(time.Second)
		wantAudits(t, stack, 0, 0, 1)
	})
}

// The source is read at the entry's position: a replica behind it would accuse the entry of what it has not heard of.
func TestAuditReadsAtThePositionOfTheEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := newStack(t, cache.Options{AuditEvery: 1})
		at := position.Token{{System: 1, Timeline: 1, Offset: 5}}
		c := cache.Define(stack, cache.Space[int, int]{Name: "row", LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
			if len(cache.Need(ctx)) > 0 {
				return map[int]int{1: 2}, nil // the primary
			}
			return map[int]int{1: 1}, nil // a replica that lags
		}})
		ctx := cache.At(t.Context(), at)
		for range 2 {
			if v, err := c.Get(ctx, 1); v != 2 || err != nil {
				t.Fatalf("Get: %d, %v", v, err)
			}
		}
		time.Sleep(time.Minute - 10*time.Second)
		wantAudits(t, stack, 1, 0, 0)
	})
}

func TestAuditIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		stack, c := audited(t, s, cache.Options{})
		wantGet(t, c, 1, 1)
		began := time.Now()
		for range 10_000 {
			wantGet(t, c, 1, 1)
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("10,000 hits with a rest of 1 ms took %v: they wait for the auditor", took)
		}
		st := stack.Stats()[0]
		if most := uint64(time.Since(began)/time.Second) * 50; st.Audited > most+1 || st.Audited < most*9/10 {
			t.Errorf("%d audited in %v", st.Audited, time.Since(began))
		}
		if all := st.Audited + st.AuditsDropped; all < 10_000-65 {
			t.Errorf("%d hits audited and %d dropped of 10,000", st.Audited, st.AuditsDropped)
		}
	})
}

func TestAuditSamplesOneHitInSoMany(t *testing.T) {
	s := newSource(map[int]int{1: 1, 2: 2})
	stack := newStack(t, cache.Options{AuditEvery: 100})
	off := cache.Define(stack, cache.Space[int, int]{Name: "off", Policy: cache.Policy{AuditEvery: -1}, LoadMany: s.LoadMany})
	on := cache.Define(stack, cache.Space[int, int]{Name: "on", LoadMany: s.LoadMany})
	wantGet(t, on, 1, 1)
	wantGet(t, off, 1, 1)
	for range 50_000 {
		wantGet(t, on, 1, 1)
		wantGet(t, off, 1, 1)
	}
	values, found := make([]int, 2), make([]bool, 2)
	for range 50_000 {
		on.GetInto(t.Context(), []int{1, 2}, values, found)
	}
	stats := stack.Stats()
	if sampled := stats[1].Audited + stats[1].AuditsDropped; sampled < 850 || sampled > 1050 { // up to 65 are under way
		t.Errorf("%d of 100,000 hits sampled, want one in 100", sampled)
	}
	if stats[0].Audited+stats[0].AuditsDropped > 0 {
		t.Error("a space is audited that asked not to be")
	}
}
