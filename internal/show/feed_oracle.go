package main

import (
	"context"
	"fmt"
	"regexp"
)

const oracleAim = "100,000 operations, 0 violations; the invariants' mutants are a run of their own (make mutants)"

var operationsSaid = regexp.MustCompile(`(\d+) operations on each of (\d+) systems`)

// oracleRuns are what point 1 holds to the model: the engine on the model's own store at every bound, and nodes.
var oracleRuns = []struct{ name, folder, test string }{
	{"the engine alone", "feed/memory", "TestStreams|TestConcurrentUsers"},
	{"nodes on SQLite", "app", "TestHomeFeedsEqualTheOracle|TestHomeFeedsEqualTheOracleUnderConcurrency"},
	{"two nodes with timelines in Redis, alone", "feed/redis", "TestStreams|TestConcurrentUsers"},
	{"nodes on SQLite, timelines in Redis", "app", "TestHomeFeedsEqualTheOracleOnRedis"},
	{"nodes on PostgreSQL", "app", "TestHomeFeedsEqualTheOracleOnPostgres|TestHomeFeedsEqualTheOracleOnPostgresUnderConcurrency"},
}

// measureOracle is point 1.
func measureOracle(ctx context.Context, l *lab) (outcome, error) {
	total, red := 0.0, 0
	for _, run := range oracleRuns {
		l.say("the oracle: %s", run.name)
		r, err := l.goTests(ctx, "^("+run.test+")$", "./"+run.folder)
		if err != nil {
			return outcome{}, err
		}
		passed, cases := r.print(l)
		if r.failed || passed < cases || cases == 0 {
			red++
			continue
		}
		said, err := r.numbers(operationsSaid)
		if err != nil {
			return outcome{}, err
		}
		sum := 0.0
		for _, n := range said {
			sum += n[0] * n[1]
		}
		l.detail("%s: %.0f operations, every page equal to the model's", run.name, sum)
		total += sum
	}
	return outcome{
		fmt.Sprintf("%.0f operations on SQLite, PostgreSQL and the engines alone, timelines in memory and in Redis, in push, pull, hybrid and adaptive; %d of %d runs with violations", total, red, len(oracleRuns)),
		red == 0 && total >= 100_000,
	}, nil
}
