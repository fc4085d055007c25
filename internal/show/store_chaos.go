package main

import (
	"context"
	"fmt"
	"time"
)

const (
	chaosAim = "three app processes with Redis over HTTP: 0 violations in 20,000 reads (soak: 200,000), replicas at least 70 %, a random router violates in 3 of 3 runs, first write within 1 s, 0 acknowledged lost"

	chaosRuns  = 3
	chaosReads = 20_000
)

// chaosFound is what a run, or all of them, found.
type chaosFound struct {
	reads, unseen, back, resurrected int64 // reads, and of them: without an own write, back in time, with what was deleted
	strangers                        int64 // reads of those who have no token, and never one
	writes, failed, lost             int64 // writes acknowledged; requests that got no answer or an error; acknowledged writes lost
	random, randomStale              int64 // reads of whatever replica, and of them: without an own write
	onReplicas, onPrimary            float64
	failover, slowest                time.Duration // from the promotion to the first write; the slowest read that was answered
}

func (f *chaosFound) violations() int64 { return f.unseen + f.back + f.resurrected }

func (f *chaosFound) share() float64 { return 100 * f.onReplicas / (f.onReplicas + f.onPrimary) }

func (f *chaosFound) String() string {
	return fmt.Sprintf("%d reads of sessions (%d without an own write, %d back in time) and %d without a token, %d with a deleted post; %.1f %% of %.0f database reads on replicas; "+
		"%d writes acknowledged, %d lost; first write %s after the promotion; slowest read %s; %d requests failed; a random replica: %d of %d stale",
		f.reads, f.unseen, f.back, f.strangers, f.resurrected, f.share(), f.onReplicas+f.onPrimary,
		f.writes, f.lost, ms(f.failover), ms(f.slowest), f.failed, f.randomStale, f.random)
}

// measureChaos is point 2.
func measureChaos(ctx context.Context, l *lab) (outcome, error) {
	var all chaosFound
	share, caught, enough := 100.0, 0, true
	for i := range chaosRuns {
		l.say("chaos over three processes, run %d of %d", i+1, chaosRuns)
		f, err := l.chaosRun(ctx, int64(size(chaosReads, 10*chaosReads)), uint64(i))
		if err != nil {
			return outcome{}, err
		}
		l.detail("run %d: %s", i+1, f)
		all.reads, all.unseen, all.back, all.resurrected = all.reads+f.reads, all.unseen+f.unseen, all.back+f.back, all.resurrected+f.resurrected
		all.writes, all.lost, all.strangers = all.writes+f.writes, all.lost+f.lost, all.strangers+f.strangers
		all.failover, all.slowest, share = max(all.failover, f.failover), max(all.slowest, f.slowest), min(share, f.share())
		enough = enough && f.reads >= int64(size(chaosReads, 10*chaosReads))
		if f.randomStale > 0 {
			caught++
		}
	}
	return outcome{
		fmt.Sprintf("%d violations in %d reads of sessions, %d deleted posts in these and %d reads without a token, %d runs; at least %.1f %% on replicas; a random router violated in %d of %d; first write after at most %s; %d of %d acknowledged writes lost; slowest read %s",
			all.unseen+all.back, all.reads, all.resurrected, all.strangers, chaosRuns, share, caught, chaosRuns, ms(all.failover), all.lost, all.writes, ms(all.slowest)),
		enough && all.violations() == 0 && share >= 70 && caught == chaosRuns && all.failover <= time.Second && all.lost == 0,
	}, nil
}
