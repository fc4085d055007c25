package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// liveEvent is a server-sent event as a client reads it.
type liveEvent struct {
	id, name, data string
	at             time.Time
}

// liveStream is a client of /v1/feed/stream.
type liveStream struct {
	header http.Header
	events chan liveEvent // closed at the end of the stream
	last   atomic.Pointer[string]
	close  func()
}

// watch opens a stream. query begins with "?" or is empty.
func (n *apiNode) watch(tb testing.TB, query string, options ...option) *liveStream {
	tb.Helper()
	resp := n.openStream(tb, query, options...)
	if resp.StatusCode != 200 {
		body, _ := io.ReadAll(resp.Body)
		tb.Fatalf("GET /v1/feed/stream%s: %d %s", query, resp.StatusCode, body)
	}
	s := &liveStream{header: resp.Header, events: make(chan liveEvent, 1000), close: func() { resp.Body.Close() }}
	tb.Cleanup(s.close)
	ready := make(chan struct{})
	go func() {
		defer close(s.events)
		readEvents(resp.Body, func(e liveEvent) {
			if s.last.Swap(&e.id) == nil {
				close(ready)
			}
			if e.name != "" {
				s.events <- e
			}
		})
		if s.last.Load() == nil {
			close(ready)
		}
	}()
	if h := resp.Request.Header.Get("Last-Event-ID"); h == "" && !strings.Contains(query, "last_event_id") {
		<-ready
	}
	return s
}

func (n *apiNode) openStream(tb testing.TB, query string, options ...option) *http.Response {
	tb.Helper()
	r, err := http.NewRequest("GET", n.url+"/v1/feed/stream"+query, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	for _, o := range options {
		o(r)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	return resp
}

// readEvents reads events as WHATWG HTML, 9.2.6, has it; those without data are told too, because they move the client's place.
func readEvents(r io.Reader, each func(liveEvent)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var e liveEvent
	var data []string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			e.data, e.at = strings.Join(data, "\n"), time.Now()
			each(e)
			e, data = liveEvent{id: e.id}, nil
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			data = append(data, value)
		}
	}
}

// next gives the next event.
func (s *liveStream) next(tb testing.TB) liveEvent {
	tb.Helper()
	select {
	case e, open := <-s.events:
		if !open {
			tb.Fatal("the stream has ended")
		}
		return e
	case <-time.After(10 * time.Second):
		tb.Fatal("no event within 10 s")
	}
	panic("not reached")
}

// wants wants an event about a post.
func (s *liveStream) wants(tb testing.TB, name, post string) liveEvent {
	tb.Helper()
	e := s.next(tb)
	if got := e.post(); e.name != name || got != post {
		tb.Fatalf("event %s of %s (%s), want %s of %s", e.name, got, e.data, name, post)
	}
	return e
}

func (e liveEvent) post() string { return (&reply{body: []byte(e.data)}).field("id") }

// ends wants the stream to end.
func (s *liveStream) ends(tb testing.TB, within time.Duration) {
	tb.Helper()
	began := time.Now()
	for {
		select {
		case e, open := <-s.events:
			if !open {
				return
			}
			tb.Fatalf("event %+v on a stream that should have ended", e)
		case <-time.After(within - time.Since(began)):
			tb.Fatalf("the stream is open after %v", within)
		}
	}
}

func (s *liveStream) quiet(tb testing.TB) {
	tb.Helper()
	select {
	case e, open := <-s.events:
		tb.Fatalf("event %+v, open %t", e, open)
	case <-time.After(30 * time.Millisecond):
	}
}

func (n *apiNode) follow(tb testing.TB, who, whom person) {
	tb.Helper()
	n.ask(tb, "PUT", "/v1/users/"+whom.id.String()+"/follow", "", who.asks()).wants(tb, 204)
}

// ticket makes the ticket of a stream.
func (n *apiNode) ticket(tb testing.TB, user freshet.ID) string {
	tb.Helper()
	return n.ask(tb, "POST", "/v1/tokens", `{"purpose":"stream"}`, as(n.key), with("Freshet-User", user.String())).wants(tb, 201).field("token")
}

func TestAStreamTellsWhatComesIntoTheFeed(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob, eve := n.person(t, "ada"), n.person(t, "bob"), n.person(t, "eve")
	n.follow(t, bob, ada)
	s := n.watch(t, "", bob.asks())
	for header, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := s.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	n.post(t, eve)
	made := n.ask(t, "POST", "/v1/posts", `{"text":"two\nlines","data":{"a":1}}`, ada.asks()).wants(t, 201)
	first := s.wants(t, "post", made.field("id"))
	if alone := n.ask(t, "GET", "/v1/posts/"+made.field("id"), ""); !equalJSON(t, []byte(first.data), alone.body) {
		t.Errorf("the event is\n%s\nand the post\n%s", first.data, alone.body)
	}
	own := n.post(t, bob)
	s.wants(t, "post", own)
	foreign, _, err := n.store.CreatePost(t.Context(), freshet.NewPost{Author: ada.id, Data: []byte("{\"a\":\r\n1,\r\"b\":\n2}")}, store.Write{})
	if err != nil {
		t.Fatal(err) // as another program may write
	}
	if e := s.wants(t, "post", foreign.ID.String()); (&reply{body: []byte(e.data)}).field("data.b") != "2" {
		t.Errorf("%q", e.data)
	}
	n.ask(t, "DELETE", "/v1/posts/"+made.field("id"), "", ada.asks()).wants(t, 204)
	s.wants(t, "delete", made.field("id"))

	n.follow(t, bob, eve)
	s.wants(t, "post", n.post(t, eve))
	n.ask(t, "PUT", "/v1/users/"+eve.id.String()+"/mute", "", bob.asks()).wants(t, 204)
	n.ask(t, "PUT", "/v1/users/"+bob.id.String()+"/block", "", ada.asks()).wants(t, 204)
	n.post(t, eve)
	n.post(t, ada)
	own = n.post(t, bob)
	last := s.wants(t, "post", own)

	again := n.watch(t, "", bob.asks(), with("Last-Event-ID", first.id))
	e := again.next(t) // what is hidden now is told no more, nor the post that is gone
	if e.post() == made.field("id") {
		t.Error("a post that is deleted and whose author is blocked is told")
	}
	after := n.watch(t, "?last_event_id="+last.id, bob.asks())
	after.quiet(t)
	for _, id := range []string{"x", "AQ", last.id[:10], "AQAAAAAAAAABAWD_____Dw"} {
		n.watch(t, "", bob.asks(), with("Last-Event-ID", id)).wants(t, "reset", "(absent)")
	}
	if r := n.ask(t, "HEAD", "/v1/feed/stream", "", bob.asks()); r.status != 200 {
		t.Errorf("HEAD: %v", r)
	}
	n.ask(t, "GET", "/v1/feed/stream", "").refuses(t, 401, "unauthenticated", "Authorization")
	n.ask(t, "GET", "/v1/feed/stream?limit=1", "", bob.asks()).refuses(t, 422, "invalid", "limit")
	metrics := string(n.ask(t, "GET", "/metrics", "").body)
	for _, name := range []string{"freshet_live_streams", "freshet_live_delivered_total", "freshet_live_cut_total 0", "freshet_live_delay_seconds_count"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("no %s in the metrics", name)
		}
	}
}

// Whom something was done to is told, and nobody else; not of what those do whom they muted, nor of what was taken back at once.
func TestAStreamTellsOfNotifications(t *testing.T) {
	n := startAPI(t, nil)
	bob, eve, mallory := n.person(t, "bob"), n.person(t, "eve"), n.person(t, "mallory")
	post := n.post(t, bob)
	s, other := n.watch(t, "", bob.asks()), n.watch(t, "", eve.asks())
	n.ask(t, "PUT", "/v1/users/"+mallory.id.String()+"/mute", "", bob.asks()).wants(t, 204)
	n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", mallory.asks()).wants(t, 200)
	n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", eve.asks()).wants(t, 200)
	listed := func() string {
		return n.ask(t, "GET", "/v1/notifications", "", bob.asks()).wants(t, 200).field("items.0.id")
	}
	like := s.wants(t, "notification", listed())
	if r := (&reply{body: []byte(like.data)}); r.field("kind") != "like" || r.field("post_id") != post || r.field("actor.handle") != "eve" {
		t.Errorf("the event is %s", like.data)
	}
	n.follow(t, eve, bob)
	s.wants(t, "notification", listed())
	n.ask(t, "POST", "/v1/notifications/seen", `{}`, bob.asks())
	n.ask(t, "DELETE", "/v1/posts/"+post+"/like", "", eve.asks()).wants(t, 200)
	own := n.post(t, bob)
	s.wants(t, "post", own)
	other.wants(t, "post", own) // which is all that concerns eve
	again := n.watch(t, "", bob.asks(), with("Last-Event-ID", like.id))
	again.wants(t, "notification", listed())
	again.wants(t, "post", own)
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	return x.String() == y.String()
}

func TestATicketOpensAStreamAndNothingElse(t *testing.T) {
	n := startAPI(t, nil)
	ada := n.person(t, "ada")
	ticket := n.ticket(t, ada.id)
	s := n.watch(t, "?ticket="+ticket)
	s.wants(t, "post", n.post(t, ada))
	n.ask(t, "GET", "/v1/feed", "", as(ticket)).refuses(t, 401, "unauthenticated", "Authorization")
	n.ask(t, "GET", "/v1/feed?ticket="+ticket, "").wants(t, 401)
	n.ask(t, "GET", "/v1/feed/stream?ticket="+ada.token, "").refuses(t, 401, "unauthenticated", "ticket")
	n.ask(t, "POST", "/v1/tokens", `{"purpose":"other"}`, as(n.key), with("Freshet-User", ada.id.String())).wants(t, 422)
	n.ask(t, "POST", "/v1/tokens", `{"purpose":"stream","expires_in":60}`, as(n.key), with("Freshet-User", ada.id.String())).
		refuses(t, 422, "invalid", "expires_in")
	n.ask(t, "POST", "/v1/tokens", `{"purpose":"stream"}`, ada.asks()).wants(t, 403)
}

// Whatever a stream was opened by: when that ends, the stream ends within a second.
func TestAStreamEndsWithItsCredentials(t *testing.T) {
	n := startAPI(t, nil)
	ada, session := n.person(t, "ada"), n.signedIn(t, "sal")
	other, gone := n.watch(t, "", ada.asks()), n.signedIn(t, "gone")
	key, keyText, err := n.auth.CreateKey(t.Context(), "revoked", false)
	if err != nil {
		t.Fatal(err)
	}
	ticket := n.ask(t, "POST", "/v1/tokens", `{"purpose":"stream"}`, as(keyText), with("Freshet-User", ada.id.String())).wants(t, 201).field("token")

	signed := n.watch(t, "", session.asks())
	n.ask(t, "DELETE", "/v1/sessions/current", "", session.asks()).wants(t, 204)
	signed.ends(t, time.Second)

	byKey, byTicket := n.watch(t, "", as(keyText), with("Freshet-User", ada.id.String())), n.watch(t, "?ticket="+ticket)
	if _, err := n.auth.RevokeKey(t.Context(), key.Name); err != nil {
		t.Fatal(err)
	}
	byKey.ends(t, time.Second)
	byTicket.ends(t, time.Second)
	n.ask(t, "GET", "/v1/feed/stream?ticket="+ticket, "").wants(t, 401)

	erased, erasedToo := n.watch(t, "", gone.asks()), n.watch(t, "?ticket="+n.ticket(t, gone.id))
	n.ask(t, "DELETE", "/v1/users/me", "", gone.asks()).wants(t, 204)
	erased.ends(t, time.Second)
	erasedToo.ends(t, time.Second)
	other.wants(t, "post", n.post(t, ada))
}

func TestStreamsAreBounded(t *testing.T) {
	n := startAPI(t, func(c *config.Config) {
		c.Limits.Streams, c.Limits.StreamsPerUser, c.Limits.InflightRequests = 3, 2, 1
	})
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	first := n.watch(t, "", ada.asks())
	n.watch(t, "", ada.asks())
	n.ask(t, "GET", "/v1/feed/stream", "", ada.asks()).refuses(t, 429, "rate_limited", "")
	n.watch(t, "", bob.asks())
	r := n.ask(t, "GET", "/v1/feed/stream", "", bob.asks())
	if r.refuses(t, 503, "unavailable", ""); r.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
	n.ask(t, "GET", "/v1/feed", "", bob.asks()).wants(t, 200) // though one request at once is allowed
	first.close()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp := n.openStream(t, "", ada.asks())
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a stream that its client has closed takes a place")
		}
	}
}

// A node that stops does not wait for streams, and after it was started again who comes back lacks nothing.
func TestStreamsOverARestart(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Addr = t.TempDir(), "127.0.0.1:0"
	putEmpty(t, cfg.Data)
	n, stop := serveLive(t, cfg)
	_, key, err := n.auth.CreateKey(t.Context(), "test", false)
	if err != nil {
		t.Fatal(err)
	}
	n.key = key
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	n.follow(t, bob, ada)
	s := n.watch(t, "", bob.asks())
	first := s.wants(t, "post", n.post(t, ada))
	s.close()
	missed := []string{n.post(t, ada), n.post(t, ada)}
	open := n.watch(t, "", ada.asks())
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	open.ends(t, time.Second)

	n, stop = serveLive(t, cfg)
	defer stop()
	n.key = key
	fresh := n.watch(t, "", bob.asks())
	s = n.watch(t, "", bob.asks(), with("Last-Event-ID", first.id))
	for _, post := range append(missed, n.post(t, ada)) {
		s.wants(t, "post", post)
	}
	if e := fresh.next(t); e.post() == missed[0] || e.post() == missed[1] {
		t.Error("who was not there is told what happened before the restart")
	}
}

// serveLive runs a node as the command does.
func serveLive(t *testing.T, cfg *config.Config) (*apiNode, func()) {
	t.Helper()
	n, err := Open(context.Background(), cfg, Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := n.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- n.Serve(ctx, ln, func() { close(ready) }) }()
	<-ready
	var stopped bool
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return &apiNode{Node: n, url: "http://" + ln.Addr().String()}, stop
}

// A client that does not read is cut off, and keeps nobody else waiting.
func TestASlowReaderHarmsNobody(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	n.follow(t, bob, ada)
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/feed/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", bob.token)
	s := n.watch(t, "", bob.asks())
	text := strings.Repeat("𝄞", 5000)
	cut := func() bool {
		return strings.Contains(string(n.ask(t, "GET", "/metrics", "").body), "freshet_live_cut_total 1")
	}
	var slowest time.Duration
	posts := 0
	for deadline := time.Now().Add(60 * time.Second); !cut(); posts++ {
		if time.Now().After(deadline) {
			t.Fatal("a client that does not read is still there")
		}
		began := time.Now()
		p, _, err := n.social.Post(t.Context(), freshet.NewPost{Author: ada.id, Text: text}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		s.wants(t, "post", p.ID.String())
		slowest = max(slowest, time.Since(began))
		if posts > 400 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	t.Logf("%d posts of 20 KB; the slowest to be told took %v", posts, slowest)
	if slowest > 3*time.Second {
		t.Errorf("another reader waited %v", slowest)
	}
}

// Nodes that share a database hear of each other's posts, and a client goes on at either.
func TestStreamsOnTwoNodes(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	url := server.CreateDatabase(t)
	one := startAPI(t, onPostgres("pull", url))
	two := startAPI(t, onPostgres("pull", url))
	two.key = one.key
	ada, bob := one.person(t, "ada"), one.person(t, "bob")
	s, other := one.watch(t, "", bob.asks()), two.watch(t, "", bob.asks())
	two.follow(t, bob, ada)
	var last string
	for i := range 10 {
		at := []*apiNode{one, two}[i%2]
		post := at.post(t, ada)
		last = s.wants(t, "post", post).id
		if e := other.wants(t, "post", post); e.id != last {
			t.Errorf("one node says %s, the other %s", last, e.id)
		}
	}
	s.close()
	post := one.post(t, ada)
	two.watch(t, "", bob.asks(), with("Last-Event-ID", last)).wants(t, "post", post)
	one.ask(t, "DELETE", "/v1/posts/"+post, "", ada.asks()).wants(t, 204)
	other.wants(t, "post", post)
	other.wants(t, "delete", post)
}
