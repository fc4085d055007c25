package main

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

const (
	downAim = "p99 of hits within 2 x + 1 µs, misses at once after the breaker, no read older than MaxStale but in the MaxStale after it is back, none after a confirmed fence"

	downKeys     = 1_000
	downHits     = 200_000
	downMisses   = 500
	downSource   = time.Millisecond      // what the source takes
	downMissP99  = 20 * downSource       // of misses, once the breaker is open
	downOpensIn  = 5 * time.Second       // the breaker, three calls after the layer hangs
	downSlack    = 50 * time.Millisecond // that this program adds to what it times
	downMaxStale = time.Second
)

// measureDown is point 7: once Redis hangs, and once it is killed and comes back with what it had on disk.
func measureDown(ctx context.Context, l *lab) (outcome, error) {
	total := outcome{ok: true}
	for _, fault := range []struct {
		name     string
		down, up func(*testenv.Server)
	}{
		{"paused", (*testenv.Server).Pause, (*testenv.Server).Resume},
		{"killed", (*testenv.Server).Kill, (*testenv.Server).Restart},
	} {
		server := testenv.StartRedis(l, "--appendonly", "yes", "--appendfsync", "always")
		w, err := l.openOutage(ctx, server.Addr)
		if err != nil {
			return outcome{}, err
		}
		r, err := w.run(ctx, func() { fault.down(server) }, func() { fault.up(server) })
		w.close()
		if err != nil {
			return outcome{}, fmt.Errorf("%s: %w", fault.name, err)
		}
		server.Kill()
		l.detail("%s: p99 of %d hits %s before, %s without Redis", fault.name, downHits, r.hitsBefore, r.hitsDown)
		l.detail("%s: misses went to the loader alone %s after, p99 of %d misses from then on %s, the source takes %s", fault.name, ms(r.opened), downMisses, r.missesDown.Round(10*time.Microsecond), downSource)
		l.detail("%s: %d writes and %d reads meanwhile, %d writes and %d reads after; used again %s after it was back", fault.name, r.writesDown, r.readsDown, r.writesUp, r.readsUp, ms(r.rejoined))
		l.detail("%s: the oldest value read had been over for %s, and for %s within %s after the layer was back, while fences were owed to it", fault.name, ms(r.oldest), ms(r.settling), downMaxStale)
		l.detail("%s: of %d keys on two nodes %d differ from the source %s after the last write, %d after a confirmed fence", fault.name, downKeys, r.differ, downMaxStale, r.differConfirmed)
		total.figure += fmt.Sprintf("%s: hits %s/%s, breaker %s, misses %s, oldest %s, %d+%d stale; ", fault.name, r.hitsDown, r.hitsBefore, ms(r.opened), ms(r.missesDown), ms(r.oldest), r.differ, r.differConfirmed)
		total.ok = total.ok && r.ok()
	}
	total.figure = total.figure[:len(total.figure)-2]
	return total, nil
}

// outageReport is what one outage showed.
type outageReport struct {
	hitsBefore, hitsDown    time.Duration // p99
	opened, missesDown      time.Duration
	rejoined, oldest        time.Duration
	settling                time.Duration // see outage
	writesDown, readsDown   int64
	writesUp, readsUp       int64
	differ, differConfirmed int
}

func (r *outageReport) ok() bool {
	return r.hitsDown <= 2*r.hitsBefore+time.Microsecond && r.opened <= downOpensIn && r.missesDown <= downMissP99 &&
		r.oldest <= downMaxStale+downSlack && r.differ == 0 && r.differConfirmed == 0 && r.readsDown > 0 && r.writesDown > 0
}

// run has an outage come and go.
func (w *outage) run(ctx context.Context, down, up func()) (r outageReport, err error) {
	if err := w.readAll(ctx, nil); err != nil {
		return r, err
	}
	if r.hitsBefore, err = w.hits(ctx); err != nil {
		return r, err
	}
	down()
	began := time.Now()
	if err := w.untilAlone(ctx); err != nil {
		return r, err
	}
	r.opened = time.Since(began)
	if r.missesDown, err = w.misses(ctx); err != nil {
		return r, err
	}
	if r.hitsDown, err = w.hits(ctx); err != nil {
		return r, err
	}
	load := time.Duration(size(2, 60)) * time.Second
	if err := w.load(ctx, load); err != nil {
		return r, err
	}
	r.writesDown, r.readsDown = w.writes.Swap(0), w.reads.Swap(0)
	// The load goes on while the layer comes back.
	loaded := make(chan error, 1)
	go func() { loaded <- w.load(ctx, load) }()
	w.back.Store(time.Now().UnixNano()) // a server that restarts answers before up returns
	up()
	w.back.Store(time.Now().UnixNano())
	began = time.Now()
	for _, n := range w.nodes {
		if err := n.joined(ctx); err != nil {
			return r, err
		}
	}
	r.rejoined = time.Since(began)
	if err := <-loaded; err != nil {
		return r, err
	}
	r.writesUp, r.readsUp = w.writes.Load(), w.reads.Load()
	time.Sleep(downMaxStale)
	if err := w.readAll(ctx, &r.differ); err != nil {
		return r, err
	}
	if err := w.confirmAll(ctx); err != nil {
		return r, err
	}
	err = w.readAll(ctx, &r.differConfirmed)
	r.oldest, r.settling = time.Duration(w.oldest.Load()), time.Duration(w.settling.Load())
	return r, err
}

// hits reads what the only node of its source has in memory, and gives the p99.
func (w *outage) hits(ctx context.Context) (time.Duration, error) {
	took := make([]time.Duration, downHits)
	before := w.alone.statsOf("alone").Hits
	for i := range took {
		began := time.Now()
		_, err := w.kept.Get(ctx, int64(i%downKeys))
		took[i] = time.Since(began)
		if err != nil {
			return 0, err
		}
	}
	if hits := w.alone.statsOf("alone").Hits - before; hits != downHits {
		return 0, fmt.Errorf("of %d reads %d were hits", downHits, hits)
	}
	return quantile(took, 0.99), nil
}

// untilAlone misses until no read of any node asks the layer any more.
func (w *outage) untilAlone(ctx context.Context) error {
	deadline := time.Now().Add(joinWithin)
	for _, n := range append(w.nodes[:], w.alone) {
		for n.uses(ctx) {
			if time.Now().After(deadline) || ctx.Err() != nil {
				return fmt.Errorf("the breaker does not open within %v", joinWithin)
			}
		}
	}
	return nil
}

// misses reads keys that nobody has, on every node in turn, and gives the p99.
func (w *outage) misses(ctx context.Context) (time.Duration, error) {
	took := make([]time.Duration, downMisses)
	for i := range took {
		began := time.Now()
		_, err := w.spaces[i%len(w.spaces)].Get(ctx, int64(downKeys+i))
		took[i] = time.Since(began)
		if err != nil {
			return 0, err
		}
	}
	return quantile(took, 0.99), nil
}

// readAll reads every key on both nodes and counts those that differ from the source.
func (w *outage) readAll(ctx context.Context, differ *int) error {
	for k := range int64(downKeys) {
		if _, err := w.kept.Get(ctx, k); err != nil {
			return err
		}
		for _, space := range w.spaces {
			v, err := space.Get(ctx, k)
			if err != nil {
				return err
			}
			if differ != nil && v != w.source[k].now() {
				*differ++
			}
		}
	}
	return nil
}

// confirmAll writes every key once more, by one node or the other, and ends all at once.
func (w *outage) confirmAll(ctx context.Context) error {
	var keys [2][]int64
	for k := range int64(downKeys) {
		w.source[k].write()
		keys[k%2] = append(keys[k%2], k)
	}
	for i, space := range w.spaces {
		if err := space.InvalidateConfirmed(ctx, keys[i]...); err != nil {
			return err
		}
	}
	return nil
}
