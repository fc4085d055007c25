package load

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// OpenLoop carries out arrivals when they are due, as users do who know nothing
// of each other: a slow answer delays none of the requests behind it.
//
//	Arrivals ─ due ─▶ dispatcher ─ never waits ─▶ queue ─▶ Workers ─ Do ─▶ Report
//
// Latencies are counted from when an arrival was due and not from when a worker
// came to it. A generator that waits for answers asks less while a server stalls,
// and so leaves out of its percentiles what the stall did to everybody else (Gil
// Tene's coordinated omission).
type OpenLoop struct {
	// Do carries out one arrival, on several goroutines at once. An error counts it
	// as failed. What it returns besides is called once the latency was taken, and
	// before its worker goes on; it may be nil.
	Do func(ctx context.Context, a Arrival) (after func(), err error)
	// Workers is how many are carried out at once; default 256.
	Workers int
	// Patience is how long an arrival waits for a worker. Then it is given up and
	// counted as that. Default 10 s.
	Patience time.Duration
	// Progress is told now and then, by one goroutine, up to when arrivals were
	// handed out. May be nil.
	Progress func(due time.Duration)

	pause func(time.Duration) // tests run on a clock of their own
}

// backlog is how many arrivals wait for workers at most; those above are given
// up at once.
const backlog = 1 << 16

// Report is what became of arrivals.
type Report struct {
	Posts, Reads Outcome
	// Begun is how long after they were due arrivals were begun: the part of the
	// latencies that was spent before the request left, because all workers were
	// busy or the generator itself had no processor.
	Begun Durations
	// Took is the time from the start until the last one ended.
	Took time.Duration
}

// Outcome is what became of arrivals of one kind. Due is the sum of the others.
type Outcome struct {
	Due, Done, Failed, GivenUp int64
	Latency                    Durations // of those that were done
	Errors                     []error   // the first few
}

// keptErrors is how many errors an Outcome holds.
const keptErrors = 3

// Run carries out arrivals, which come in the order of time, and returns when the
// last has ended. When ctx ends it hands out no more and returns its error; what
// had been measured until then comes with it.
func (o OpenLoop) Run(ctx context.Context, arrivals iter.Seq[Arrival]) (*Report, error) {
	if o.Workers == 0 {
		o.Workers = 256
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.pause == nil {
		o.pause = pause
	}
	r := recorder{began: time.Now(), report: new(Report)}
	queue := make(chan Arrival, backlog)
	var group sync.WaitGroup
	for range o.Workers {
		group.Go(func() {
			for a := range queue {
				o.one(ctx, a, &r)
			}
		})
	}
	err := o.dispatch(ctx, arrivals, queue, &r)
	close(queue)
	group.Wait()
	r.report.Took = time.Since(r.began)
	return r.report, err
}

// dispatch hands each arrival out when it is due.
func (o *OpenLoop) dispatch(ctx context.Context, arrivals iter.Seq[Arrival], queue chan<- Arrival, r *recorder) error {
	told := time.Duration(0)
	for a := range arrivals {
		if err := o.wait(ctx, r.began.Add(a.Due)); err != nil {
			return err
		}
		select {
		case queue <- a:
		default:
			r.giveUp(a)
		}
		if o.Progress != nil && a.Due-told >= progressEvery {
			told = a.Due
			o.Progress(told)
		}
	}
	return nil
}

const (
	progressEvery = 50 * time.Millisecond

	// coarse is what the runtime's timers may be late by: they wake from an
	// epoll_wait that counts in milliseconds.
	coarse = 2 * time.Millisecond
)

// wait returns at an instant, or when ctx ends. The last bit is slept through
// more finely than timers can.
func (o *OpenLoop) wait(ctx context.Context, until time.Time) error {
	if left := time.Until(until); left > coarse {
		timer := time.NewTimer(left - coarse)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	if left := time.Until(until); left > 0 && ctx.Err() == nil {
		o.pause(left)
	}
	return ctx.Err()
}

// one carries out an arrival that was handed out.
func (o *OpenLoop) one(ctx context.Context, a Arrival, r *recorder) {
	due := r.began.Add(a.Due)
	late := time.Since(due)
	if late > o.Patience || ctx.Err() != nil {
		r.giveUp(a)
		return
	}
	after, err := o.Do(ctx, a)
	r.done(a, late, time.Since(due), err)
	if after != nil {
		after()
	}
}

// recorder writes the report; mu guards it.
type recorder struct {
	began  time.Time
	mu     sync.Mutex
	report *Report
}

func (r *recorder) of(a Arrival) *Outcome {
	if a.Kind == Post {
		return &r.report.Posts
	}
	return &r.report.Reads
}

func (r *recorder) giveUp(a Arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.of(a)
	o.Due++
	o.GivenUp++
}

func (r *recorder) done(a Arrival, late, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Begun.Add(late)
	o := r.of(a)
	o.Due++
	if err != nil {
		o.Failed++
		if len(o.Errors) < keptErrors && !errors.Is(err, context.Canceled) {
			o.Errors = append(o.Errors, err)
		}
		return
	}
	o.Done++
	o.Latency.Add(took)
}
