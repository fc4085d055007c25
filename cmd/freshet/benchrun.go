package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/load"
)

// benchOutput is what bench prints with --json.
type benchOutput struct {
	Users   int        `json:"users"`
	Follows int        `json:"follows"`
	Mix     string     `json:"mix"`
	Seed    uint64     `json:"seed"`
	Rate    float64    `json:"rate"`
	Seconds float64    `json:"seconds"`
	Runs    []benchRun `json:"runs"`
}

// benchRun is what one mode did. Figures of the server are of the node that
// answered, and of all that it did, also for posts.
type benchRun struct {
	Mode      string       `json:"mode"`
	PerSecond float64      `json:"requests_per_second"`
	Reads     benchKind    `json:"reads"`
	Posts     benchKind    `json:"posts"`
	Fresh     benchFresh   `json:"freshness"`
	LateP99   float64      `json:"begun_late_p99_ms"`
	CPU       float64      `json:"cpu_seconds"`
	CPUReads  float64      `json:"cpu_ms_per_1000_reads"`
	Sent      int64        `json:"bytes_sent"`
	Allocs    float64      `json:"allocations_per_request"`
	Memory    float64      `json:"pages_from_memory"`
	Pulls     float64      `json:"pulls_of_the_store"`
	Delivered float64      `json:"entries_delivered"`
	Redis     *sharedUsage `json:"redis,omitempty"`
}

type benchKind struct {
	Done    int64   `json:"done"`
	Failed  int64   `json:"failed"`
	GivenUp int64   `json:"given_up"`
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
}

// benchFresh is the time from the acknowledgement of a post to the end of the
// first read of a follower that showed it, and how many of the reads that began
// after it did not.
type benchFresh struct {
	Watched int64   `json:"watched"`
	Missed  int64   `json:"missed"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// settleWithin is how long a node may work on what it was asked for after the
// last request.
const settleWithin = time.Minute

// Two seeds, so that what is measured was not warmed up with.
const (
	warmSeed    = 1
	measureSeed = 2
)

// measure warms a server up and measures it.
func (b *bench) measure(ctx context.Context, name string, t *load.Target) (r benchRun, err error) {
	if _, err := b.drive(ctx, name+", warm-up", t, b.warmup, warmSeed); err != nil {
		return r, err
	}
	if err := t.Settle(ctx, settleWithin); err != nil {
		return r, err
	}
	t.Freshness() // what was seen while it warmed up
	before, err := b.usage(ctx, t)
	if err != nil {
		return r, err
	}
	did, err := b.drive(ctx, name, t, b.duration, measureSeed)
	if err != nil {
		return r, err
	}
	if err := t.Settle(ctx, settleWithin); err != nil {
		return r, err
	}
	after, err := b.usage(ctx, t)
	if err != nil {
		return r, err
	}
	for _, err := range append(did.Reads.Errors, did.Posts.Errors...) {
		fmt.Fprintf(b.Err, "%s: %v\n", name, err)
	}
	r = b.runOf(name, did, t.Freshness())
	r.account(before, after)
	if r.Reads.Done+r.Posts.Done == 0 {
		return r, withHint(errors.New("no request succeeded"), "the first errors stand above; is the server overloaded? lower --rate")
	}
	return r, nil
}

// drive carries out the arrivals of a span.
func (b *bench) drive(ctx context.Context, what string, t *load.Target, span time.Duration, seed uint64) (*load.Report, error) {
	if span == 0 {
		return nil, nil
	}
	bar := newProgress(b.Err)
	total := int(span / time.Millisecond)
	bar.start(total, "ms of "+what)
	defer bar.end()
	r, err := load.OpenLoop{
		Do: t.Do, Workers: b.workers,
		Progress: func(due time.Duration) { bar.reach(int(due / time.Millisecond)) },
	}.Run(ctx, b.net.Arrivals(b.rate, span, b.seed<<8|seed))
	if err == nil {
		bar.reach(total)
	}
	return r, err
}

func (b *bench) runOf(name string, did *load.Report, fresh load.Freshness) benchRun {
	return benchRun{
		Mode:      name,
		PerSecond: float64(did.Reads.Done+did.Posts.Done) / max(did.Took, b.duration).Seconds(),
		Reads:     kindOf(&did.Reads), Posts: kindOf(&did.Posts),
		LateP99: inMS(did.Begun.Quantile(0.99)),
		Fresh: benchFresh{
			Watched: fresh.Watched, Missed: fresh.Missed,
			P50: inMS(fresh.Visible.Quantile(0.5)), P99: inMS(fresh.Visible.Quantile(0.99)),
		},
	}
}

func kindOf(o *load.Outcome) benchKind {
	return benchKind{
		Done: o.Done, Failed: o.Failed, GivenUp: o.GivenUp,
		P50: inMS(o.Latency.Quantile(0.5)), P95: inMS(o.Latency.Quantile(0.95)), P99: inMS(o.Latency.Quantile(0.99)),
	}
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// benchUsage is what a server has used since it began.
type benchUsage struct {
	server map[string]float64 // its metrics
	sent   int64
	redis  sharedUsage
}

func (b *bench) usage(ctx context.Context, t *load.Target) (u benchUsage, err error) {
	if u.server, err = t.Metrics(ctx); err != nil {
		return u, err
	}
	u.sent, _ = t.Wire()
	u.redis, err = b.share.usage(ctx)
	return u, err
}

// account adds what the server used between two instants.
func (r *benchRun) account(before, after benchUsage) {
	diff := func(name string) float64 { return after.server[name] - before.server[name] }
	requests := float64(max(1, r.Reads.Done+r.Posts.Done))
	r.CPU = diff("process_cpu_seconds_total")
	r.CPUReads = r.CPU * 1e6 / float64(max(1, r.Reads.Done))
	r.Allocs = diff("go_memstats_mallocs_total") / requests
	r.Sent = after.sent - before.sent
	r.Memory = diff("freshet_feed_pages_from_memory_total")
	r.Pulls = diff("freshet_feed_pulls_total")
	r.Delivered = diff("freshet_feed_delivered_total")
	if used := after.redis.minus(before.redis); used != (sharedUsage{}) {
		r.Redis = &used
	}
}
