package main

import (
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// contender is one of several that do the same work in turns.
type contender struct {
	name string
	do   func(n int) error // n operations

	perOp  []float64 // nanoseconds of CPU, by round
	rates  []float64 // operations a second, by round
	allocs float64   // per operation, over all rounds
}

// race has contenders take turns for some rounds of n operations. CPU is that of this whole process, its collector of garbage
// and its clients' goroutines with it.
func race(rounds, n int, contenders ...*contender) error {
	for _, c := range contenders {
		if err := c.do(n); err != nil { // warms up
			return err
		}
	}
	for r := range rounds {
		for i := range contenders {
			c := contenders[(i+r)%len(contenders)]
			runtime.GC() // pay for others' garbage now
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			cpu, wall := cpuTime(), time.Now()
			if err := c.do(n); err != nil {
				return err
			}
			took := time.Since(wall)
			c.perOp = append(c.perOp, float64(cpuTime()-cpu)/float64(n))
			c.rates = append(c.rates, float64(n)/took.Seconds())
			runtime.ReadMemStats(&after)
			c.allocs += float64(after.Mallocs-before.Mallocs) / float64(n*rounds)
		}
	}
	return nil
}

// best is the round that was disturbed the least.
func (c *contender) best() float64 { return slices.Min(c.perOp) }

func (c *contender) fastest() float64 { return slices.Max(c.rates) }

// times is the median, over the rounds, of what a needs for each of what b needs.
func times(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for this process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// by has n operations done by callers at once. Each is given numbers of its own.
func by(callers, n int, do func(i int) error) error {
	var all sync.WaitGroup
	errs := make([]error, callers)
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n; i += callers {
				if errs[caller] = do(i); errs[caller] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
