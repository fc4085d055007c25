package redis_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// crowd is a network of readers who each follow some of the authors, and have a full timeline of old posts.
type crowd struct {
	following map[freshet.ID]*freshet.Relations
	old       []freshet.PostRef
}

const crowdLength = 800

func newCrowd(readers, authors, follows int) *crowd {
	c := &crowd{following: make(map[freshet.ID]*freshet.Relations)}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range readers {
		var r freshet.Relations
		seen := make(map[int]bool)
		for len(seen) < follows {
			seen[random.IntN(authors)] = true
		}
		for a := range authors {
			if seen[a] {
				r.Following = append(r.Following, author(a))
			}
		}
		c.following[follower(i)] = &r
	}
	for i := range crowdLength {
		c.old = append(c.old, freshet.PostRef{ID: freshet.NewID(int64(10_000-i), 0, 0)})
	}
	return c
}

func author(i int) freshet.ID   { return freshet.NewID(1, i%freshet.Buckets, 1+i/freshet.Buckets) }
func follower(i int) freshet.ID { return freshet.NewID(2, i%freshet.Buckets, 1+i/freshet.Buckets) }

func (c *crowd) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	return c.following[reader], nil
}

// Home gives old posts of the first who is followed.
func (c *crowd) Home(_ context.Context, reader, before freshet.ID, limit int) (refs []freshet.PostRef, _ error) {
	for _, p := range c.old {
		if len(refs) < limit && (before == 0 || p.ID < before) {
			refs = append(refs, freshet.PostRef{ID: p.ID, Author: c.following[reader].Following[0]})
		}
	}
	return refs, nil
}

func (c *crowd) ByAuthor(context.Context, freshet.ID, freshet.ID, int) ([]freshet.PostRef, error) {
	return nil, nil
}

func (c *crowd) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	return make([]int64, len(users)), nil
}

func (c *crowd) Refs(_ context.Context, posts []freshet.ID) (refs []freshet.PostRef, _ error) {
	for _, id := range posts {
		refs = append(refs, freshet.PostRef{ID: id, Author: author(0)})
	}
	return refs, nil
}

// info reads a number of INFO.
func info(tb testing.TB, c rueidis.Client, name string) float64 {
	tb.Helper()
	text, err := c.Do(tb.Context(), c.B().Info().Build()).ToString()
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatalf("INFO has no %s", name)
	return 0
}

func cpu(tb testing.TB, c rueidis.Client) float64 {
	return info(tb, c, "used_cpu_user") + info(tb, c, "used_cpu_sys")
}

// usual names a list as one would.
func usual(i int) string { return "timeline:" + follower(i).String() }

// BenchmarkDeliver compares the deliveries of a second of Redis' CPU with those of LPUSH and LTRIM, the usual way, by the same client
// in pipelines of the same length.
func BenchmarkDeliver(b *testing.B) {
	readers := testenv.Size(2_000, 5_000, 100_000)
	server := testenv.StartRedis(b)
	admin, err := rueidis.NewClient(clientOf(server.Addr))
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	const authors, follows = 2_000, 100
	c := newCrowd(readers, authors, follows)
	before := info(b, admin, "used_memory")
	e, err := redis.Open(redis.Options{Client: clientOf(server.Addr), Source: c, Graph: c, Lost: func(err error) { b.Log(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Run(ctx) }()
	defer func() { stop(); <-ended }()
	for e.Stats().Timelines < readers {
		for i := range readers {
			if _, err := e.Page(ctx, feed.Query{Reader: follower(i), Limit: 50}); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	size := (info(b, admin, "used_memory") - before) / float64(readers*crowdLength)
	posts, at := 0, int64(20_000)
	began, used := time.Now(), cpu(b, admin)
	delivered := e.Stats().Delivered
	for b.Loop() {
		for range 400 {
			at++
			posts++
			e.Publish(freshet.PostRef{ID: freshet.NewID(at, 0, 0), Author: author(posts % authors)})
		}
		for e.Stats().Delivered < delivered+int64(posts)*int64(readers)*follows/authors*9/10 || e.Stats().InFlight > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	n := float64(e.Stats().Delivered - delivered)
	ours := n / (cpu(b, admin) - used)
	b.ReportMetric(ours, "deliveries/redis-s")
	b.ReportMetric(n/time.Since(began).Seconds(), "deliveries/s")

	const lists, batch, rounds = 2_000, 1_000, 500
	full := make([]string, crowdLength)
	for i := range full {
		full[i] = "3560111736390660638"
	}
	for i := range lists {
		if err := admin.Do(ctx, admin.B().Rpush().Key(usual(i)).Element(full...).Build()).Error(); err != nil {
			b.Fatal(err)
		}
	}
	used = cpu(b, admin)
	random := rand.New(rand.NewPCG(2, 2))
	for range rounds {
		commands := make(rueidis.Commands, 0, 2*batch)
		for range batch {
			key := usual(random.IntN(lists))
			commands = append(commands, admin.B().Lpush().Key(key).Element("3560111736390660638").Build(), admin.B().Ltrim().Key(key).Start(0).Stop(crowdLength-1).Build())
		}
		for _, r := range admin.DoMulti(ctx, commands...) {
			if err := r.Error(); err != nil {
				b.Fatal(err)
			}
		}
	}
	theirs := batch * rounds / (cpu(b, admin) - used)
	b.ReportMetric(size, "bytes/entry")
	b.ReportMetric(theirs, "usual/redis-s")
	b.ReportMetric(ours/theirs, "times")
}
