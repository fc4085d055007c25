package main

import (
	"context"
	"fmt"
	"time"
)

const (
	liveAim = "events of 5,000 streams within 100 ms (p99); none lost over reconnects; a slow reader harms nobody"

	liveTests = "TestAStreamTellsWhatComesIntoTheFeed|TestStreamsOverARestart|TestASlowReaderHarmsNobody|TestStreamsOnTwoNodes"
	liveMost  = 100 * time.Millisecond
)

// measureLive is point 8.
func measureLive(ctx context.Context, l *lab) (outcome, error) {
	l.machine()
	figures, err := l.benchmark(ctx, "BenchmarkLiveStreams/5000", 1, "./app")
	if err != nil {
		return outcome{}, err
	}
	late := time.Duration(figures["ms_p99"] * float64(time.Millisecond))
	l.say("streams that end, go on and are slow")
	r, err := l.goTests(ctx, "^("+liveTests+")$", "./app", "./notify")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	return outcome{
		fmt.Sprintf("5,000 streams: %.0f events, p99 %s; %d of %d tests of reconnects, restarts, two nodes and slow readers pass", figures["events"], ms(late), passed, cases),
		late > 0 && late <= liveMost && !r.failed && cases > 0 && passed == cases,
	}, nil
}
