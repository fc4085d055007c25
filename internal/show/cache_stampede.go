package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

const (
	stampedeAim = "1 load, 20 of 20; within load + 1.2 s of kill -9, stale ones at once; no hit > 1 ms"

	stampedeProcesses = 3
	stampedeCallers   = 1_000
	stampedeRuns      = 20
	stampedeLoad      = 50 * time.Millisecond
	killedLoad        = 300 * time.Millisecond
	killedGrace       = 1200 * time.Millisecond
	atOnce            = 50 * time.Millisecond // a read that did not wait for a load of killedLoad
)

// stampedes are the processes and what they say.
type stampedes struct {
	lab     *lab
	addr    string
	events  chan stampedeEvent
	workers []*stampedeProcess
}

// measureStampede is point 2.
func measureStampede(ctx context.Context, l *lab) (outcome, error) {
	s := &stampedes{lab: l, addr: testenv.StartRedis(l).Addr, events: make(chan stampedeEvent, 1024), workers: make([]*stampedeProcess, stampedeProcesses)}
	for i := range s.workers {
		if err := s.start(ctx, i); err != nil {
			return outcome{}, err
		}
	}
	defer s.end()
	single, err := s.singles(ctx)
	if err != nil {
		return outcome{}, err
	}
	kills := size(3, 20)
	var slowest, staleFresh time.Duration
	var stale []time.Duration
	for k := range kills {
		took, err := s.killed(ctx, fmt.Sprintf("killed %d", k))
		if err != nil {
			return outcome{}, err
		}
		slowest = max(slowest, took)
		reads, renewed, err := s.killedStale(ctx, fmt.Sprintf("stale %d", k))
		if err != nil {
			return outcome{}, err
		}
		stale, staleFresh = append(stale, reads...), max(staleFresh, renewed)
	}
	slow, longest, err := l.hitsBesideABlockedLoad(ctx, s.addr)
	if err != nil {
		return outcome{}, err
	}
	p99 := quantile(stale, 0.99)
	l.detail("%d times the loader's process was killed: the others had the value %s later at most", kills, ms(slowest))
	l.detail("where stale values are allowed, p99 of %d reads in the same time %s, slowest %s; the new value %s after the kill at most", len(stale), ms(p99), ms(slices.Max(stale)), ms(staleFresh))
	l.detail("%d hits while a loader hangs: %d took more than %s, the longest %s", hitsWatched, slow, slowHit, longest)
	bound := killedLoad + killedGrace
	return outcome{
		fmt.Sprintf("1 load in %d of %d runs; killed: %s, stale p99 %s, renewed %s; %d hits > 1 ms", single, stampedeRuns, ms(slowest), ms(p99), ms(staleFresh), slow),
		single == stampedeRuns && slowest <= bound && p99 <= atOnce && staleFresh <= bound && slow == 0,
	}, nil
}

// singles has all processes ask for a cold key at once, and counts the runs with one load.
func (s *stampedes) singles(ctx context.Context) (single int, err error) {
	for run := range stampedeRuns {
		o := stampedeOrder{Key: fmt.Sprintf("cold %d", run), Callers: stampedeCallers, Load: stampedeLoad, Value: run}
		for i := range s.workers {
			if err := s.order(i, o); err != nil {
				return single, err
			}
		}
		loads, done, err := s.await(ctx, o.Key, len(s.workers))
		if err != nil {
			return single, err
		}
		right := true
		for _, e := range done {
			right = right && len(e.Errors) == 0 && e.Values[o.Value] == o.Callers
		}
		switch {
		case !right:
			s.lab.detail("%s: some callers got %+v", o.Key, done[0].Errors)
		case len(loads) == 1:
			single++
		default:
			s.lab.detail("%s: %d loads", o.Key, len(loads))
		}
	}
	return single, nil
}

// killed kills the process that loads a key for the others, and tells how long they then took to have it.
func (s *stampedes) killed(ctx context.Context, key string) (took time.Duration, err error) {
	o := stampedeOrder{Key: key, Callers: 10, Load: killedLoad, Value: 7}
	dead, at, err := s.killLoader(ctx, o)
	if err != nil {
		return 0, err
	}
	_, done, err := s.await(ctx, key, len(s.workers)-1)
	took = time.Since(at)
	for _, e := range done {
		if e.Values[o.Value] != o.Callers {
			err = fmt.Errorf("after the loader's process was killed the others got %v, %v", e.Values, e.Errors)
		}
	}
	if err != nil {
		return took, err
	}
	return took, s.start(ctx, dead)
}

// killLoader gives an order to all and kills whoever loads, in the middle.
func (s *stampedes) killLoader(ctx context.Context, o stampedeOrder) (dead int, at time.Time, err error) {
	for i := range s.workers {
		if err := s.order(i, o); err != nil {
			return 0, at, err
		}
	}
	for {
		e, err := s.next(ctx)
		if err != nil {
			return 0, at, err
		}
		if e.Load != o.Key {
			continue
		}
		time.Sleep(o.Load / 2)
		s.workers[e.Worker].kill()
		return e.Worker, time.Now(), nil
	}
}

// killedStale is killed for a key that has a stale value: the reads that the others make meanwhile, and how long
// after the kill all of them have the new value.
func (s *stampedes) killedStale(ctx context.Context, key string) (reads []time.Duration, renewed time.Duration, err error) {
	first := stampedeOrder{Key: key, Callers: 1, Value: 1, Stale: true}
	for i := range s.workers {
		if err := s.order(i, first); err != nil {
			return nil, 0, err
		}
	}
	if _, _, err := s.await(ctx, key, len(s.workers)); err != nil {
		return nil, 0, err
	}
	time.Sleep(stampedeTTL + 50*time.Millisecond)
	// One worker renews; once its loader runs, the others read what is stale.
	second := stampedeOrder{Key: key, Callers: 1, Load: killedLoad, Value: 2, Stale: true}
	if err := s.order(0, second); err != nil {
		return nil, 0, err
	}
	for e := (stampedeEvent{}); e.Load != key; {
		if e, err = s.next(ctx); err != nil {
			return nil, 0, err
		}
	}
	s.workers[0].kill()
	killed, give := time.Now(), 3*(killedLoad+killedGrace)
	for fresh := 0; fresh < len(s.workers)-1 && time.Since(killed) < give; {
		fresh = 0
		for i := 1; i < len(s.workers); i++ {
			if err := s.order(i, second); err != nil {
				return nil, 0, err
			}
		}
		_, done, err := s.await(ctx, key, len(s.workers)-1)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range done {
			if e.Values[1]+e.Values[2] != 1 {
				return nil, 0, fmt.Errorf("a key whose renewal was killed reads %v, %v", e.Values, e.Errors)
			}
			fresh += e.Values[2]
			reads = append(reads, e.Took...)
		}
		renewed = time.Since(killed)
		time.Sleep(5 * time.Millisecond)
	}
	return reads, renewed, s.start(ctx, 0)
}

// await waits until n workers have done an order, and gives the calls of loaders until then.
func (s *stampedes) await(ctx context.Context, key string, n int) (loads, done []stampedeEvent, err error) {
	for len(done) < n {
		e, err := s.next(ctx)
		switch {
		case err != nil:
			return loads, done, fmt.Errorf("%s: %w", key, err)
		case e.Load == key:
			loads = append(loads, e)
		case e.Done == key:
			done = append(done, e)
		}
	}
	return loads, done, nil
}

func (s *stampedes) next(ctx context.Context) (e stampedeEvent, err error) {
	select {
	case e = <-s.events:
		return e, nil
	case <-ctx.Done():
		return e, ctx.Err()
	case <-time.After(joinWithin):
		return e, fmt.Errorf("the workers say nothing for %v", joinWithin)
	}
}

func (s *stampedes) order(i int, o stampedeOrder) error { return s.workers[i].in.Encode(o) }

// start starts worker i and waits until it uses the layer.
func (s *stampedes) start(ctx context.Context, i int) (err error) {
	if s.workers[i], err = s.lab.startStampede(i, s.addr, s.events); err != nil {
		return err
	}
	for {
		if e, err := s.next(ctx); err != nil || e.Ready && e.Worker == i {
			return err
		}
	}
}

func (s *stampedes) end() {
	for _, w := range s.workers {
		w.kill()
	}
}
