package memory_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/internal/testenv"
)

// crowd is a source of many readers, each of whom follows the same authors but
// has 800 posts of its own choice out of all. Authors of random readers, who
// write nothing of old, have ids from 1<<31 on.
type crowd struct {
	relations freshet.Relations
	posts     int
	large     map[freshet.ID][]freshet.ID // by reader: of random readers

	mu   sync.Mutex
	refs []freshet.PostRef
}

const crowdLength = 800

func newCrowd(readers, posts, follows int) *crowd {
	c := &crowd{posts: posts}
	for i := range follows {
		c.relations.Following = append(c.relations.Following, author(i))
	}
	for i := range follows / 20 {
		c.relations.Hidden = append(c.relations.Hidden, author(i*20))
	}
	return c
}

// gives makes an author of so many random readers.
func (c *crowd) gives(random *rand.Rand, author freshet.ID, readers, count int) {
	if c.large == nil {
		c.large = make(map[freshet.ID][]freshet.ID)
	}
	for range count {
		r := follower(random.IntN(readers))
		c.large[r] = append(c.large[r], author)
	}
}

func (c *crowd) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	if large := c.large[reader]; len(large) > 0 {
		following := slices.Concat(c.relations.Following, slices.Sorted(slices.Values(large))) // these have higher ids
		return &freshet.Relations{Following: slices.Compact(following), Hidden: c.relations.Hidden}, nil
	}
	return &c.relations, nil
}

// Home gives first pages only, from memory that the next call overwrites.
func (c *crowd) Home(_ context.Context, reader, _ freshet.ID, limit int) ([]freshet.PostRef, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	random := rand.New(rand.NewPCG(uint64(reader), 0))
	c.refs = c.refs[:0]
	step := c.posts / crowdLength
	for i := range min(limit, crowdLength) {
		post := c.posts - i*step - random.IntN(step)
		c.refs = append(c.refs, freshet.PostRef{ID: freshet.ID(post), Author: author(post % len(c.relations.Following))})
	}
	return c.refs, nil
}

func (c *crowd) ByAuthor(context.Context, freshet.ID, freshet.ID, int) ([]freshet.PostRef, error) {
	return nil, nil
}

func (c *crowd) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (c *crowd) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	return make([]int64, len(users)), nil
}

func (c *crowd) engine(tb testing.TB, readers int) *memory.Engine {
	e := memory.New(memory.Options{Source: c, Graph: c, Readers: readers + readers/4})
	into := make([]freshet.PostRef, 0, 50)
	for i := range readers {
		if _, err := e.Page(tb.Context(), feed.Query{Reader: follower(i), Limit: 50, Into: into}); err != nil {
			tb.Fatal(err)
		}
	}
	return e
}

// resident is what the heap takes of the machine's memory.
func resident() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapSys - m.HeapReleased)
}

// TestEntryMemory pins what an entry of a full timeline takes, with all that
// belongs to it, for a reader who follows as many as the median does in a network
// of 190 follows each (package load).
func TestEntryMemory(t *testing.T) {
	readers := testenv.Size(4_000, 40_000, 1_000_000)
	c := newCrowd(readers, max(readers, 20_000), 116)
	before := resident()
	e := c.engine(t, readers)
	bytes := resident() - before
	entries := e.Stats().Entries
	if entries != readers*crowdLength {
		t.Fatalf("%d timelines hold %d entries", readers, entries)
	}
	got := float64(bytes) / float64(entries)
	t.Logf("%.2f bytes per entry", got)
	if got > 5.5 && !testing.Short() { // 5.0 as measured; with few readers what is there anyway counts
		t.Errorf("an entry takes %.2f bytes, want at most 5.5", got)
	}
}

// BenchmarkDeliver fans posts out to random followers among a million readers
// who all have full timelines. Run it with -cpu 1.
func BenchmarkDeliver(b *testing.B) {
	readers := 1_000_000
	if testing.Short() {
		readers = 100_000
	}
	c := newCrowd(readers, 100_000, 116)
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{200, 10_000, readers / 2}
	for i, n := range sizes {
		c.gives(random, author(1<<31+i), readers, n)
	}
	e := c.engine(b, readers)
	b.Logf("%.2f bytes per entry", float64(resident())/float64(e.Stats().Entries))
	for i, n := range sizes {
		b.Run("followers="+freshet.ID(n).String(), func(b *testing.B) {
			post := freshet.PostRef{Author: author(1<<31 + i)}
			delivered := e.Stats().Delivered
			for b.Loop() {
				c.posts++
				post.ID = freshet.ID(c.posts)
				e.Publish(post)
				if err := e.FanOut(b.Context(), post, new(progress)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(e.Stats().Delivered-delivered)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkFirstPage reads random readers' first 50 posts, of a thousand
// followed some of whom are hidden, with posts in flight and removed ones.
func BenchmarkFirstPage(b *testing.B) {
	readers := 100_000
	if testing.Short() {
		readers = 10_000
	}
	c := newCrowd(readers, 1_000_000, 1_000)
	e := c.engine(b, readers)
	for i := range 10 {
		e.Publish(freshet.PostRef{ID: freshet.ID(c.posts + i), Author: author(i)})
	}
	for i := range 1_000 {
		e.Remove(freshet.ID(c.posts - i*7))
	}
	random := rand.New(rand.NewPCG(1, 2))
	q := feed.Query{Limit: 50, Into: make([]freshet.PostRef, 0, 50)}
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		q.Reader = follower(random.IntN(readers))
		begin := time.Now()
		if page, err := e.Page(b.Context(), q); err != nil || len(page.Refs) != 50 {
			b.Fatal(page, err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}
