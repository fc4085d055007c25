package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
)

// moves has buckets moved, the way back being open for a time, and waits for the end of that.
func (n *apiNode) moves(t *testing.T, b store.Buckets, to int, keep time.Duration) *shard.Move {
	t.Helper()
	if _, err := n.split.Move(t.Context(), b, to, keep); err != nil {
		t.Fatal(err)
	}
	return n.moved(t)
}

// moved waits until no move is under way.
func (n *apiNode) moved(t *testing.T) *shard.Move {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		m, err := n.split.Moving(t.Context())
		if err != nil || m.Wrong > 0 || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", m, err)
		}
		if m.Step == shard.Done {
			return m
		}
	}
}

// on makes people until each of two shards has some.
func (n *apiNode) on(t *testing.T, each int) (people []person) {
	t.Helper()
	has := make([]int, 2)
	owners := n.split.Directory().Owners
	for i := 0; has[0] < each || has[1] < each; i++ {
		p := n.signedIn(t, fmt.Sprintf("user%d", i))
		if at := owners[p.id.Bucket()]; has[at] < each {
			has[at]++
			people = append(people, p)
		}
	}
	return people
}

// homes are the home feeds of people, as they are answered.
func (n *apiNode) homes(t *testing.T, people []person) (all []string) {
	t.Helper()
	for _, p := range people {
		all = append(all, string(n.ask(t, "GET", "/v1/feed", "", p.asks()).wants(t, 200).body))
	}
	return all
}

// A node that began with the embedded file goes over to PostgreSQL while it is in use: no request fails, no feed changes, and then the
// server is the store, without the file.
func TestFromTheFileToPostgresWhileInUse(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	data, both := t.TempDir(), config.Shards{{Primary: "sqlite"}, {Primary: server.CreateDatabase(t)}}
	on := func(shards config.Shards) func(*config.Config) {
		return func(c *config.Config) {
			c.Data, c.Store.Shards, c.Password.Min = data, shards, 8
		}
	}
	var people []person
	var before []string
	var token, key string
	t.Run("both", func(t *testing.T) {
		n := startAPI(t, on(both))
		key, people = n.key, n.on(t, 1)
		for i, p := range people {
			for _, other := range people {
				if other.id != p.id {
					n.ask(t, "PUT", "/v1/users/"+other.id.String()+"/follow", "", p.asks()).wants(t, 204)
				}
			}
			post := n.ask(t, "POST", "/v1/posts", fmt.Sprintf(`{"text":"hello %d"}`, i), p.asks()).wants(t, 201).field("id")
			n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", people[0].asks()).wants(t, 200)
			n.ask(t, "POST", "/v1/posts/"+post+"/comments", `{"text":"hm"}`, people[1].asks()).wants(t, 201)
		}
		before = n.homes(t, people)
		if strings.Count(before[0], `"text"`) != len(people) {
			t.Fatalf("a feed over both: %s", before[0])
		}
		end := n.isUsed(t)
		m := n.moves(t, store.AllBuckets(), 1, 10*time.Millisecond)
		answers := end()
		t.Logf("%d answers; %d rows moved, %d changes, a pause of %v", answers, m.Copied, m.Changed, m.Pause)
		n.isWhole(t, people, before)
		token = n.ask(t, "POST", "/v1/posts", `{"text":"by somebody"}`, n.person(t, "somebody").asks()).wants(t, 201).header.Get("Freshet-Token")
		if shards := n.listShards(t.Context()); shards[0].Count != 0 || shards[1].Count != 1024 {
			t.Errorf("the shards: %+v", shards)
		}
		var metrics strings.Builder
		n.writeMetrics(&metrics)
		for _, want := range []string{`freshet_store_commits_total{shard="0"}`, `freshet_store_connections{shard="1"}`} {
			if !strings.Contains(metrics.String(), want) {
				t.Errorf("the metrics lack %s", want)
			}
		}
	})
	cfg := config.Default()
	on(nil)(cfg)
	if old, err := Open(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "one shard of several") {
		t.Errorf("the file alone, from which all has moved: %v", err)
		if err == nil {
			old.Close()
		}
	}
	n := startAPI(t, on(both[1:]))
	n.key = key
	n.isWhole(t, people, before)
	n.covers(t, people[0], token)
	if aside, err := filepath.Glob(filepath.Join(data, viewsFolder+".unfit*")); err != nil || len(aside) > 0 {
		t.Errorf("the journal of views does not fit any more: %v, %v", aside, err)
	}
}

// isUsed has clients write and read without a pause until end, and wants each request to succeed.
func (n *apiNode) isUsed(t *testing.T) (end func() (answers int)) {
	t.Helper()
	people := []person{n.person(t, "busy1"), n.person(t, "busy2"), n.person(t, "busy3")}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	counts := make([]int, len(people))
	for i, p := range people {
		other := "/v1/users/" + people[(i+1)%len(people)].id.String()
		clients.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				text := fmt.Sprintf("busy %d", round)
				made := n.ask(t, "POST", "/v1/posts", `{"text":"`+text+`"}`, p.asks())
				id := made.field("id")
				for _, r := range []*reply{
					made,
					n.ask(t, "PUT", other+"/follow", "", p.asks()),
					n.ask(t, "PUT", "/v1/posts/"+id+"/like", "", p.asks()),
					n.ask(t, "GET", "/v1/posts/"+id, "", p.asks()),
					n.ask(t, "DELETE", other+"/follow", "", p.asks()),
					n.ask(t, "PATCH", "/v1/users/me", `{"name":"`+text+`"}`, p.asks()),
				} {
					if counts[i]++; r.status >= 300 {
						t.Errorf("%v", r)
					}
				}
				feed := n.ask(t, "GET", "/v1/feed", "", p.asks())
				if counts[i]++; feed.status != 200 || !strings.Contains(string(feed.body), text) {
					t.Errorf("a feed without what its reader has just written: %v", feed)
				}
			}
		})
	}
	return func() (answers int) {
		close(stop)
		clients.Wait()
		for _, c := range counts {
			answers += c
		}
		return answers
	}
}

// isWhole wants all that users and home have to be there.
func (n *apiNode) isWhole(t *testing.T, people []person, before []string) {
	t.Helper()
	for i, feed := range n.homes(t, people) { // by the sessions that they had
		if feed != before[i] {
			t.Errorf("the feed of person %d was\n%s\nand is\n%s", i, before[i], feed)
		}
	}
	for _, p := range people {
		r := n.ask(t, "GET", "/v1/users/"+p.id.String(), "", as(n.key)).wants(t, 200) // by the key that there was
		if got := n.ask(t, "GET", "/v1/users/by-handle/"+r.field("handle"), "", as(n.key)).wants(t, 200); got.field("id") != p.id.String() {
			t.Errorf("by handle: %v", got)
		}
		if p == people[0] {
			n.ask(t, "POST", "/v1/sessions", `{"handle":"`+r.field("handle")+`","password":"correct horse"}`).wants(t, 201)
		}
	}
	n.ask(t, "POST", "/v1/users", `{"handle":"user0","name":"Twice","password":"correct horse"}`).wants(t, 409)
	if _, _, err := n.auth.CreateKey(t.Context(), "another", false); err != nil && freshet.CodeOf(err) != freshet.CodeConflict {
		t.Error(err)
	}
	if verified, err := n.verify(t.Context(), verification{}); err != nil || len(verified.Found) > 0 {
		t.Errorf("%+v, %v", verified, err)
	}
}

// covers wants a client that bears a token to be answered from memory, with what another has loaded who bears none.
func (n *apiNode) covers(t *testing.T, p person, token string) {
	t.Helper()
	path := "/v1/users/" + p.id.String()
	n.answersFromMemory(t, p.id, func() { n.ask(t, "GET", path, "", p.asks(), with("Freshet-Token", token)).wants(t, 200) })
}

// remembers wants reads with a token to be answered from memory, once all that it stands for has been fenced.
func (n *apiNode) remembers(t *testing.T, id freshet.ID, at position.Token) {
	t.Helper()
	n.answersFromMemory(t, id, func() { n.named(t, id, at) })
}

func (n *apiNode) answersFromMemory(t *testing.T, id freshet.ID, read func()) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if err := n.stack.InvalidateKey(t.Context(), "user", id.String()); err != nil {
			t.Fatal(err)
		}
		n.named(t, id, nil) // what a load with the token brought would be where the token says
		before := n.loads()
		for range 5 {
			read()
		}
		if n.loads() == before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d loads for 5 reads with a token", n.loads()-before)
		}
	}
}

// Nodes on two shards between which buckets move: a client that bears a token, which bears the directory too, is answered from memory
// before and after, on every node; and what a node had cached, or reads by the directory as it was, is not served after a change.
func TestCachesOverAMove(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	urls := []string{server.CreateDatabase(t), server.CreateDatabase(t)}
	var nodes [2]*apiNode
	for i := range nodes {
		nodes[i] = startAPI(t, func(c *config.Config) {
			onPostgres("pull", urls[0])(c)
			c.Store.Shards = append(c.Store.Shards, config.Shard{Primary: urls[1]})
		})
	}
	a, b := nodes[0], nodes[1]
	p := a.on(t, 1)[0]
	rename := func(name string) position.Token {
		t.Helper()
		_, at, err := a.social.UpdateUser(t.Context(), p.id, freshet.UserPatch{Name: &name}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	var moved store.Buckets
	moved.Add(p.id.Bucket())
	for round := range 2 {
		name := fmt.Sprintf("before move %d", round)
		at := rename(name)
		for _, n := range nodes {
			if got := n.named(t, p.id, at); got != name {
				t.Fatalf("with the token of the write: %q", got)
			}
			n.remembers(t, p.id, at)
		}
		was := a.split.Directory()
		if _, err := a.split.Move(t.Context(), moved, 1-int(was.Owners[p.id.Bucket()]), 1500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for a.split.Directory().Epoch == was.Epoch { // until the switch, of which the other node has not heard yet
			if got := b.named(t, p.id, at); got != name {
				t.Fatalf("what was cached before the move: %q", got)
			}
		}
		name = fmt.Sprintf("after move %d", round)
		wrote := time.Now()
		at = rename(name)
		for b.named(t, p.id, nil) != name { // it loads, behind the fence, by the directory that it goes by
			if time.Since(wrote) > 5*time.Second {
				users, err := b.store.Users(t.Context(), []freshet.ID{p.id})
				t.Fatalf("still %q, trusted: %t; its store has %+v, %v; directories %d and %d", b.named(t, p.id, nil), b.stack.Health().Trusted,
					users, err, a.split.Directory().Epoch, b.split.Directory().Epoch)
			}
		}
		for _, n := range nodes {
			if got := n.named(t, p.id, at); got != name {
				t.Fatalf("with the token of the write: %q", got)
			}
			n.remembers(t, p.id, at)
		}
		a.moved(t)
	}
}
