package main

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

const (
	chaosAim = "three app processes with Redis over HTTP: 0 violations in 20,000 reads (soak: 200,000), replicas at least 70 %, a random router violates in 3 of 3 runs, first write within 1 s, 0 acknowledged lost"

	chaosRuns  = 3
	chaosReads = 20_000
)

// chaosSaid is what TestNobodySeesTheOwnPast logs.
var chaosSaid = regexp.MustCompile(`(\d+) reads, (\d+) without an own write, (\d+) back in time; (\d+) writes acknowledged, (\d+) lost; ` +
	`\d+ errors; ([\d.]+) % on replicas; a random replica: (\d+) of (\d+) stale`)

// promotedSaid is its duration, as Go prints one.
var promotedSaid = regexp.MustCompile(`first write (\S+) after the promotion`)

// measureChaos is point 2, as far as the store goes: three routers, and no HTTP above them.
func measureChaos(ctx context.Context, l *lab) (outcome, error) {
	var reads, violations, writes, lost, caught float64
	share, slowest, enough, green := 100.0, time.Duration(0), true, true
	for i := range chaosRuns {
		l.say("chaos, run %d of %d", i+1, chaosRuns)
		r, err := l.goTests(ctx, "^TestNobodySeesTheOwnPast$", "./store/replica")
		if err != nil {
			return outcome{}, err
		}
		passed, cases := r.print(l)
		green = green && !r.failed && passed == cases && cases > 0
		said, err := r.numbers(chaosSaid)
		if err != nil {
			return outcome{}, err
		}
		n := said[0]
		reads, violations, writes, lost, share = reads+n[0], violations+n[1]+n[2], writes+n[3], lost+n[4], min(share, n[5])
		enough = enough && n[0] >= float64(size(chaosReads, 10*chaosReads))
		if n[6] > 0 {
			caught++
		}
		found := promotedSaid.FindStringSubmatch(r.said.String())
		if found == nil {
			return outcome{}, fmt.Errorf("the test does not say when the first write succeeded")
		}
		took, err := time.ParseDuration(found[1])
		if err != nil {
			return outcome{}, err
		}
		slowest = max(slowest, took)
	}
	met := green && enough && violations == 0 && share >= 70 && caught == chaosRuns && slowest <= time.Second && lost == 0
	verdict := "all aims met at this level"
	if !met {
		verdict = "aims missed at this level too"
	}
	return outcome{
		fmt.Sprintf("%.0f violations in %.0f reads of %d runs, at least %.1f %% on replicas, a random router violated in %.0f of %d, first write after at most %s, %.0f of %.0f acknowledged writes lost; %s: three routers in one process; over HTTP with Redis, and a reader without a token: not built",
			violations, reads, chaosRuns, share, caught, chaosRuns, ms(slowest), lost, writes, verdict),
		false, // it is to be shown over app processes
	}, nil
}
