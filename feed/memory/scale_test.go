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
)

// crowd is a source of many readers, each of whom follows the same authors but
// has 800 posts of its own choice out of all, and of an author whose followers
// are random readers.
type crowd struct {
	relations freshet.Relations
	posts     int
	followers []freshet.Edge // ids fall

	mu   sync.Mutex
	refs []freshet.PostRef
}

const crowdLength = 800

func newCrowd(readers, posts, followers int) *crowd {
	c := &crowd{posts: posts}
	for i := range 1_000 {
		c.relations.Following = append(c.relations.Following, author(i))
	}
	for i := range 50 {
		c.relations.Hidden = append(c.relations.Hidden, author(i*20))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := followers; i > 0; i-- {
		c.followers = append(c.followers, freshet.Edge{ID: freshet.ID(i), User: follower(random.IntN(readers))})
	}
	return c
}

func (c *crowd) Relations(context.Context, freshet.ID) (*freshet.Relations, error) {
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
		c.refs = append(c.refs, freshet.PostRef{ID: freshet.ID(post), Author: author(post % 1_000)})
	}
	return c.refs, nil
}

func (c *crowd) Followers(_ context.Context, _, before freshet.ID, limit int) ([]freshet.Edge, error) {
	at := 0
	if before > 0 {
		at = len(c.followers) - int(before) + 1
	}
	return c.followers[at:min(len(c.followers), at+limit)], nil
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
// belongs to it.
func TestEntryMemory(t *testing.T) {
	readers := 100_000
	if testing.Short() {
		readers = 10_000
	}
	c := newCrowd(readers, readers, 0)
	before := resident()
	e := c.engine(t, readers)
	bytes := resident() - before
	entries := e.Stats().Entries
	if entries != readers*crowdLength {
		t.Fatalf("%d timelines hold %d entries", readers, entries)
	}
	got := float64(bytes) / float64(entries)
	t.Logf("%.2f bytes per entry", got)
	if got > 5 {
		t.Errorf("an entry takes %.2f bytes, want at most 5", got)
	}
}

// BenchmarkDeliver fans posts out to random followers among a million readers
// who all have full timelines. Run it with -cpu 1.
func BenchmarkDeliver(b *testing.B) {
	readers := 1_000_000
	if testing.Short() {
		readers = 100_000
	}
	c := newCrowd(readers, 100_000, 1_000_000)
	e := c.engine(b, readers)
	b.Logf("%.2f bytes per entry", float64(resident())/float64(e.Stats().Entries))
	for _, followers := range []int{200, 10_000, 1_000_000} {
		b.Run("followers="+freshet.ID(followers).String(), func(b *testing.B) {
			all := c.followers
			defer func() { c.followers = all }()
			post := freshet.PostRef{ID: freshet.ID(c.posts), Author: author(0)}
			delivered := e.Stats().Delivered
			for i := 0; b.Loop(); i++ {
				at := i * followers % (len(all) - followers + 1)
				c.followers = all[at : at+followers]
				post.ID++
				c.posts++
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
	c := newCrowd(readers, 1_000_000, 0)
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
