package cache_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet/cache"
)

// tick is more than the clock of a stack lags.
const tick = 20 * time.Millisecond

func TestPolicyInForce(t *testing.T) {
	defaults := cache.Policy{
		TTL: time.Minute, Jitter: 0.1, NegativeTTL: 10 * time.Second, HardTimeout: 5 * time.Second,
		MaxEntries: 65536, MaxBytes: 64 << 20, MaxLoads: 1024,
	}
	with := func(change func(*cache.Policy)) cache.Policy {
		p := defaults
		change(&p)
		return p
	}
	for _, test := range []struct {
		name              string
		program, override cache.Policy
		want              cache.Policy
	}{
		{name: "defaults", want: defaults},
		{
			name:    "program over defaults",
			program: cache.Policy{TTL: time.Hour, StaleFor: time.Minute},
			want:    with(func(p *cache.Policy) { p.TTL, p.StaleFor = time.Hour, time.Minute }),
		},
		{
			name:     "override over program, field by field",
			program:  cache.Policy{TTL: time.Hour, MaxEntries: 10},
			override: cache.Policy{TTL: 2 * time.Hour},
			want:     with(func(p *cache.Policy) { p.TTL, p.MaxEntries = 2*time.Hour, 10 }),
		},
		{
			name:     "switched off by override",
			program:  cache.Policy{StaleFor: time.Hour, SoftTimeout: time.Second},
			override: cache.Policy{StaleFor: -1, SoftTimeout: -1, NegativeTTL: -1, Jitter: -1},
			want:     with(func(p *cache.Policy) { p.NegativeTTL, p.Jitter = 0, 0 }),
		},
		{
			name:    "absence no longer than presence",
			program: cache.Policy{TTL: time.Second},
			want:    with(func(p *cache.Policy) { p.TTL, p.NegativeTTL = time.Second, time.Second }),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.program.Resolve(test.override)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOverrideThatMakesNoSense(t *testing.T) {
	for field, policy := range map[string]cache.Policy{
		"TTL":         {TTL: -1},
		"TTL is 2":    {TTL: math.MaxInt64},
		"StaleFor":    {StaleFor: math.MaxInt64},
		"NegativeTTL": {NegativeTTL: math.MaxInt64},
		"Jitter":      {Jitter: 1.5},
		"HardTimeout": {HardTimeout: -1},
		"MaxEntries":  {MaxEntries: -1},
		"MaxBytes":    {MaxBytes: -1},
		"MaxLoads":    {MaxLoads: -1},
		"Jitter is N": {Jitter: math.NaN()},
	} {
		_, err := cache.NewStack(cache.Options{Policies: map[string]cache.Policy{"user": policy}})
		if err == nil || !strings.Contains(err.Error(), "user") || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: err = %v", field, err)
		}
	}
}

func TestOverrideIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		stack := newStack(t, cache.Options{Policies: map[string]cache.Policy{"row": {TTL: time.Second}}})
		c := cache.Define(stack, cache.Space[int, int]{Name: "row", Policy: cache.Policy{TTL: time.Hour}, LoadMany: s.LoadMany})
		wantGet(t, c, 1, 1)
		time.Sleep(time.Second + tick)
		wantGet(t, c, 1, 1)
		s.wantLoads(t, 2)
	})
}

// The age of a value counts from when its load began, not from when it came back.
func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: 10 * time.Second})
		release := s.holdBack()
		time.AfterFunc(4*time.Second, release)
		wantGet(t, c, 1, 1)
		s.goOn()
		time.Sleep(6*time.Second - tick)
		wantGet(t, c, 1, 1)
		s.wantLoads(t, 1)
		time.Sleep(2 * tick)
		wantGet(t, c, 1, 1)
		s.wantLoads(t, 2)
	})
}

func TestLoadSlowerThanTTLIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: time.Second})
		release := s.holdBack()
		time.AfterFunc(2*time.Second, release)
		wantGet(t, c, 1, 1)
		s.goOn()
		wantGet(t, c, 1, 1)
		s.wantLoads(t, 2)
	})
}

func TestJitterEndsEntriesEarlyAndApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, rows := []int{}, map[int]int{}
		for key := range 200 {
			keys, rows[key] = append(keys, key), key
		}
		s := newSource(rows)
		c := define(t, s, cache.Policy{TTL: 100 * time.Second, Jitter: 0.5})
		expiredAfter := func(age time.Duration) (expired int) {
			t.Helper()
			if err := c.InvalidateAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.GetMany(t.Context(), keys)
			before := s.loads()
			time.Sleep(age)
			c.GetMany(t.Context(), keys)
			for _, call := range s.loads()[len(before):] {
				expired += len(call)
			}
			return expired
		}
		if n := expiredAfter(50*time.Second - tick); n != 0 {
			t.Errorf("%d of 200 entries ended before TTL less jitter", n)
		}
		if n := expiredAfter(75 * time.Second); n < 50 || n > 150 {
			t.Errorf("%d of 200 entries ended in the first half of the jitter, want about 100", n)
		}
		if n := expiredAfter(100*time.Second + tick); n != 200 {
			t.Errorf("%d of 200 entries ended within their TTL, want all", n)
		}
	})
}

func TestNegativeTTL(t *testing.T) {
	for _, test := range []struct {
		name      string
		negative  time.Duration
		age       time.Duration
		wantLoads int
	}{
		{"remembered", time.Minute, time.Minute - tick, 1},
		{"until it ends", time.Minute, time.Minute + tick, 2},
		{"not at all", -1, 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(map[int]int{})
				c := define(t, s, cache.Policy{NegativeTTL: test.negative})
				for range 2 {
					if _, err := c.Get(t.Context(), 1); !errors.Is(err, cache.ErrNotFound) {
						t.Fatalf("err = %v, want ErrNotFound", err)
					}
					time.Sleep(test.age)
				}
				s.wantLoads(t, test.wantLoads)
			})
		})
	}
}

// What the source says it no longer has must not come back when the source fails later, remembered absence or not.
func TestAbsenceEndsStaleness(t *testing.T) {
	for _, negative := range []time.Duration{time.Second, -1} {
		synctest.Test(t, func(t *testing.T) {
			s := newSource(map[int]int{1: 1})
			c := define(t, s, cache.Policy{TTL: time.Minute, StaleFor: time.Hour, NegativeTTL: negative})
			wantGet(t, c, 1, 1)
			time.Sleep(2 * time.Minute)
			s.remove(1)
			if _, err := c.Get(t.Context(), 1); !errors.Is(err, cache.ErrNotFound) {
				t.Fatalf("err = %v, want ErrNotFound", err)
			}
			time.Sleep(time.Minute)
			s.fail(errors.New("down"))
			if v, err := c.Get(t.Context(), 1); err == nil {
				t.Fatalf("NegativeTTL %v: the removed value %d came back", negative, v)
			}
		})
	}
}

func TestStaleOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{TTL: time.Minute, StaleFor: 10 * time.Minute})
		wantGet(t, c, 1, 1)
		s.fail(down)
		time.Sleep(time.Minute + tick)
		wantGet(t, c, 1, 1)
		time.Sleep(10*time.Minute - 3*tick)
		wantGet(t, c, 1, 1)
		time.Sleep(3 * tick)
		if v, err := c.Get(t.Context(), 1); !errors.Is(err, down) {
			t.Errorf("Get past StaleFor = %d, %v; want %v", v, err, down)
		}
	})
}

func TestSoftTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1, 2: 2})
		c := define(t, s, cache.Policy{TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: 50 * time.Millisecond})
		wantGet(t, c, 1, 1)
		time.Sleep(2 * time.Minute)
		s.set(1, 10)
		release := s.holdBack()
		time.AfterFunc(time.Second, release)

		start := time.Now()
		wantGet(t, c, 1, 1)
		if waited := time.Since(start); waited != 50*time.Millisecond {
			t.Errorf("waited %v for a key with a stale value, want 50ms", waited)
		}
		wantGet(t, c, 2, 2)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v for a key without one, want until it is loaded after 1s", waited)
		}
		synctest.Wait()
		wantGet(t, c, 1, 10) // the load went on
		s.wantLoads(t, 3)
	})
}

func TestTheLongestTimesFitTheClock(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	s := newSource(map[int]int{1: 1})
	c := define(t, s, cache.Policy{TTL: century, StaleFor: century, NegativeTTL: century})
	for range 2 {
		wantGet(t, c, 1, 1)
		if _, err := c.Get(t.Context(), 2); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("err = %v, want ErrNotFound", err)
		}
	}
	s.wantLoads(t, 2)
}
