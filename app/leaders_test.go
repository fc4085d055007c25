package app

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// leading reads a leaderboard whole, by pages, as "score id".
func (n *apiNode) leading(t *testing.T, list, window string, limit int, options ...option) (all []string) {
	t.Helper()
	of := map[string]string{"posts": "post", "authors": "user"}[list]
	for query := ""; ; {
		r := n.ask(t, "GET", fmt.Sprintf("/v1/leaderboards/%s?window=%s&limit=%d%s", list, window, limit, query), "", options...).wants(t, 200)
		items, err := strconv.Atoi(r.field("items.#"))
		if err != nil {
			t.Fatal(r)
		}
		for i := range items {
			score, err := strconv.ParseFloat(r.field(fmt.Sprintf("items.%d.score", i)), 64)
			if err != nil {
				t.Fatal(r)
			}
			all = append(all, fmt.Sprintf("%.0f %s", math.Round(score), r.field(fmt.Sprintf("items.%d.%s.id", i, of))))
		}
		next := r.field("next_cursor")
		if next == "(absent)" {
			return all
		}
		if items != limit {
			t.Errorf("%d of %d items on a page that is not the last", items, limit)
		}
		query = "&cursor=" + next
	}
}

// shows waits until a leaderboard is as it should be. Among those whose points differ by some seconds' decay the order is left open.
func (n *apiNode) shows(t *testing.T, list, window string, want []string, options ...option) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := n.leading(t, list, window, 2, options...)
		for _, all := range [][]string{got, want} {
			slices.SortStableFunc(all, func(a, b string) int { return -strings.Compare(a, b) })
		}
		if strings.Join(got, ",") == strings.Join(want, ",") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s of %s: %v, want %v", list, window, got, want)
		}
	}
}

func TestLeaderboards(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Addr = t.TempDir(), "127.0.0.1:0"
	putEmpty(t, cfg.Data)
	n, stop := serveLive(t, cfg)
	_, key, err := n.auth.CreateKey(t.Context(), "test", false)
	if err != nil {
		t.Fatal(err)
	}
	n.key = key
	people := make([]person, 6)
	posts := make([]string, len(people))
	for i := range people {
		people[i] = n.person(t, fmt.Sprintf("user%d", i))
		posts[i] = n.post(t, people[i])
	}
	like := func(method string, who, post int) {
		t.Helper()
		n.ask(t, method, "/v1/posts/"+posts[post]+"/like", "", people[who].asks()).wants(t, 200)
	}
	for i := range people[:4] { // post i has 4-i likes
		for who := range 4 - i {
			like("PUT", who, i)
		}
	}
	var comment string
	for range 3 {
		comment = n.ask(t, "POST", "/v1/posts/"+posts[3]+"/comments", `{"text":"well"}`, people[0].asks()).wants(t, 201).field("id")
	}
	n.follow(t, people[1], people[5])
	n.follow(t, people[2], people[5])
	id := func(i int) string { return people[i].id.String() }
	wantPosts := []string{"7 " + posts[3], "4 " + posts[0], "3 " + posts[1], "2 " + posts[2]}
	wantAuthors := []string{"7 " + id(3), "4 " + id(5), "4 " + id(0), "3 " + id(1), "2 " + id(2)}
	for _, window := range []string{"1h", "24h", "7d"} {
		n.shows(t, "posts", window, wantPosts)
		n.shows(t, "authors", window, wantAuthors)
	}

	// What is taken back, deleted or blocked.
	n.ask(t, "DELETE", "/v1/comments/"+comment, "", people[0].asks()).wants(t, 204)
	like("DELETE", 0, 0)
	n.ask(t, "DELETE", "/v1/posts/"+posts[2], "", people[2].asks()).wants(t, 204)
	wantPosts = []string{"5 " + posts[3], "3 " + posts[1], "3 " + posts[0]}
	n.shows(t, "posts", "24h", wantPosts)
	n.ask(t, "PUT", "/v1/users/"+id(3)+"/block", "", people[4].asks()).wants(t, 204)
	if got := n.leading(t, "posts", "24h", 2, people[4].asks()); len(got) != 2 {
		t.Errorf("who has blocked an author is shown %v", got)
	}
	if got := n.leading(t, "authors", "24h", 2, people[3].asks()); len(got) != 5 {
		t.Errorf("the authors are %v", got)
	}
	n.shows(t, "posts", "24h", wantPosts)
	n.ask(t, "DELETE", "/v1/users/"+id(5)+"/follow", "", people[1].asks()).wants(t, 204)
	wantAuthors = []string{"5 " + id(3), "3 " + id(1), "3 " + id(0), "2 " + id(5), "2 " + id(2)}
	n.shows(t, "authors", "24h", wantAuthors)

	n.ask(t, "PATCH", "/v1/users/me", `{"private":true}`, people[3].asks()).wants(t, 200)
	if posts, authors := n.leading(t, "posts", "24h", 2), n.leading(t, "authors", "24h", 2, people[0].asks()); len(posts) != 2 || len(authors) != 4 {
		t.Errorf("with a private author: %v, %v", posts, authors)
	}
	n.ask(t, "PATCH", "/v1/users/me", `{"private":false}`, people[3].asks()).wants(t, 200)
	for query, field := range map[string]string{"window=2h": "window", "limit=0": "limit", "cursor=x": "cursor"} {
		n.ask(t, "GET", "/v1/leaderboards/posts?"+query, "").refuses(t, 422, "invalid", field)
	}
	first := n.ask(t, "GET", "/v1/leaderboards/posts?limit=1", "").wants(t, 200)
	if got := first.header.Get("Cache-Control"); got != "public, max-age=0, must-revalidate" {
		t.Errorf("Cache-Control: %s", got)
	}
	n.ask(t, "GET", "/v1/leaderboards/authors?cursor="+first.field("next_cursor"), "").refuses(t, 422, "invalid", "cursor")

	stop()
	n, stop = serveLive(t, cfg)
	defer stop()
	n.key = key
	n.shows(t, "posts", "24h", wantPosts)
	n.shows(t, "authors", "24h", wantAuthors)
	like("PUT", 0, 0)
	n.shows(t, "posts", "24h", []string{"5 " + posts[3], "4 " + posts[0], "3 " + posts[1]})

	// A node that died has its boards of a while ago, and hears the rest again.
	stop()
	if err := os.Remove(filepath.Join(cfg.Data, boardFile)); err != nil {
		t.Fatal(err)
	}
	n, stop = serveLive(t, cfg)
	defer stop()
	n.shows(t, "posts", "24h", []string{"5 " + posts[3], "4 " + posts[0], "3 " + posts[1]})
}

// The boards hold what the counts say, whatever came and went: of a model in which nothing is a second old.
func TestLeaderboardsEqualTheCounts(t *testing.T) {
	n := startAPI(t, nil)
	ctx := t.Context()
	var users, posts []freshet.ID
	for i := range 8 {
		users = append(users, n.person(t, fmt.Sprintf("user%d", i)).id)
		p, _, err := n.social.Post(ctx, freshet.NewPost{Author: users[i], Text: "x"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		posts = append(posts, p.ID)
	}
	for i := range testenv.Size(100, 300, 3000) {
		who, post := users[(i*7)%8], posts[(i*5+i/8)%8]
		var err error
		switch i % 5 {
		case 0, 1, 2:
			_, _, err = n.social.Like(ctx, who, post, store.Write{})
		case 3:
			_, _, err = n.social.Unlike(ctx, who, post, store.Write{})
		case 4:
			_, _, err = n.social.Comment(ctx, freshet.NewComment{Author: who, Post: post, Text: "x"}, store.Write{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	counts, err := n.store.Counts(ctx, posts)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		wrong, leading := "", n.leading(t, "posts", "7d", 3)
		if len(leading) != len(posts) {
			wrong = fmt.Sprintf("%d posts\n", len(leading))
		}
		for _, line := range leading {
			score, id, _ := strings.Cut(line, " ")
			post, _ := freshet.ParseID(id)
			if want := counts[post].Likes + 2*counts[post].Comments; score != fmt.Sprint(want) {
				wrong += fmt.Sprintf("%s has %s, want %d\n", id, score, want)
			}
		}
		if wrong == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(wrong)
		}
	}
}

// Nodes with a Redis share its boards, and the second adds nothing to what the first has told.
func TestLeaderboardsOfTwoNodes(t *testing.T) {
	server := testenv.StartRedis(t)
	nodes := startFleet(t, cache.Options{}, "redis://"+server.Addr, "redis://"+server.Addr)
	for i, n := range nodes {
		n.follows(t, fmt.Sprintf("node %d", i))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.leaders.run(ctx)
		}()
		t.Cleanup(func() {
			cancel()
			<-ended
		})
	}
	ada, bob := nodes[0].person(t, "ada"), nodes[0].person(t, "bob")
	post := nodes[0].post(t, ada)
	for i, who := range []person{ada, bob} {
		nodes[i].ask(t, "PUT", "/v1/posts/"+post+"/like", "", who.asks()).wants(t, 200)
	}
	for _, n := range nodes {
		n.shows(t, "posts", "1h", []string{"2 " + post})
	}
	time.Sleep(2 * tellEvery)
	nodes[1].shows(t, "authors", "1h", []string{"2 " + ada.id.String()})
	server.Kill()
	nodes[0].ask(t, "GET", "/v1/leaderboards/posts", "").refuses(t, 503, "unavailable", "")
}
