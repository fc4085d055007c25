package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// closed makes a private user.
func (n *apiNode) closed(t *testing.T, handle string) person {
	t.Helper()
	p := n.person(t, handle)
	if got := n.ask(t, "PATCH", "/v1/users/me", `{"private":true}`, p.asks()).wants(t, 200); got.field("private") != "true" {
		t.Fatalf("%v", got)
	}
	return p
}

func (p person) path(rest string) string { return "/v1/users/" + p.id.String() + rest }

// TestAPIPrivateAccountIsForItsFollowers asks for all that is a private account's, by everybody.
func TestAPIPrivateAccountIsForItsFollowers(t *testing.T) {
	n := startAPI(t, nil)
	fan, stranger, foe, late := n.person(t, "fan"), n.person(t, "stranger"), n.person(t, "foe"), n.person(t, "late")
	shy := n.person(t, "shy")
	post := "/v1/posts/" + n.post(t, shy)
	n.ask(t, "PUT", shy.path("/follow"), "", fan.asks()).wants(t, 204)
	n.ask(t, "PUT", fan.path("/follow"), "", shy.asks()).wants(t, 204)
	n.ask(t, "PUT", foe.path("/block"), "", shy.asks()).wants(t, 204)
	tags := make(map[string]string)
	things := []string{shy.path(""), "/v1/users/by-handle/shy", shy.path("/posts"), shy.path("/followers"), shy.path("/following"), post, post + "/comments", post + "/stats"}
	for _, path := range things {
		tags[path] = n.ask(t, "GET", path, "").wants(t, 200).header.Get("ETag")
	}
	n.ask(t, "PATCH", "/v1/users/me", `{"private":true}`, shy.asks()).wants(t, 200)
	n.ask(t, "PUT", shy.path("/follow"), "", late.asks()).wants(t, 202)
	for _, path := range things {
		bare := n.ask(t, "GET", path, "", with("If-None-Match", tags[path]))
		bare.refuses(t, 401, "unauthenticated", "")
		if bare.header.Get("Cache-Control") != "no-store" || bare.header.Get("ETag") != "" {
			t.Errorf("%s without credentials: %v", path, bare.header)
		}
		n.ask(t, "GET", path, "", with("Cookie", "freshet_session=x")).wants(t, 401)
		for _, who := range []person{shy, fan} {
			seen := n.ask(t, "GET", path, "", who.asks()).wants(t, 200)
			if got := seen.header.Get("Cache-Control"); got != "private, no-store" || seen.header.Get("ETag") != "" {
				t.Errorf("%s: Cache-Control %q", path, got)
			}
		}
		n.ask(t, "GET", path, "", foe.asks()).wants(t, 404)
		want, code := 404, "not_found"
		switch {
		case path == things[0] || path == things[1]:
			want = 200
		case strings.HasPrefix(path, shy.path("")):
			want, code = 403, "forbidden"
		}
		for _, o := range []option{stranger.asks(), late.asks(), as(n.key)} {
			if got := n.ask(t, "GET", path, "", o); want == 200 {
				got.wants(t, 200)
			} else {
				got.refuses(t, want, code, "id")
			}
		}
	}
	n.ask(t, "GET", "/v1/feed/explain?post_id="+strings.TrimPrefix(post, "/v1/posts/"), "", stranger.asks()).wants(t, 404)
	n.ask(t, "PUT", post+"/like", "", stranger.asks()).wants(t, 404)
	n.ask(t, "POST", post+"/comments", `{"text":"x"}`, stranger.asks()).wants(t, 404)
	n.ask(t, "PUT", post+"/like", "", fan.asks()).wants(t, 200)
	// Lists of others show it to whoever is signed in.
	for want, options := range map[bool][]option{false: nil, true: {stranger.asks()}} {
		if got := n.ask(t, "GET", fan.path("/followers"), "", options...).wants(t, 200); strings.Contains(string(got.body), `"shy"`) != want {
			t.Errorf("in a list, shown %v: %v", !want, got)
		}
	}
	if feed := n.ask(t, "GET", "/v1/feed", "", fan.asks()).wants(t, 200); !strings.Contains(string(feed.body), "some post") {
		t.Errorf("the feed of a follower: %v", feed)
	}
}

// TestAPIFollowRequests goes the way of a request, to each of its ends.
func TestAPIFollowRequests(t *testing.T) {
	n := startAPI(t, nil)
	shy, ann, bob, foe := n.closed(t, "shy"), n.person(t, "ann"), n.person(t, "bob"), n.person(t, "foe")
	asking := func(want ...string) {
		t.Helper()
		got := n.ask(t, "GET", "/v1/follow-requests", "", shy.asks()).wants(t, 200)
		if got.field("items.#") != fmt.Sprint(len(want)) {
			t.Errorf("%v, want %v", got, want)
		}
		for i, handle := range want {
			if got.field(fmt.Sprintf("items.%d.handle", i)) != handle {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}
	request := func(who person) {
		t.Helper()
		for range 2 {
			if got := n.ask(t, "PUT", shy.path("/follow"), "", who.asks()).wants(t, 202); string(got.body) != `{"state":"requested"}` {
				t.Errorf("%v", got)
			}
		}
	}
	path := func(who person) string { return "/v1/follow-requests/" + who.id.String() }
	for _, verb := range []string{"PUT", "DELETE"} {
		n.ask(t, verb, path(ann), "", shy.asks()).refuses(t, 404, "not_found", "id")
		n.ask(t, verb, "/v1/follow-requests/42", "", shy.asks()).wants(t, 404)
	}
	request(ann)
	request(bob)
	asking("bob", "ann")
	first := n.ask(t, "GET", "/v1/follow-requests?limit=1", "", shy.asks()).wants(t, 200)
	if second := n.ask(t, "GET", "/v1/follow-requests?limit=1&cursor="+first.field("next_cursor"), "", shy.asks()).wants(t, 200); !strings.Contains(string(second.body), `"ann"`) {
		t.Errorf("%v", second)
	}
	n.ask(t, "DELETE", path(bob), "", shy.asks()).wants(t, 204)
	asking("ann")
	for range 2 { // again it is the same
		n.ask(t, "PUT", path(ann), "", shy.asks()).wants(t, 204)
		asking()
		if got := n.ask(t, "GET", shy.path(""), "", ann.asks()).wants(t, 200); got.field("followers_count") != "1" {
			t.Errorf("%v", got)
		}
	}
	n.ask(t, "PUT", shy.path("/follow"), "", ann.asks()).wants(t, 204)
	n.ask(t, "DELETE", shy.path("/follow"), "", ann.asks()).wants(t, 204)
	n.ask(t, "GET", shy.path("/posts"), "", ann.asks()).wants(t, 403)
	request(ann)
	n.ask(t, "DELETE", shy.path("/follow"), "", ann.asks()).wants(t, 204)
	asking()
	request(foe)
	n.ask(t, "PUT", foe.path("/block"), "", shy.asks()).wants(t, 204)
	asking()
	n.ask(t, "PUT", shy.path("/follow"), "", foe.asks()).wants(t, 404)

	batch := n.ask(t, "POST", "/v1/batch", `{"operations":[{"op":"follow","actor":"`+ann.id.String()+`","target":"`+shy.id.String()+`"}]}`, as(n.key)).wants(t, 200)
	if batch.field("results.0.status") != "202" {
		t.Errorf("%v", batch)
	}
	request(bob)
	asking("bob", "ann")
	n.ask(t, "PATCH", "/v1/users/me", `{"private":false}`, shy.asks()).wants(t, 200)
	for deadline := time.Now().Add(10 * time.Second); n.ask(t, "GET", shy.path(""), "").wants(t, 200).field("followers_count") != "2"; {
		if time.Now().After(deadline) {
			t.Fatal("who asked does not follow who is public now")
		}
		time.Sleep(time.Millisecond)
	}
	asking()
}
