package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// fleetStale is how long the nodes of these tests trust their memory.
const fleetStale = time.Second

// startFleet serves one store by a node for each remote layer, as several
// processes serve one database: each has caches and stations of its own.
func startFleet(tb testing.TB, o cache.Options, remotes ...string) []*apiNode {
	tb.Helper()
	ctx := context.Background()
	file, err := litedb.Open(ctx, filepath.Join(tb.TempDir(), databaseFile), litedb.Options{Migrations: schema()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	nodes := make([]*apiNode, len(remotes))
	for i, remote := range remotes {
		cfg := config.Default()
		cfg.Data = tb.TempDir()           // of its journals
		cfg.Feed.Mode = string(feed.Pull) // timelines in memory are for one node
		cfg.Cache.Remote, cfg.Cache.MaxStale = config.Secret(remote), fleetStale
		n := &Node{cfg: cfg, opts: Options{Now: time.Now}, log: slog.New(slog.DiscardHandler)}
		if err := n.serveFile(ctx, file); err != nil {
			tb.Fatal(err)
		}
		if n.remote, err = n.openRemote(ctx); err != nil {
			tb.Fatal(err)
		}
		if err := errors.Join(n.openViews(ctx), n.serveCaches(ctx, o)); err != nil {
			tb.Fatal(err)
		}
		h, err := n.handler()
		if err != nil {
			tb.Fatal(err)
		}
		srv := httptest.NewServer(h)
		tb.Cleanup(func() {
			srv.Close()
			if err := n.Close(); err != nil {
				tb.Errorf("close node %d: %v", i, err)
			}
		})
		nodes[i] = &apiNode{Node: n, handler: h, url: srv.URL}
	}
	_, key, err := nodes[0].auth.CreateKey(ctx, "test", false)
	if err != nil {
		tb.Fatal(err)
	}
	for _, n := range nodes {
		n.key = key
	}
	return nodes
}

// signedIn makes a user with a session.
func (n *apiNode) signedIn(tb testing.TB, handle string) person {
	tb.Helper()
	hash, err := n.auth.HashPassword(context.Background(), "correct horse")
	if err != nil {
		tb.Fatal(err)
	}
	u, _, err := n.social.SignUp(context.Background(), freshet.NewUser{Handle: handle, PasswordHash: hash}, store.Write{})
	if err != nil {
		tb.Fatal(err)
	}
	_, token, _, err := n.auth.SignIn(context.Background(), access.SignIn{Handle: handle, Password: "correct horse"}, store.Write{})
	if err != nil {
		tb.Fatal(err)
	}
	return person{u.ID, token}
}

// withdrawal is something that one node takes away and no other may serve.
type withdrawal struct {
	name   string
	path   string // shows it
	reader option
	status int // once it is gone
	take   func() error
}

// withdrawals makes one of each kind, by the node that will take them away.
func (n *apiNode) withdrawals(t *testing.T) []withdrawal {
	ask := func(method, path string, by option) func() error {
		return func() error {
			if r := n.ask(t, method, path, "", by); r.status != 204 {
				return fmt.Errorf("%v", r)
			}
			return nil
		}
	}
	session, author, reader, gone := n.signedIn(t, "session"), n.person(t, "author"), n.person(t, "reader"), n.person(t, "gone")
	key, keyText, err := n.auth.CreateKey(t.Context(), "revoked", false)
	if err != nil {
		t.Fatal(err)
	}
	shy, stranger := n.person(t, "shy"), n.person(t, "stranger")
	deleted, hidden := n.post(t, author), n.post(t, gone)
	return []withdrawal{
		{"session", "/v1/sessions", session.asks(), 401, ask("DELETE", "/v1/sessions/current", session.asks())},
		{"API key", "/v1/users/" + author.id.String(), as(keyText), 401, func() error {
			_, err := n.auth.RevokeKey(context.Background(), key.Name)
			return err
		}},
		{"post", "/v1/posts/" + deleted, reader.asks(), 404, ask("DELETE", "/v1/posts/"+deleted, author.asks())},
		{"blocked author", "/v1/users/" + author.id.String(), reader.asks(), 404, ask("PUT", "/v1/users/"+reader.id.String()+"/block", author.asks())},
		{"post of who goes private", "/v1/posts/" + n.post(t, shy), stranger.asks(), 404, func() error {
			if r := n.ask(t, "PATCH", "/v1/users/me", `{"private":true}`, shy.asks()); r.status != 200 {
				return fmt.Errorf("%v", r)
			}
			return nil
		}},
		{"erased author's post", "/v1/posts/" + hidden, reader.asks(), 404, ask("DELETE", "/v1/users/me", gone.asks())},
	}
}

// What was taken away is served by no node once that is acknowledged: not by one
// that hears of it, and not by one that hears nothing and trusts its memory.
func TestWhatIsTakenAwayIsGoneOnEveryNode(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	for _, hears := range []bool{true, false} {
		t.Run(fmt.Sprintf("hears=%t", hears), func(t *testing.T) {
			nodes := startFleet(t, cache.Options{RemoteTimeout: 100 * time.Millisecond}, "redis://"+server.Addr, "redis://"+relay.Addr)
			a, b := nodes[0], nodes[1]
			defer relay.Resume()
			a.takesAwayFrom(t, b, func() {
				if !hears {
					relay.Pause()
				}
			})
		})
	}
}

// takesAwayFrom has a node that serves everything from memory serve nothing of
// what this one takes away, once that is acknowledged.
func (n *apiNode) takesAwayFrom(t *testing.T, other *apiNode, before func()) {
	all := n.withdrawals(t)
	for range 2 { // the second time from memory
		for _, w := range all {
			other.ask(t, "GET", w.path, "", w.reader).wants(t, 200)
		}
	}
	before()
	began := time.Now()
	var group sync.WaitGroup
	for _, w := range all {
		group.Go(func() {
			if err := w.take(); err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
			took := time.Since(began)
			if r := other.ask(t, "GET", w.path, "", w.reader); r.status != w.status {
				t.Errorf("%s: another node says %v", w.name, r)
			}
			if took > fleetStale+time.Second {
				t.Errorf("%s: acknowledged after %v", w.name, took)
			}
		})
	}
	group.Wait()
}

// A node that can't tell the others does not say that it is done: 503, as often
// as it is asked, until they have confirmed.
func TestUnconfirmedIsNotAcknowledged(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	o := cache.Options{RemoteTimeout: 50 * time.Millisecond, ConfirmWithin: 200 * time.Millisecond}
	nodes := startFleet(t, o, "redis://"+relay.Addr, "redis://"+server.Addr)
	a, b := nodes[0], nodes[1]
	author, reader, gone := a.person(t, "author"), a.person(t, "reader"), a.signedIn(t, "gone")
	post := a.post(t, author)
	b.ask(t, "GET", "/v1/posts/"+post, "", reader.asks()).wants(t, 200)

	a.ask(t, "GET", "/v1/sessions", "", gone.asks()).wants(t, 200)

	relay.Pause()
	// While this node still trusts its memory, which has the session.
	a.ask(t, "DELETE", "/v1/users/me", "", gone.asks()).refuses(t, 503, "unavailable", "")
	a.ask(t, "GET", "/v1/sessions", "", gone.asks()).wants(t, 401)

	remove := func() *reply {
		return a.ask(t, "DELETE", "/v1/posts/"+post, "", author.asks(), with("Idempotency-Key", "once"))
	}
	block := func() *reply {
		return a.ask(t, "PUT", "/v1/users/"+reader.id.String()+"/block", "", author.asks())
	}
	for range 2 {
		for _, r := range []*reply{remove(), block()} {
			r.refuses(t, 503, "unavailable", "")
			if r.header.Get("Retry-After") != "1" {
				t.Errorf("%v without Retry-After", r)
			}
		}
	}
	if r := a.ask(t, "GET", "/v1/posts/"+post, "", reader.asks()); r.status != 404 {
		t.Errorf("the node that deleted it says %v", r)
	}
	relay.Resume()
	deadline := time.Now().Add(10 * time.Second)
	for r := remove(); r.status != 204; r = remove() {
		if time.Now().After(deadline) {
			t.Fatalf("still %v", r)
		}
	}
	b.ask(t, "GET", "/v1/posts/"+post, "", reader.asks()).wants(t, 404)
	block().wants(t, 204)
	b.ask(t, "GET", "/v1/users/"+author.id.String(), "", reader.asks()).wants(t, 404)
}
