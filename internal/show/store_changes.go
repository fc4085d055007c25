package main

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

const changesAim = "0 missed over 100,000 commits (here a twentieth, all in soak), the consumer killed twice; p99 at most 20 ms at 500 writes/s; a change by psql shows within 1 s"

var (
	heardSaid  = regexp.MustCompile(`(\d+) commits heard in \S+, (\d+) missed, (\d+) kills`)
	byHandSaid = regexp.MustCompile(`a change by psql showed after (\S+)`)
)

// measureChanges is point 4.
func measureChanges(ctx context.Context, l *lab) (outcome, error) {
	l.say("what is heard")
	r, err := l.goTests(ctx, "^TestNothingIsMissed$", "./store/postgres")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	green := !r.failed && passed == cases && cases > 0
	heard, err := r.numbers(heardSaid)
	if err != nil {
		return outcome{}, err
	}
	commits, missed, kills := heard[0][0], heard[0][1], heard[0][2]

	l.say("how soon")
	took, err := l.benchmark(ctx, "BenchmarkChangeFeed", size(2_500, 30_000), "./store/postgres")
	if err != nil {
		return outcome{}, err
	}
	half, p99 := took["p50-µs"]/1000, took["p99-µs"]/1000
	if p99 == 0 {
		return outcome{}, fmt.Errorf("the benchmark of the change feed says nothing: %v", took)
	}
	l.detail("500 writes/s offered: heard %.2f ms (p50), %.2f ms (p99) after the acknowledgement, %.0f %% before it; this is the consumer of the store's feed, not yet a cache",
		half, p99, took["%-before-ack"])

	l.say("a change by psql, over HTTP")
	r, err = l.goTests(ctx, "^TestServeOnPostgres$", "./app")
	if err != nil {
		return outcome{}, err
	}
	passed, cases = r.print(l)
	green = green && !r.failed && passed == cases && cases > 0
	var slowest time.Duration
	all := byHandSaid.FindAllStringSubmatch(r.said.String(), -1)
	for _, found := range all {
		d, err := time.ParseDuration(found[1])
		if err != nil {
			return outcome{}, err
		}
		slowest = max(slowest, d)
	}
	return outcome{
		fmt.Sprintf("%.0f of %.0f missed, the consumer killed %.0f times; commit to heard p50 %.1f ms, p99 %.1f ms; a change by psql showed after %.1f ms",
			missed, commits, kills, half, p99, float64(slowest)/1e6),
		green && missed == 0 && kills == 2 && commits >= float64(size(5_000, 100_000)) && p99 <= 20 && len(all) > 0 && slowest <= time.Second,
	}, nil
}
