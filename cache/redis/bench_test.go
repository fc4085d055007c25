package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// BenchmarkGet reads 200 bytes by 512 callers and by one, through the remote layer and by a bare client on connections of
// the same kind in turns, and reports the ratio of the best rounds: 1 means that the layer costs nothing.
func BenchmarkGet(b *testing.B) {
	server := testenv.StartRedis(b)
	for _, flush := range []time.Duration{0, 20 * time.Microsecond} {
		for _, callers := range []int{1, 512} {
			b.Run(fmt.Sprintf("callers=%d/flush=%v", callers, flush), func(b *testing.B) { benchmarkGet(b, server.Addr, callers, flush) })
		}
	}
}

func benchmarkGet(b *testing.B, addr string, callers int, flush time.Duration) {
	r := open(b, redis.Options{URL: "redis://" + addr, MaxFlushDelay: flush})
	bare, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true, AlwaysPipelining: true, MaxFlushDelay: flush,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	ctx := context.Background()
	lease, done := cache.ID{1}, make([]bool, 1)
	if err := r.Fence(ctx, []cache.Fence{{Key: "k", Lease: lease, TTL: time.Hour}}); err != nil {
		b.Fatal(err)
	}
	if err := r.Fill(ctx, []cache.Fill{{Key: "k", Lease: lease, Value: make([]byte, 200), TTL: time.Hour}}, done); err != nil || !done[0] {
		b.Fatal(err)
	}
	if err := bare.Do(ctx, bare.B().Set().Key("bare").Value(string(make([]byte, 201))).Build()).Error(); err != nil {
		b.Fatal(err)
	}

	keys := []string{"k"}
	layer := func() error {
		var out [1]cache.Record
		return r.Get(ctx, keys, out[:])
	}
	raw := func() error {
		_, err := bare.Do(ctx, bare.B().Get().Key("bare").Build()).AsBytes()
		return err
	}
	each := max(b.N/callers, 1)
	const rounds = 5
	best := [2]time.Duration{1 << 62, 1 << 62}
	for range rounds {
		for i, get := range []func() error{layer, raw} {
			best[i] = min(best[i], timed(b, callers, each, get))
		}
	}
	b.ReportMetric(float64(best[0].Nanoseconds())/float64(each*callers), "ns/get")
	b.ReportMetric(float64(best[1].Nanoseconds())/float64(each*callers), "ns/bare")
	b.ReportMetric(float64(best[0])/float64(best[1]), "ratio")
	b.ReportMetric(0, "ns/op")
}

func timed(b *testing.B, callers, each int, get func() error) time.Duration {
	var all sync.WaitGroup
	began := time.Now()
	for range callers {
		all.Go(func() {
			for range each {
				if err := get(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}
