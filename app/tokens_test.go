package app

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
)

// Two nodes, and a client that keeps no token: what it writes on one it reads on the other, though the replicas stand still, and
// what it has read it does not lose. The layer has its token; where that is lost the primary is asked.
func TestAClientWithoutATokenReadsItsWritesOnEveryNode(t *testing.T) {
	server := testenv.StartPostgres(t, "wal_level=logical", "max_connections=200")
	follower := server.StartReplica(t, "r1")
	layer := testenv.StartRedis(t)
	url := server.CreateDatabase(t)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	var nodes [2]*apiNode
	for i := range nodes {
		nodes[i] = startAPI(t, func(c *config.Config) {
			onPostgres("pull", url, follower.URL(name))(c)
			c.Cache.Remote = config.Secret("redis://" + layer.Addr)
		})
	}
	ada, bob := nodes[0].person(t, "ada"), nodes[0].person(t, "bob")
	nodes[0].ask(t, "PUT", "/v1/users/"+ada.id.String()+"/follow", "", bob.asks()).wants(t, 204)
	feed := func(n *apiNode, by person, want string) {
		t.Helper()
		r := n.ask(t, "GET", "/v1/feed", "", by.asks()).wants(t, 200)
		if !strings.Contains(string(r.body), want) {
			t.Errorf("the feed lacks %q: %s", want, r.body)
		}
	}
	post := func(n *apiNode, text string) {
		t.Helper()
		n.ask(t, "POST", "/v1/posts", `{"text":"`+text+`"}`, ada.asks()).wants(t, 201)
	}
	post(nodes[0], "first")
	// Until replicas answer: from then on they would answer whose token asks for no more.
	for deadline := time.Now().Add(20 * time.Second); nodes[1].databases[0].router.Stats().OnReplicas == 0; {
		feed(nodes[1], ada, "first")
		feed(nodes[1], bob, "first")
		if time.Now().After(deadline) {
			t.Fatal("no replica answers")
		}
	}
	follower.Exec(t, "postgres", "SELECT pg_wal_replay_pause()")
	defer follower.Exec(t, "postgres", "SELECT pg_wal_replay_resume()")
	for i, text := range []string{"second", "third"} {
		post(nodes[i], text)
		feed(nodes[1-i], ada, text)
	}
	// A reader who brings the token once has seen it from then on, also without it.
	seen := nodes[0].ask(t, "GET", "/v1/feed", "", ada.asks()).wants(t, 200).header.Get("Freshet-Token")
	r := nodes[0].ask(t, "GET", "/v1/feed", "", bob.asks(), with("Freshet-Token", seen)).wants(t, 200)
	if !strings.Contains(string(r.body), "third") {
		t.Errorf("the feed at the author's token lacks the third post: %s", r.body)
	}
	layer.Kill()
	feed(nodes[1], ada, "third")
	feed(nodes[0], bob, "third")
}
