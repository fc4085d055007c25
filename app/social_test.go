package app

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// Every write is seen by the read that follows it, though what is read was
// cached before.
func TestTheNextReadSeesTheWrite(t *testing.T) {
	n := startAPI(t, nil)
	s, ctx := n.social, t.Context()
	ann, bob := n.person(t, "ann").id, n.person(t, "bob").id
	post, _, err := s.Post(ctx, freshet.NewPost{Author: bob, Text: "before"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	profile := func(id freshet.ID) freshet.User {
		p, err := s.User(ctx, id, id)
		if err != nil {
			t.Fatal(err)
		}
		return p.User
	}
	view := func() social.PostView {
		v, err := s.PostByID(ctx, ann, post.ID)
		if err != nil {
			return social.PostView{Content: &social.Content{Post: freshet.Post{Text: err.Error()}}}
		}
		return *v
	}
	home := func() (texts string) {
		var page social.Page
		if err := s.Home(ctx, ann, 0, 50, &page); err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Posts {
			texts += p.Text + ";"
		}
		return texts
	}
	text := "after"
	for _, step := range []struct {
		name string
		do   func() error
		read func() any
		want any
	}{
		{"follow: home", func() error { _, _, err := s.Follow(ctx, ann, bob, store.Write{}); return err }, func() any { return home() }, "before;"},
		{"follow: followers", nil, func() any { return profile(bob).FollowersCount }, int64(1)},
		{"follow: following", nil, func() any { return profile(ann).FollowingCount }, int64(1)},
		{"like: count", func() error { _, _, err := s.Like(ctx, ann, post.ID, store.Write{}); return err }, func() any { return view().Likes }, int64(1)},
		{"like: liked", nil, func() any { return view().Liked }, true},
		{"comment: count", func() error {
			_, _, err := s.Comment(ctx, freshet.NewComment{Post: post.ID, Author: ann, Text: "hm"}, store.Write{})
			return err
		}, func() any { return view().Comments }, int64(1)},
		{"edit: text", func() error {
			_, _, err := s.Edit(ctx, bob, post.ID, freshet.PostPatch{Text: &text}, store.Write{})
			return err
		}, func() any { return view().Text }, "after"},
		{"post: home", func() error {
			_, _, err := s.Post(ctx, freshet.NewPost{Author: bob, Text: "second"}, store.Write{})
			return err
		}, func() any { return home() }, "second;after;"},
		{"post: count", nil, func() any { return profile(bob).PostsCount }, int64(2)},
		{"mute: home", func() error { _, err := s.Mute(ctx, ann, bob, store.Write{}); return err }, func() any { return home() }, ""},
		{"unmute: home", func() error { _, err := s.Unmute(ctx, ann, bob, store.Write{}); return err }, func() any { return home() }, "second;after;"},
		{"unlike: liked", func() error { _, _, err := s.Unlike(ctx, ann, post.ID, store.Write{}); return err }, func() any { return view().Liked }, false},
		{"delete: home", func() error { _, err := s.Delete(ctx, bob, post.ID, store.Write{}); return err }, func() any { return home() }, "second;"},
		{"delete: post", nil, func() any { return view().Text }, "post not found"},
		{"block: home", func() error { _, err := s.Block(ctx, bob, ann, store.Write{}); return err }, func() any { return home() }, ""},
		{"block: followers", nil, func() any { return profile(bob).FollowersCount }, int64(0)},
	} {
		step.read() // what is there now is cached
		if step.do != nil {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		if got := step.read(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// The ref of an erased user can be given to another.
func TestAnErasedRefIsFree(t *testing.T) {
	n := startAPI(t, nil)
	backend := []option{as(n.key)}
	n.ask(t, "PUT", "/v1/users/by-ref/zed", `{"handle":"zed","name":"Zed"}`, backend...).wants(t, 201)
	mine := append(backend, with("Freshet-User", "ref:zed"))
	n.ask(t, "GET", "/v1/feed", "", mine...).wants(t, 200)
	n.ask(t, "DELETE", "/v1/users/me", "", mine...).wants(t, 204)
	n.ask(t, "GET", "/v1/feed", "", mine...).wants(t, 422)
	again := n.ask(t, "PUT", "/v1/users/by-ref/zed", `{"handle":"zed2","name":"Zed"}`, backend...).wants(t, 201)
	n.ask(t, "GET", "/v1/feed", "", mine...).wants(t, 200)
	if got := n.ask(t, "GET", "/v1/users/by-ref/zed", "", backend...).wants(t, 200); got.field("id") != again.field("id") {
		t.Errorf("the ref names %s, want %s", got.field("id"), again.field("id"))
	}
}

// Clients that send a body slowly take no place from others.
func TestSlowBodiesTakeNoPlace(t *testing.T) {
	const places = 2
	n := startAPI(t, func(c *config.Config) { c.Limits.InflightRequests = places })
	addr := strings.TrimPrefix(n.url, "http://")
	for range 3 * places {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")); err != nil {
			t.Fatal(err)
		}
	}
	waiting := func() bool { return strings.Contains(n.metrics(t), "\nfreshet_http_in_flight 1\n") }
	for deadline := time.Now().Add(5 * time.Second); !waiting() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	for range 10 {
		if r := n.ask(t, "GET", "/v1/users/by-handle/nobody", ""); r.status != http.StatusNotFound {
			t.Fatalf("%v, want 404", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (n *apiNode) metrics(t *testing.T) string {
	t.Helper()
	return string(n.ask(t, "GET", "/metrics", "").wants(t, 200).body)
}
