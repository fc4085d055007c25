package main

import (
	"context"
	"fmt"
)

// measureRaces is point 1: cachetest's races and histories on every backend, then
// the mutants of the cache.
func measureRaces(ctx context.Context, l *lab) (outcome, error) {
	l.say("races and histories")
	r, err := l.goTests(ctx, "^(TestRaces.*|TestFailedOver|TestHistories.*)$", "./cache/...")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	red, mutants, err := l.mutants(ctx, "^(cache|httpchannel)-")
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%d of %d cases on %d backends, %d of %d mutants red", passed, cases, len(r.suites), red, mutants),
		!r.failed && passed == cases && red == mutants && mutants > 0,
	}, nil
}
