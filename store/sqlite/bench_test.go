package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

const benchText = "some text of a post that is about as long as most posts are, which is not very long at all, a hundred bytes"

// people makes users.
func people(t testing.TB, db *sqlite.DB, n int) []freshet.ID {
	t.Helper()
	rows := make([]store.ImportedFollow, n)
	for i := range rows {
		rows[i] = store.ImportedFollow{Follower: fmt.Sprintf("user%d", i), Followee: fmt.Sprintf("user%d", (i+1)%n)}
	}
	if _, err := db.ImportFollows(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	ids := make([]freshet.ID, n)
	for i := range ids {
		var err error
		if ids[i], err = db.UserByHandle(t.Context(), rows[i].Follower); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// listen makes a consumer of the change feed, as every node has one.
func listen(t testing.TB, db *sqlite.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		_, err := db.Changes(ctx, "bench", position.Position{}, 1)
		heard <- err
	}()
	for {
		if _, _, _, err := db.UpsertUser(ctx, freshet.NewUser{Ref: "marker", Name: time.Now().String()}, store.Write{}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// BenchmarkCreatePost writes durable posts from 64 callers. posts/commit is how
// many share one fsync; ratio is the rate against the same statements in one
// large transaction, measured in the same run, and cpu-ratio the same of the
// processor's time, which other load on the machine does not blur.
func BenchmarkCreatePost(b *testing.B) {
	ctx := context.Background()
	db := open(b)
	listen(b, db)
	authors := people(b, db, 1000)
	fanout := store.Write{Effects: []freshet.Effect{{Kind: "fanout", Key: "k", Args: []byte("abcdefgh")}}}
	write := func() error {
		_, _, err := db.CreatePost(ctx, freshet.NewPost{Author: authors[rand.IntN(len(authors))], Text: benchText}, fanout)
		return err
	}
	commits, writes := db.File().Counts()
	began := cpuTime()
	var failed atomic.Pointer[error]
	b.SetParallelism(32) // times 2 cores: 64 callers
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := write(); err != nil {
				failed.Store(&err)
			}
		}
	})
	each, cpu := b.Elapsed()/time.Duration(b.N), (cpuTime()-began)/time.Duration(b.N)
	b.StopTimer()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	c, w := db.File().Counts()
	b.ReportMetric(float64(w-writes)/float64(c-commits), "posts/commit")
	oneEach, oneCPU := oneTransaction(b, max(b.N, 1000))
	b.ReportMetric(float64(oneEach)/float64(each), "ratio")
	b.ReportMetric(float64(oneCPU)/float64(cpu), "cpu-ratio")
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// oneTransaction gives the times that a post takes in one large transaction of
// the statements that CreatePost runs.
func oneTransaction(b *testing.B, n int) (elapsed, cpu time.Duration) {
	b.Helper()
	db := open(b)
	listen(b, db)
	authors := people(b, db, 1000)
	began, beganCPU := time.Now(), cpuTime()
	if _, err := db.File().Write(b.Context(), func(tx *litedb.Tx) error {
		for range n {
			author := authors[rand.IntN(len(authors))]
			id := tx.NextID(author.Bucket())
			if _, err := tx.Exec("UPDATE users SET posts_count = posts_count + 1 WHERE id = ?", author); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO posts (id, author, created_at, ref, text, data) VALUES (?, ?, ?, ?, ?, ?)",
				id, author, tx.Now(), "", benchText, nil); err != nil {
				return err
			}
			if err := tx.Change(uint8(store.PostCreated), id, author, nil); err != nil {
				return err
			}
			if err := tx.Emit(freshet.Effect{Kind: "fanout", Key: "k", Args: []byte("abcdefgh")}, id); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return time.Since(began) / time.Duration(n), (cpuTime() - beganCPU) / time.Duration(n)
}

// BenchmarkHome pulls the newest 50 of the posts of 1,000 followed, among
// 200,000 posts.
func BenchmarkHome(b *testing.B) {
	db, readers := network(b, 2000, 200_000, 10, 200, 1000)
	for _, r := range readers {
		b.Run(fmt.Sprintf("follows=%d", r.follows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				refs, err := db.Home(b.Context(), r.id, 0, 50)
				if err != nil || len(refs) != 50 {
					b.Fatal(len(refs), err)
				}
			}
		})
	}
}

type reader struct {
	id      freshet.ID
	follows int
}

// network makes users with posts over ten days, and readers who follow so many.
func network(t testing.TB, users, posts int, follows ...int) (*sqlite.DB, []reader) {
	t.Helper()
	db := open(t)
	people(t, db, users)
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	step := 240 * time.Hour / time.Duration(posts)
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]store.ImportedPost, 0, 10_000)
	for i := range posts {
		when := at.Add(time.Duration(i) * step)
		// The lower a user's number, the more it writes.
		author := int(float64(users) * rng.Float64() * rng.Float64())
		rows = append(rows, store.ImportedPost{
			Author: fmt.Sprintf("user%d", author), CreatedAt: when, Text: benchText, Occurrence: i, Millis: freshet.Millis(when),
		})
		if len(rows) == cap(rows) || i == posts-1 {
			if _, err := db.ImportPosts(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			rows = rows[:0]
		}
	}
	var readers []reader
	for _, n := range follows {
		name := fmt.Sprintf("reader%d", n)
		edges := make([]store.ImportedFollow, n)
		for i, j := range rng.Perm(users)[:n] {
			edges[i] = store.ImportedFollow{Follower: name, Followee: fmt.Sprintf("user%d", j)}
		}
		if _, err := db.ImportFollows(t.Context(), edges); err != nil {
			t.Fatal(err)
		}
		id, err := db.UserByHandle(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, reader{id, n})
	}
	return db, readers
}

// BenchmarkPosts reads the 50 posts of a page.
func BenchmarkPosts(b *testing.B) {
	db, readers := network(b, 2000, 20_000, 1000)
	refs, err := db.Home(b.Context(), readers[0].id, 0, 50)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]freshet.ID, len(refs))
	for i, r := range refs {
		ids[i] = r.ID
	}
	b.ReportAllocs()
	for b.Loop() {
		if posts, err := db.Posts(b.Context(), ids); err != nil || len(posts) != len(ids) {
			b.Fatal(len(posts), err)
		}
	}
}

// BenchmarkImport loads posts in chunks of 10,000.
func BenchmarkImport(b *testing.B) {
	const posts = 50_000
	for b.Loop() {
		network(b, 2000, posts)
	}
	b.ReportMetric(posts*float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkLike has 64 callers like the posts of others, one fsync for all who wait together.
func BenchmarkLike(b *testing.B) {
	ctx := context.Background()
	db := open(b)
	listen(b, db)
	users := people(b, db, 1000)
	var posts []freshet.ID
	for i := range 1000 {
		p, _, err := db.CreatePost(ctx, freshet.NewPost{Author: users[i], Text: benchText}, store.Write{})
		if err != nil {
			b.Fatal(err)
		}
		posts = append(posts, p.ID)
	}
	var next atomic.Int64
	began := cpuTime()
	b.SetParallelism(32) // times 2 cores: 64 callers
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(1))
			if _, _, _, err := db.Like(ctx, users[(n/1000+n)%1000], posts[n%1000], store.Write{}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "likes/s")
	b.ReportMetric(float64((cpuTime()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
