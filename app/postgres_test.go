package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store/shard"
)

func onPostgres(mode string, urls ...string) func(*config.Config) {
	return func(c *config.Config) {
		c.Store.Shards = config.Shards{{Primary: urls[0], Replicas: urls[1:]}}
		c.Feed.Mode = mode
		c.Password.Min = 8
	}
}

// A node whose store is PostgreSQL is a node like any other: what is posted is at once in the feeds of followers, also by push;
// what another program writes shows within a second, although it was cached.
func TestServeOnPostgres(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	for _, mode := range []string{"push", "pull"} {
		t.Run(mode, func(t *testing.T) {
			url := server.CreateDatabase(t)
			n := startAPI(t, onPostgres(mode, url))
			ada, bob := n.person(t, "ada"), n.person(t, "bob")
			n.ask(t, "PUT", "/v1/users/"+ada.id.String()+"/follow", "", bob.asks()).wants(t, 204)
			made := n.ask(t, "POST", "/v1/posts", `{"text":"hello"}`, ada.asks())
			made.wants(t, 201)
			feed := n.ask(t, "GET", "/v1/feed", "", bob.asks())
			feed.wants(t, 200)
			if !strings.Contains(string(feed.body), "hello") {
				t.Fatalf("the follower's feed: %s", feed.body)
			}
			if err := n.jobs.Idle(t.Context()); err != nil {
				t.Fatal(err)
			}
			name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
			server.Exec(t, name, "UPDATE freshet.posts SET text = 'changed by hand' WHERE id = "+made.field("id"))
			for began := time.Now(); ; time.Sleep(time.Millisecond) {
				feed := n.ask(t, "GET", "/v1/feed", "", bob.asks())
				if strings.Contains(string(feed.body), "changed by hand") {
					t.Logf("a change by psql showed after %v", time.Since(began))
					break
				}
				if time.Since(began) > 5*time.Second {
					t.Fatalf("still %s", feed.body)
				}
			}
			n.ask(t, "DELETE", "/v1/posts/"+made.field("id"), "", ada.asks()).wants(t, 204)
			if feed := n.ask(t, "GET", "/v1/feed", "", bob.asks()); strings.Contains(string(feed.body), "changed") {
				t.Errorf("a deleted post is in the feed: %s", feed.body)
			}
		})
	}
}

// A node on two shards is a node like any other: users of both meet, and a write by psql on either shows.
func TestServeOnTwoShards(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	for _, mode := range []string{"push", "pull"} {
		t.Run(mode, func(t *testing.T) {
			urls := []string{server.CreateDatabase(t), server.CreateDatabase(t)}
			n := startAPI(t, func(c *config.Config) {
				onPostgres(mode, urls[0])(c)
				c.Store.Shards = append(c.Store.Shards, config.Shard{Primary: urls[1]})
			})
			owners := n.store.(*shard.Store).Directory().Owners
			people := []person{n.person(t, "ada")}
			for i := 0; len(people) < 3; i++ { // the second and the third on the shard that the first is not on
				p := n.person(t, fmt.Sprintf("other%d", i))
				if owners[p.id.Bucket()] != owners[people[0].id.Bucket()] {
					people = append(people, p)
				}
			}
			for _, follower := range people {
				for _, followed := range people {
					if follower.id != followed.id {
						n.ask(t, "PUT", "/v1/users/"+followed.id.String()+"/follow", "", follower.asks()).wants(t, 204)
					}
				}
			}
			posts := make([]string, len(people))
			for i, p := range people {
				made := n.ask(t, "POST", "/v1/posts", fmt.Sprintf(`{"text":"hello %d"}`, i), p.asks())
				made.wants(t, 201)
				posts[i] = made.field("id")
			}
			shows := func(reader person, want ...string) {
				t.Helper()
				feed := n.ask(t, "GET", "/v1/feed", "", reader.asks())
				feed.wants(t, 200)
				for i := range people {
					text := fmt.Sprintf("hello %d", i)
					if has := strings.Contains(string(feed.body), text); has != slices.Contains(want, text) {
						t.Errorf("%q in the feed: %v\n%s", text, has, feed.body)
					}
				}
			}
			if err := n.jobs.Idle(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, p := range people {
				shows(p, "hello 0", "hello 1", "hello 2")
				n.ask(t, "PUT", "/v1/posts/"+posts[0]+"/like", "", p.asks()).wants(t, 200)
			}
			for i, want := range []int64{3, 0, 0} {
				if got := n.ask(t, "GET", "/v1/posts/"+posts[i], "", people[1].asks()); got.field("like_count") != fmt.Sprint(want) {
					t.Errorf("post %d: %s, want %d likes", i, got.body, want)
				}
			}
			n.ask(t, "PUT", "/v1/users/"+people[1].id.String()+"/block", "", people[0].asks()).wants(t, 204)
			shows(people[0], "hello 0", "hello 2")
			shows(people[1], "hello 1", "hello 2")
			for i, url := range urls {
				name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
				server.Exec(t, name, "UPDATE freshet.posts SET text = 'by hand'")
				for began := time.Now(); ; time.Sleep(time.Millisecond) {
					feed := n.ask(t, "GET", "/v1/feed", "", people[2].asks())
					if strings.Count(string(feed.body), "by hand") > i {
						break
					}
					if time.Since(began) > 10*time.Second {
						t.Fatalf("shard %d: still %s", i, feed.body)
					}
				}
			}
			if verified, err := n.verify(t.Context(), verification{}); err != nil || len(verified.Found) > 0 {
				t.Errorf("%+v, %v", verified, err)
			}
			cfg := config.Default()
			cfg.Data = t.TempDir()
			onPostgres("pull", urls[1])(cfg)
			if alone, err := Open(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "one shard of several") {
				t.Errorf("a shard alone: %v", err)
				if err == nil {
					alone.Close()
				}
			}
			var metrics strings.Builder
			if n.writeMetrics(&metrics); !strings.Contains(metrics.String(), `freshet_store_connections{shard="1"}`) {
				t.Errorf("metrics:\n%s", metrics.String())
			}
		})
	}
}

// A shard that is down takes its own users along and nobody else; the node says that it is not whole.
func TestAShardThatIsDown(t *testing.T) {
	first, second := testenv.StartPostgres(t, "wal_level=logical"), testenv.StartPostgres(t, "wal_level=logical")
	n := startAPI(t, func(c *config.Config) {
		onPostgres("pull", first.CreateDatabase(t))(c)
		c.Store.Shards = append(c.Store.Shards, config.Shard{Primary: second.CreateDatabase(t)})
	})
	owners := n.store.(*shard.Store).Directory().Owners
	var stays, falls []person
	for i := 0; len(stays) < 2 || len(falls) < 1; i++ {
		if p := n.person(t, fmt.Sprintf("user%d", i)); owners[p.id.Bucket()] == 0 {
			stays = append(stays, p)
		} else {
			falls = append(falls, p)
		}
	}
	n.ask(t, "GET", "/readyz", "").wants(t, 200)
	second.Kill()
	list := n.listShards(t.Context())
	if len(list) != 2 || list[0].Buckets != "0-511" || list[1].Buckets != "512-1023" || list[0].Error != "" || list[1].Error == "" {
		t.Errorf("the shards: %+v", list)
	}
	n.ask(t, "GET", "/readyz", "").wants(t, 503)
	n.ask(t, "POST", "/v1/posts", `{"text":"lost"}`, falls[0].asks()).wants(t, 503)
	n.ask(t, "PUT", "/v1/users/"+stays[1].id.String()+"/follow", "", stays[0].asks()).wants(t, 204)
	n.ask(t, "POST", "/v1/posts", `{"text":"still here"}`, stays[1].asks()).wants(t, 201)
	if feed := n.ask(t, "GET", "/v1/feed", "", stays[0].asks()); feed.status != 200 || !strings.Contains(string(feed.body), "still here") {
		t.Errorf("a feed that needs one shard: %d %s", feed.status, feed.body)
	}
	second.Restart()
	for began := time.Now(); n.ask(t, "GET", "/readyz", "").status != 200; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("not ready although the server is back")
		}
	}
	n.ask(t, "POST", "/v1/posts", `{"text":"back"}`, falls[0].asks()).wants(t, 201)
}

// Timelines in memory are for one process: a second node is told so, one that keeps none may come.
func TestOneNodeKeepsTimelines(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical")
	url := server.CreateDatabase(t)
	open := func(mode string) error {
		cfg := config.Default()
		cfg.Data = t.TempDir()
		onPostgres(mode, url)(cfg)
		n, err := Open(context.Background(), cfg, Options{})
		if err == nil {
			t.Cleanup(func() { n.Close() })
		}
		return err
	}
	if err := open("pull"); err != nil {
		t.Fatal(err)
	}
	if err := open("pull"); err != nil {
		t.Errorf("a second node in mode pull: %v", err)
	}
	if err := open("push"); err == nil || !strings.Contains(err.Error(), "feed.mode to pull") {
		t.Errorf("a node in mode push beside them: %v", err)
	}
}

// What can't work is refused with what to do about it.
func TestBadPostgres(t *testing.T) {
	server, plain := testenv.StartPostgres(t, "wal_level=logical"), testenv.StartPostgres(t)
	for want, shards := range map[string]config.Shards{
		"is the server running":        {{Primary: "postgres://postgres@127.0.0.1:1/x"}},
		"CREATE DATABASE":              {{Primary: server.URL("missing")}},
		"wal_level = logical":          {{Primary: plain.URL("postgres")}},
		"shard 1: connect to postgres": {{Primary: server.URL("postgres")}, {Primary: server.URL("other")}},
	} {
		cfg := config.Default()
		cfg.Data, cfg.Store.Shards = t.TempDir(), shards
		n, err := Open(context.Background(), cfg, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a hint like %q", err, want)
		}
		if err == nil {
			n.Close()
		}
	}
	// The server goes away under a node: requests are told to try again, and it is not ready, until it is back.
	n := startAPI(t, onPostgres("pull", server.CreateDatabase(t)))
	ada := n.person(t, "ada")
	server.Kill()
	n.ask(t, "POST", "/v1/posts", `{"text":"lost"}`, ada.asks()).wants(t, 503)
	n.ask(t, "GET", "/readyz", "").wants(t, 503)
	server.Restart()
	for began := time.Now(); n.ask(t, "GET", "/readyz", "").status != 200; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("not ready although the server is back")
		}
	}
	n.ask(t, "POST", "/v1/posts", `{"text":"kept"}`, ada.asks()).wants(t, 201)
}

// With replicas the same holds, and reads are spread.
func TestServeOnReplicas(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical", "max_connections=200")
	replicas := []*testenv.Postgres{server.StartReplica(t, "r1"), server.StartReplica(t, "r2")}
	url := server.CreateDatabase(t)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	n := startAPI(t, onPostgres("pull", url, replicas[0].URL(name), replicas[1].URL(name)))
	ada := n.person(t, "ada")
	for i := range 50 {
		text := fmt.Sprintf("post %d", i)
		made := n.ask(t, "POST", "/v1/posts", `{"text":"`+text+`"}`, ada.asks())
		made.wants(t, 201)
		id, err := freshet.ParseID(made.field("id"))
		if err != nil {
			t.Fatal(err)
		}
		r := n.ask(t, "GET", "/v1/posts/"+id.String(), "", ada.asks())
		r.wants(t, 200)
		if !strings.Contains(string(r.body), text) {
			t.Fatalf("got %s", r.body)
		}
	}
	var text strings.Builder
	n.writeMetrics(&text)
	for _, name := range []string{"freshet_store_connections_max", "freshet_store_replica_reads_total", "freshet_store_ejected 0"} {
		if !strings.Contains(text.String(), name) {
			t.Errorf("the metrics lack %s", name)
		}
	}
}
