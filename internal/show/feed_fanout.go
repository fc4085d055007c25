package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	fanOutAim = "in memory at least 8 M deliveries/s on one processor, at most 5 bytes an entry with all indexes; in Redis at least twice as many as LPUSH and LTRIM for its CPU, at most 10 bytes"

	crowdReaders    = 1_000_000
	crowdFollows    = 116 // the median of a network of 190 follows each
	crowdLength     = 800
	crowdPosts      = 100_000
	leastDeliveries = 8e6
	mostEntryBytes  = 5.0
	fanOutRounds    = 5

	leastTimes     = 2.0
	mostRedisBytes = 10.0
	redisRounds    = 20
)

// fanOutSizes are how many random followers the authors have who post.
var fanOutSizes = []int{200, 10_000, crowdReaders / 2}

// fanOutFound are figures of a full house.
type fanOutFound struct {
	Entries  int
	Bytes    int64     // resident
	PerSpent []float64 // deliveries a second of processor time, by size; the median round
	PerClock []float64 // the same by the clock
}

// measureFanOut is point 3.
func measureFanOut(ctx context.Context, l *lab) (outcome, error) {
	l.machine()
	var found fanOutFound
	if err := l.experiment(ctx, 1, &found, "fan-out"); err != nil {
		return outcome{}, err
	}
	worst := found.PerSpent[0]
	var rates []string
	for i, followers := range fanOutSizes {
		l.detail("posts with %d followers: %.1f M deliveries in a second of processor time, %.1f M by the clock", followers, found.PerSpent[i]/1e6, found.PerClock[i]/1e6)
		worst = min(worst, found.PerSpent[i])
		rates = append(rates, fmt.Sprintf("%.1f", found.PerSpent[i]/1e6))
	}
	entry := float64(found.Bytes) / float64(found.Entries)
	l.detail("%d timelines of %d posts take %s resident", crowdReaders, crowdLength, mb(found.Bytes))
	redis, err := l.benchmark(ctx, "BenchmarkDeliver", redisRounds, "./feed/redis")
	if err != nil {
		return outcome{}, err
	}
	times, redisEntry := redis["times"], redis["bytes/entry"]
	l.detail("in Redis: %.0f deliveries, or %.0f LPUSH and LTRIM, in a second of its processor time; %.0f deliveries/s by the clock", redis["deliveries/redis-s"], redis["usual/redis-s"], redis["deliveries/s"])
	return outcome{
		fmt.Sprintf("in memory %s M deliveries/s with 200, 10,000, 500,000 followers, %.2f bytes an entry; in Redis %.2f times LPUSH and LTRIM, %.2f bytes", strings.Join(rates, ", "), entry, times, redisEntry),
		worst >= leastDeliveries && entry <= mostEntryBytes && times >= leastTimes && redisEntry > 0 && redisEntry <= mostRedisBytes,
	}, nil
}

func fanOutExperiment(ctx context.Context, _ []string, log io.Writer) (any, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCrowd(crowdPosts, crowdFollows, crowdLength)
	for i, n := range fanOutSizes {
		c.gives(largeAuthor(i), randomReaders(rng, crowdReaders, n))
	}
	before, err := resident()
	if err != nil {
		return nil, err
	}
	e, err := c.engine(ctx, crowdReaders)
	if err != nil {
		return nil, err
	}
	after, err := resident()
	if err != nil {
		return nil, err
	}
	found := fanOutFound{Entries: e.Stats().Entries, Bytes: after - before}
	for i, n := range fanOutSizes {
		var bySpent, byClock []float64
		for range fanOutRounds {
			delivered, begun, began := e.Stats().Delivered, spent(), time.Now()
			for range min(1_000, max(1, 2_000_000/n)) { // a timeline that gets 16 times its length unread is dropped
				if err := deliver(ctx, e, c.post(largeAuthor(i))); err != nil {
					return nil, err
				}
			}
			count := float64(e.Stats().Delivered - delivered)
			bySpent = append(bySpent, count/(spent()-begun).Seconds())
			byClock = append(byClock, count/time.Since(began).Seconds())
		}
		found.PerSpent, found.PerClock = append(found.PerSpent, middle(bySpent)), append(found.PerClock, middle(byClock))
	}
	if found.Entries != crowdReaders*crowdLength {
		fmt.Fprintf(log, "the timelines hold %d entries, not %d\n", found.Entries, crowdReaders*crowdLength)
	}
	return found, nil
}
