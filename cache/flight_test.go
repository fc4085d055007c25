package cache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet/cache"
)

func TestOneLoadForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{})
		release := s.holdBack()
		var waiting []<-chan result
		for range 1000 {
			waiting = append(waiting, goGet(t.Context(), c, 1))
		}
		synctest.Wait()
		release()
		for _, w := range waiting {
			if r := <-w; r.value != 1 || r.err != nil {
				t.Fatalf("Get = %d, %v; want 1", r.value, r.err)
			}
		}
		s.wantLoads(t, 1)
	})
}

// overtaken is a context that lets something happen when it is asked for its error: after its bearer has missed memory, before
// he joins a load.
type overtaken struct {
	context.Context
	by func()
}

func (o overtaken) Err() error {
	o.by()
	return o.Context.Err()
}

// Who has missed memory a moment before somebody else's load fills it, and finds that load gone, asks the source no second time.
func TestLoadThatEndsBetweenMissAndJoin(t *testing.T) {
	s := newSource(map[int]int{1: 1})
	c := define(t, s, cache.Policy{})
	other := sync.OnceFunc(func() { wantGet(t, c, 1, 1) })
	if v, err := c.Get(overtaken{t.Context(), other}, 1); v != 1 || err != nil {
		t.Errorf("Get = %d, %v; want 1", v, err)
	}
	s.wantLoads(t, 1)
}

func TestGetManyLoadsOnlyWhatNobodyLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 10, 2: 20, 3: 30, 5: 50})
		c := define(t, s, cache.Policy{})
		wantGet(t, c, 5, 50)
		release := s.holdBack()
		one := goGet(t.Context(), c, 1)
		synctest.Wait()

		many := make(chan map[int]int)
		go func() {
			m, err := c.GetMany(t.Context(), []int{1, 2, 3, 4, 5, 2})
			if err != nil {
				t.Error(err)
			}
			many <- m
		}()
		synctest.Wait()
		three := goGet(t.Context(), c, 3)
		synctest.Wait()
		release()

		<-one
		if diff := cmp.Diff(map[int]int{1: 10, 2: 20, 3: 30, 5: 50}, <-many); diff != "" {
			t.Error(diff)
		}
		if r := <-three; r.value != 30 {
			t.Errorf("Get(3) = %d, %v", r.value, r.err)
		}
		if diff := cmp.Diff([][]int{{5}, {1}, {2, 3, 4}}, s.loads()); diff != "" {
			t.Errorf("loads: %s", diff)
		}
	})
}

func TestGetManyAnswersWhatItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 10, 2: 20})
		c := define(t, s, cache.Policy{})
		wantGet(t, c, 1, 10)
		down := errors.New("down")
		s.fail(down)
		m, err := c.GetMany(t.Context(), []int{1, 2})
		if !errors.Is(err, down) {
			t.Errorf("err = %v, want %v", err, down)
		}
		if diff := cmp.Diff(map[int]int{1: 10}, m); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBlockedLoadDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1, 2: 2, 3: 3})
		c := define(t, s, cache.Policy{HardTimeout: time.Hour})
		wantGet(t, c, 2, 2)
		release := s.holdBack()
		defer release()
		blocked := goGet(t.Context(), c, 1)
		synctest.Wait()
		s.goOn()

		start := time.Now()
		for range 2000 {
			wantGet(t, c, 2, 2) // a hit
		}
		wantGet(t, c, 3, 3) // a load
		if err := c.Invalidate(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("others waited %v for a load that is not theirs", waited)
		}
		select {
		case <-blocked:
			t.Error("the load was not blocked: this test shows nothing")
		default:
		}
	})
}

func TestWaiterWhoGivesUpTakesNobodyWithHim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := cache.Define(newStack(t, cache.Options{}), cache.Space[int, int]{
			Name: "row",
			LoadMany: func(ctx context.Context, keys []int) (map[int]int, error) {
				asked++
				select {
				case <-time.After(time.Second):
					return map[int]int{1: 1}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		first := goGet(ctx, c, 1)
		synctest.Wait()
		second := goGet(t.Context(), c, 1)
		synctest.Wait()
		cancel()
		synctest.Wait()
		select {
		case r := <-first:
			if !errors.Is(r.err, context.Canceled) {
				t.Errorf("err = %v, want Canceled", r.err)
			}
		default:
			t.Error("the cancelled caller still waits")
		}
		if r := <-second; r.value != 1 || r.err != nil {
			t.Errorf("the other caller got %d, %v", r.value, r.err)
		}
		wantGet(t, c, 1, 1)
		if asked != 1 {
			t.Errorf("source was asked %d times, want 1", asked)
		}
	})
}

func TestCancelledCallerLoadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Get(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		s.wantLoads(t, 0)
	})
}

// A loader that breaks off fails its waiters, and the next caller has another try.
func TestLoaderThatBreaksOff(t *testing.T) {
	down := errors.New("down")
	for name, breakOff := range map[string]func(){
		"panic":  func() { panic(down) },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := true
				c := cache.Define(newStack(t, cache.Options{}), cache.Space[int, int]{
					Name: "row",
					LoadMany: func(context.Context, []int) (map[int]int, error) {
						time.Sleep(time.Second)
						if broken {
							breakOff()
						}
						return map[int]int{1: 1}, nil
					},
				})
				first, second := goGet(t.Context(), c, 1), goGet(t.Context(), c, 1)
				for _, r := range []result{<-first, <-second} {
					if r.err == nil {
						t.Fatalf("got %d from a loader that broke off", r.value)
					}
					var p *cache.PanicError
					if name == "panic" && (!errors.As(r.err, &p) || !errors.Is(r.err, down)) {
						t.Errorf("err = %v, want a PanicError of %v", r.err, down)
					}
				}
				broken = false
				wantGet(t, c, 1, 1)
			})
		})
	}
}

func TestHardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1})
		c := define(t, s, cache.Policy{HardTimeout: 3 * time.Second})
		release := s.holdBack() // and looks at no context
		defer release()
		waiting := goGet(t.Context(), c, 1)
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		if len(waiting) != 0 {
			t.Error("the load ended before its deadline")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		select {
		case r := <-waiting:
			if !errors.Is(r.err, context.DeadlineExceeded) {
				t.Errorf("err = %v, want DeadlineExceeded", r.err)
			}
		default:
			t.Fatal("the load goes on past its deadline")
		}
		s.goOn()
		wantGet(t, c, 1, 1)
	})
}

func TestMaxLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(map[int]int{1: 1, 2: 2, 3: 3})
		c := define(t, s, cache.Policy{MaxLoads: 1, TTL: time.Minute, StaleFor: time.Hour})
		wantGet(t, c, 3, 3)
		time.Sleep(2 * time.Minute)
		release := s.holdBack()
		defer release()
		goGet(t.Context(), c, 1)
		synctest.Wait()
		if _, err := c.Get(t.Context(), 2); !errors.Is(err, cache.ErrBusy) {
			t.Errorf("err = %v, want ErrBusy", err)
		}
		wantGet(t, c, 3, 3) // stale
		s.goOn()
		release()
		synctest.Wait()
		wantGet(t, c, 2, 2)
	})
}
