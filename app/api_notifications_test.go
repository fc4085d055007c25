package app

import (
	"fmt"
	"testing"
)

// TestAPINotifications has one user be told of all that others do, and of what is left when it is undone.
func TestAPINotifications(t *testing.T) {
	n := startAPI(t, nil)
	me, ann, bob := n.person(t, "me"), n.person(t, "ann"), n.person(t, "bob")
	post := n.post(t, me)
	told := func(unseen string, want ...string) (last *reply) {
		t.Helper()
		got := n.ask(t, "GET", "/v1/notifications", "", me.asks()).wants(t, 200)
		if got.field("unseen_count") != unseen || got.field("items.#") != fmt.Sprint(len(want)) {
			t.Errorf("%v\nwant %s unseen of %v", got, unseen, want)
		}
		for i, w := range want {
			at := fmt.Sprintf("items.%d.", i)
			if g := got.field(at+"kind") + " " + got.field(at+"actor.handle"); g != w {
				t.Errorf("%q, want %q", g, w)
			}
		}
		return got
	}
	told("0")
	n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", ann.asks()).wants(t, 200)
	n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", me.asks()).wants(t, 200)
	comment := n.ask(t, "POST", "/v1/posts/"+post+"/comments", `{"text":"well"}`, bob.asks()).wants(t, 201).field("id")
	n.ask(t, "PUT", me.path("/follow"), "", bob.asks()).wants(t, 204)
	got := told("3", "follow bob", "comment bob", "like ann")
	if got.field("items.1.post_id") != post || got.field("items.1.comment_id") != comment || got.field("items.0.post_id") != "(absent)" || got.field("items.2.seen") != "false" {
		t.Errorf("%v", got)
	}
	if cc := got.header.Get("Cache-Control"); cc != "private, no-store" {
		t.Errorf("Cache-Control %q", cc)
	}
	first := n.ask(t, "GET", "/v1/notifications?limit=2", "", me.asks()).wants(t, 200)
	rest := n.ask(t, "GET", "/v1/notifications?limit=2&cursor="+first.field("next_cursor"), "", me.asks()).wants(t, 200)
	if first.field("items.#")+rest.field("items.#")+rest.field("next_cursor")+rest.field("unseen_count") != "21(absent)3" {
		t.Errorf("%v\n%v", first, rest)
	}
	n.ask(t, "GET", "/v1/notifications?cursor="+first.field("next_cursor"), "", bob.asks()).wants(t, 422)

	seen := func(body string) *reply { return n.ask(t, "POST", "/v1/notifications/seen", body, me.asks()) }
	seen(`{"up_to":"x"}`).refuses(t, 422, "invalid", "up_to")
	seen(`{"up_to":"`+got.field("items.1.id")+`"}`).wants(t, 204)
	told("1", "follow bob", "comment bob", "like ann")
	seen("").wants(t, 204)
	seen("{}").wants(t, 204)
	told("0", "follow bob", "comment bob", "like ann")

	n.ask(t, "PUT", bob.path("/mute"), "", me.asks()).wants(t, 204)
	told("0", "like ann")
	n.ask(t, "DELETE", bob.path("/mute"), "", me.asks()).wants(t, 204)
	n.ask(t, "DELETE", "/v1/comments/"+comment, "", bob.asks()).wants(t, 204)
	n.ask(t, "DELETE", me.path("/follow"), "", bob.asks()).wants(t, 204)
	told("0", "like ann")
	n.ask(t, "PATCH", "/v1/users/me", `{"private":true}`, me.asks()).wants(t, 200)
	n.ask(t, "PUT", me.path("/follow"), "", bob.asks()).wants(t, 202)
	told("1", "request bob", "like ann")
	n.ask(t, "PUT", "/v1/follow-requests/"+bob.id.String(), "", me.asks()).wants(t, 204)
	told("0", "like ann")
	theirs := n.ask(t, "GET", "/v1/notifications", "", bob.asks()).wants(t, 200)
	if theirs.field("items.#")+theirs.field("items.0.kind")+theirs.field("items.0.actor.handle") != "1acceptedme" {
		t.Errorf("%v", theirs)
	}
	n.ask(t, "PUT", ann.path("/block"), "", me.asks()).wants(t, 204)
	told("0")
	n.ask(t, "DELETE", "/v1/users/me", "", ann.asks()).wants(t, 204)
	told("0")
	n.ask(t, "GET", "/v1/notifications", "").wants(t, 401)
}
