package app

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// What it costs to tell many: streams that each follow some of 50 authors, one in twenty posts by somebody whom all follow. The
// clients are in this process and take half the CPU. Run it alone:
//
//	go test ./app -run - -bench LiveStreams -benchtime 1x
func BenchmarkLiveStreams(b *testing.B) {
	for _, streams := range []int{500, 5000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			for b.Loop() {
				late, told := liveLoad(b, streams, 20, 10*time.Second)
				b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "ms_p50")
				b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "ms_p99")
				b.ReportMetric(float64(told), "events")
			}
		})
	}
}

// The same with few, so that it stays true that none is lost and none is late.
func TestLiveLoad(t *testing.T) {
	late, told := liveLoad(t, testenv.Size(100, 400, 5000), 20, 2*time.Second)
	t.Logf("%d events; p50 %v, p99 %v, worst %v", told, late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
}

// liveLoad posts at a rate and gives how long after its commit each post reached each stream that it concerns, sorted. It fails
// where one does not.
func liveLoad(tb testing.TB, streams, rate int, span time.Duration) (late []time.Duration, told int) {
	tb.Helper()
	n := startAPI(tb, func(c *config.Config) { c.Limits.PerAddress.Events = 1_000_000 })
	ctx := context.Background()
	signUp := func(handle string) freshet.ID {
		u, _, err := n.social.SignUp(ctx, freshet.NewUser{Handle: handle, Name: handle}, store.Write{})
		if err != nil {
			tb.Fatal(err)
		}
		return u.ID
	}
	authors := make([]freshet.ID, 50)
	for i := range authors {
		authors[i] = signUp(fmt.Sprintf("author%d", i))
	}
	var group, open sync.WaitGroup
	var mu sync.Mutex
	want := make(map[freshet.ID]int) // events of a post of each author
	written := make(map[string]time.Time)
	got := make(map[string][]time.Time)
	places := make(chan struct{}, 64)
	for i := range streams {
		places <- struct{}{}
		open.Add(1)
		group.Go(func() {
			reader := signUp(fmt.Sprintf("reader%d", i))
			for _, k := range []int{0, 1 + i%49, 1 + (i*7+3)%49} {
				if _, _, err := n.social.Follow(ctx, reader, authors[k], store.Write{}); err != nil {
					tb.Error(err)
				}
			}
			mu.Lock()
			follows := map[int]bool{0: true, 1 + i%49: true, 1 + (i*7+3)%49: true}
			for k := range follows {
				want[authors[k]]++
			}
			mu.Unlock()
			conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
			if err != nil {
				tb.Error(err)
				open.Done()
				<-places
				return
			}
			tb.Cleanup(func() { conn.Close() })
			fmt.Fprintf(conn, "GET /v1/feed/stream?ticket=%s HTTP/1.1\r\nHost: x\r\n\r\n", n.ticket(tb, reader))
			lines := bufio.NewReaderSize(conn, 2048)
			for begun := false; ; {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if !begun && strings.HasPrefix(line, "id:") {
					begun = true
					open.Done()
					<-places
				}
				if data, is := strings.CutPrefix(line, `data: {"id":"`); is {
					at := time.Now()
					id, _, _ := strings.Cut(data, `"`)
					mu.Lock()
					got[id] = append(got[id], at)
					mu.Unlock()
				}
			}
		})
	}
	open.Wait()
	rng := rand.New(rand.NewPCG(1, 1))
	expected := make(map[string]int)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range int(span.Seconds() * float64(rate)) {
		<-tick.C
		author := authors[0]
		if i%20 != 0 {
			author = authors[1+rng.IntN(len(authors)-1)]
		}
		p, _, err := n.social.Post(ctx, freshet.NewPost{Author: author, Text: "a post of some length, as they are in life: a sentence or two"}, store.Write{})
		if err != nil {
			tb.Fatal(err)
		}
		mu.Lock()
		written[p.ID.String()], expected[p.ID.String()] = time.Now(), want[author]
		mu.Unlock()
	}
	missing := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for id, want := range expected {
			n += want - len(got[id])
		}
		return n
	}
	for deadline := time.Now().Add(10 * time.Second); missing() > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%d events were not told", missing())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for id, times := range got {
		for _, at := range times {
			late = append(late, at.Sub(written[id]))
		}
	}
	slices.Sort(late)
	return late, len(late)
}
