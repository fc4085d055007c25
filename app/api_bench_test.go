package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

// reader signs a user up who follows 20 authors with 10 posts each, and gives
// the user's session token.
func (n *apiNode) reader(tb testing.TB) (token string) {
	tb.Helper()
	ctx := context.Background()
	hash, err := n.auth.HashPassword(ctx, "correct horse")
	if err != nil {
		tb.Fatal(err)
	}
	me, _, err := n.social.SignUp(ctx, freshet.NewUser{Handle: "reader", Name: "Reader", PasswordHash: hash}, store.Write{})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 20 {
		author, _, err := n.social.SignUp(ctx, freshet.NewUser{Handle: fmt.Sprintf("author%d", i), Name: fmt.Sprintf("Author %d", i)}, store.Write{})
		if err != nil {
			tb.Fatal(err)
		}
		if _, _, err := n.social.Follow(ctx, me.ID, author.ID, store.Write{}); err != nil {
			tb.Fatal(err)
		}
		for j := range 10 {
			text := strings.Repeat(fmt.Sprintf("post %d of %d, “quoted” and plain\n", j, i), 5)
			if _, _, err := n.social.Post(ctx, freshet.NewPost{Author: author.ID, Text: text}, store.Write{}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	_, token, _, err = n.auth.SignIn(ctx, access.SignIn{Handle: "reader", Password: "correct horse"}, store.Write{})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	bytes  int
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { d.bytes += len(b); return len(b), nil }

func BenchmarkFeedHandler(b *testing.B) {
	n := startAPI(b, nil)
	r := httptest.NewRequest("GET", "/v1/feed", nil)
	r.Header.Set("Authorization", "Bearer "+n.reader(b))
	w := &discard{header: make(http.Header)}
	n.handler.ServeHTTP(w, r)
	if w.status != 200 {
		b.Fatalf("status %d", w.status)
	}
	b.ReportMetric(float64(w.bytes), "bytes/page")
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		n.handler.ServeHTTP(w, r)
	}
}

// BenchmarkFeedCPU gives the CPU time of a page over a connection as a multiple
// of what a bare handler takes for as many bytes. The client has a thread of its
// own, whose time is taken off.
func BenchmarkFeedCPU(b *testing.B) {
	n := startAPI(b, nil)
	request := "GET /v1/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + n.reader(b) + "\r\n\r\n"
	size := dial(b, n.url, request).once(b)
	body, length := bytes.Repeat([]byte("x"), size), strconv.Itoa(size)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		w.Write(body)
	}))
	defer bare.Close()
	for b.Loop() {
		feed, plain := dial(b, n.url, request), dial(b, bare.URL, request)
		var took, base time.Duration
		for range 5 { // in turns, so that what else runs here falls on both
			took += cpu(func() { feed.times(b, 1000) })
			base += cpu(func() { plain.times(b, 1000) })
		}
		b.ReportMetric(float64(took)/float64(base), "ratio")
		b.ReportMetric(float64(took.Microseconds())/5000, "cpu-µs/page")
		b.ReportMetric(float64(base.Microseconds())/5000, "cpu-µs/bare")
		b.ReportMetric(float64(size), "bytes/page")
	}
}

// cpu gives the CPU time that the rest of the process takes while do runs.
func cpu(do func()) time.Duration {
	const thisThread = 1 // RUSAGE_THREAD
	others := func() int64 {
		var all, own syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &all)
		syscall.Getrusage(thisThread, &own)
		return all.Utime.Nano() + all.Stime.Nano() - own.Utime.Nano() - own.Stime.Nano()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := others()
	do()
	return time.Duration(others() - before)
}

type rawClient struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func dial(b *testing.B, url, request string) *rawClient {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &rawClient{conn, bufio.NewReaderSize(conn, 64<<10), []byte(request)}
}

func (c *rawClient) times(b *testing.B, n int) {
	for range n {
		c.once(b)
	}
}

// once sends the request and passes over the answer, whose body it measures.
func (c *rawClient) once(b *testing.B) (length int) {
	if _, err := c.conn.Write(c.request); err != nil {
		b.Fatal(err)
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
	if _, err := c.in.Discard(length); err != nil {
		b.Fatal(err)
	}
	return length
}
