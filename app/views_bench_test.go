package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// BenchmarkViews shows pages of 50 posts until all is in the store: to readers
// who come back, of whom sums alone are written, and to ones who were never
// seen, each of whom is written for each post. ns/page is what a read waits for.
func BenchmarkViews(b *testing.B) {
	for name, reader := range map[string]func(i int) freshet.ID{
		"readers that come back": func(i int) freshet.ID { return freshet.ID(1_000_000 + i%1000) },
		"new readers":            func(i int) freshet.ID { return freshet.ID(1_000_000 + i) },
	} {
		b.Run(name, func(b *testing.B) {
			cfg := config.Default()
			cfg.Data = b.TempDir()
			n, err := Open(context.Background(), cfg, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer n.Close()
			page := shownPage(b, n)
			var waited time.Duration
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				n.social.Saw(reader(i), page...)
				waited += time.Since(start)
				if i%1000 == 999 { // reads do not come faster than they are answered
					if err := n.views.Settle(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := n.views.Settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			_, lost := n.views.Stats()
			b.ReportMetric(float64(waited.Nanoseconds())/float64(b.N), "ns/page")
			b.ReportMetric(float64(50*b.N)/b.Elapsed().Seconds(), "views/s")
			b.ReportMetric(float64(lost), "lost")
		})
	}
}

// BenchmarkViewsOfABusyFeed shows 1,000 pages a second, as 2,000 readers get them
// who find 10 posts in 50 that are new to them, over 6,000 posts. cpu-µs/page is
// all that counting costs; ns/op means nothing here.
func BenchmarkViewsOfABusyFeed(b *testing.B) {
	cfg := config.Default()
	cfg.Data = b.TempDir()
	n, err := Open(context.Background(), cfg, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	const readers, posts, atOnce = 2000, 6000, 10
	rows, first := make([]store.ImportedPost, posts), freshet.Millis(time.Now())-posts
	for i := range rows {
		at := first + int64(i)
		rows[i] = store.ImportedPost{Author: "author", CreatedAt: freshet.NewID(at, 0, 0).Time(), Text: "x", Millis: at}
	}
	if _, err := n.social.ImportPosts(b.Context(), rows); err != nil {
		b.Fatal(err)
	}
	author, err := n.store.UserByHandle(b.Context(), "author")
	if err != nil {
		b.Fatal(err)
	}
	var all []social.PostView
	var page social.Page
	for ok := true; ok; ok = page.Next != 0 {
		if err := n.social.ByAuthor(b.Context(), 0, author, page.Next, 100, &page); err != nil {
			b.Fatal(err)
		}
		all = append(all, page.Posts...)
	}
	tick := time.NewTicker(atOnce * time.Millisecond)
	defer tick.Stop()
	shown := 0
	used := cpu(func() {
		for b.Loop() {
			for range atOnce {
				reader, visit := shown%readers, shown/readers
				from := (37*reader + 10*visit) % (len(all) - 50)
				n.social.Saw(freshet.ID(1_000_000+reader), all[from:from+50]...)
				shown++
			}
			<-tick.C
		}
	})
	b.ReportMetric(float64(used.Microseconds())/float64(shown), "cpu-µs/page")
}

func shownPage(b *testing.B, n *Node) []social.PostView {
	author, _, err := n.social.SignUp(b.Context(), freshet.NewUser{Handle: "author"}, store.Write{})
	if err != nil {
		b.Fatal(err)
	}
	var page social.Page
	for i := range 50 {
		if _, _, err := n.social.Post(b.Context(), freshet.NewPost{Author: author.ID, Text: fmt.Sprint(i)}, store.Write{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := n.social.ByAuthor(b.Context(), 0, author.ID, 0, 50, &page); err != nil {
		b.Fatal(err)
	}
	return page.Posts
}
