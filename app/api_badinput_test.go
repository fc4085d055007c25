package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/freshet/freshet/config"
)

// Bad input: each request below is refused with a status of its own, the answer
// names what is wrong, and nothing in the store has changed.

const missing = "4611686018427387903" // an id that nothing has

type refusal struct {
	name         string
	method, path string
	body         string
	options      []option
	status       int
	code, field  string
}

func TestAPIRefusesBadInput(t *testing.T) {
	n := startAPI(t, func(c *config.Config) {
		c.Limits.Body = 4 << 10
		c.Limits.BatchBody = 16 << 10
		c.Limits.BatchItems = 5
		c.Limits.Text = 1000
	})
	ada, bob, eve := n.person(t, "ada"), n.person(t, "bob"), n.person(t, "eve")
	me := ada.asks()
	post := n.ask(t, "POST", "/v1/posts", `{"text":"of ada","ref":"taken"}`, me).wants(t, 201).field("id")
	other := n.ask(t, "POST", "/v1/posts", `{"text":"of bob"}`, bob.asks()).wants(t, 201).field("id")
	comment := n.ask(t, "POST", "/v1/posts/"+other+"/comments", `{"text":"of bob too"}`, bob.asks()).wants(t, 201).field("id")
	n.ask(t, "PUT", "/v1/users/"+ada.id.String()+"/block", "", eve.asks()).wants(t, 204)
	hidden := n.ask(t, "POST", "/v1/posts", `{"text":"of eve"}`, eve.asks()).wants(t, 201).field("id")
	n.ask(t, "POST", "/v1/posts", `{"text":"once"}`, me, with("Idempotency-Key", "used")).wants(t, 201)
	for range 3 {
		n.ask(t, "POST", "/v1/posts", `{"text":"more"}`, me).wants(t, 201)
	}
	mine := n.ask(t, "GET", "/v1/feed?limit=1", "", me).wants(t, 200).field("next_cursor")
	public := n.ask(t, "GET", "/v1/users/"+ada.id.String()+"/posts?limit=1", "").wants(t, 200).field("next_cursor")

	users, posts, feed := "/v1/users", "/v1/posts", "/v1/feed"
	own, comments := posts+"/"+post, posts+"/"+post+"/comments"
	key := as(n.key)
	right := `{"handle":"new","name":"New","password":"long enough"}`
	long := strings.Repeat("x", 5<<10)

	var table []refusal
	add := func(rows ...refusal) { table = append(table, rows...) }

	// What every route with a body refuses alike.
	for _, w := range []struct {
		method, path string
		options      []option
	}{
		{"POST", users, nil},
		{"PUT", users + "/by-ref/crm:1", []option{key}},
		{"PATCH", users + "/me", []option{me}},
		{"POST", "/v1/sessions", nil},
		{"POST", "/v1/tokens", []option{key, with("Freshet-User", ada.id.String())}},
		{"POST", posts, []option{me}},
		{"PATCH", own, []option{me}},
		{"POST", comments, []option{me}},
		{"POST", "/v1/batch", []option{key}},
	} {
		body := func(name, body string, status int, code, field string, more ...option) {
			add(refusal{name, w.method, w.path, body, append(append([]option(nil), w.options...), more...), status, code, field})
		}
		body("cut off", `{"text":`, 400, "malformed", "body")
		body("no JSON", `text=hello`, 400, "malformed", "body")
		body("two values", `{}{}`, 400, "malformed", "body")
		body("not UTF-8", "{\"text\":\"\xff\"}", 400, "malformed", "body")
		body("half a pair", `{"text":"\ud800"}`, 400, "malformed", "body")
		body("a name twice", `{"text":"a","text":"b"}`, 400, "malformed", "text")
		body("not an object", `"x"`, 422, "invalid", "body")
		body("unknown field", `{"xyzzy":1}`, 422, "invalid", "xyzzy")
		body("another type", `{}`, 400, "malformed", "Content-Type", with("Content-Type", "text/plain"))
		body("another charset", `{}`, 400, "malformed", "Content-Type", with("Content-Type", "application/json; charset=latin1"))
		body("a form", `a=b`, 400, "malformed", "Content-Type", with("Content-Type", "application/x-www-form-urlencoded"))
		body("a parameter", `{}`, 422, "invalid", "dry_run", func(r *http.Request) { r.URL.RawQuery = "dry_run=1" })
		body("forged token", `{}`, 400, "malformed", "Freshet-Token", with("Freshet-Token", "AAAA"))
		body("no token", `{}`, 401, "unauthenticated", "Authorization", as("fs_"+strings.Repeat("A", 43)))
		body("not a bearer", `{}`, 400, "malformed", "Authorization", with("Authorization", "Basic x"))
	}
	for path, size := range map[string]int{users: 4 << 10, "/v1/sessions": 4 << 10, posts: 4 << 10, "/v1/batch": 16 << 10} {
		o := me
		if path == "/v1/batch" {
			o = key
		}
		add(refusal{"huge", "POST", path, `{"text":"` + strings.Repeat("x", size) + `"}`, []option{o}, 413, "too_large", "body"})
	}

	add(
		// Signing up and profiles.
		refusal{"no handle", "POST", users, `{"name":"New","password":"long enough"}`, nil, 422, "invalid", "handle"},
		refusal{"handle with a blank", "POST", users, `{"handle":"a b","name":"New","password":"long enough"}`, nil, 422, "invalid", "handle"},
		refusal{"handle in Greek", "POST", users, `{"handle":"αβγ","name":"New","password":"long enough"}`, nil, 422, "invalid", "handle"},
		refusal{"long handle", "POST", users, `{"handle":"` + long[:31] + `","name":"New","password":"long enough"}`, nil, 422, "invalid", "handle"},
		refusal{"taken handle", "POST", users, `{"handle":"ADA","name":"New","password":"long enough"}`, nil, 409, "conflict", "handle"},
		refusal{"name with a line break", "POST", users, `{"handle":"new","name":"a\nb","password":"long enough"}`, nil, 422, "invalid", "name"},
		refusal{"name with NUL", "POST", users, `{"handle":"new","name":"a\u0000b","password":"long enough"}`, nil, 422, "invalid", "name"},
		refusal{"long name", "POST", users, `{"handle":"new","name":"` + long[:101] + `","password":"long enough"}`, nil, 422, "invalid", "name"},
		refusal{"name of a wrong type", "POST", users, `{"handle":"new","name":7,"password":"long enough"}`, nil, 422, "invalid", "name"},
		refusal{"short password", "POST", users, `{"handle":"new","name":"New","password":"short"}`, nil, 422, "invalid", "password"},
		refusal{"long password", "POST", users, `{"handle":"new","name":"New","password":"` + long[:1025] + `"}`, nil, 422, "invalid", "password"},
		refusal{"no e-mail address", "POST", users, `{"handle":"new","name":"New","password":"long enough","email":"x"}`, nil, 422, "invalid", "email"},
		refusal{"bio too long", "PATCH", users + "/me", `{"bio":"` + long[:501] + `"}`, []option{me}, 422, "invalid", "bio"},
		refusal{"bio with a bell", "PATCH", users + "/me", `{"bio":"\u0007"}`, []option{me}, 422, "invalid", "bio"},
		refusal{"bio null", "PATCH", users + "/me", `{"bio":null}`, []option{me}, 422, "invalid", "bio"},
		refusal{"private", "PATCH", users + "/me", `{"private":1}`, []option{me}, 422, "invalid", "private"},
		refusal{"avatar", "PATCH", users + "/me", `{"avatar_media_id":"1"}`, []option{me}, 422, "invalid", "avatar_media_id"},
		refusal{"anonymous", "PATCH", users + "/me", `{}`, nil, 401, "unauthenticated", "Authorization"},
		refusal{"key without user", "PATCH", users + "/me", `{}`, []option{key}, 400, "malformed", "Freshet-User"},
		refusal{"anonymous", "DELETE", users + "/me", ``, nil, 401, "unauthenticated", "Authorization"},
		refusal{"with a body", "DELETE", users + "/me", `{"sure":true}`, []option{me}, 422, "invalid", "sure"},
		refusal{"with a broken body", "DELETE", users + "/me", `{`, []option{me}, 400, "malformed", "body"},
		refusal{"anonymous", "GET", users + "/me/export", ``, nil, 401, "unauthenticated", "Authorization"},

		// Users by reference, keys and tokens.
		refusal{"user", "PUT", users + "/by-ref/crm:1", `{"name":"New"}`, []option{me}, 403, "forbidden", "Authorization"},
		refusal{"anonymous", "PUT", users + "/by-ref/crm:1", `{"name":"New"}`, nil, 401, "unauthenticated", "Authorization"},
		refusal{"ref with a blank", "PUT", users + "/by-ref/crm%201", `{"name":"New"}`, []option{key}, 422, "invalid", "ref"},
		refusal{"long ref", "PUT", users + "/by-ref/" + long[:129], `{"name":"New"}`, []option{key}, 422, "invalid", "ref"},
		refusal{"ref not UTF-8", "PUT", users + "/by-ref/%ff", `{"name":"New"}`, []option{key}, 400, "malformed", "ref"},
		refusal{"avatar that is no address", "PUT", users + "/by-ref/crm:1", `{"name":"New","avatar_url":"javascript:alert(1)"}`, []option{key}, 422, "invalid", "avatar_url"},
		refusal{"taken handle", "PUT", users + "/by-ref/crm:1", `{"name":"New","handle":"bob"}`, []option{key}, 409, "conflict", "handle"},
		refusal{"user", "POST", "/v1/tokens", ``, []option{me}, 403, "forbidden", "Authorization"},
		refusal{"for nobody", "POST", "/v1/tokens", ``, []option{key}, 400, "malformed", "Freshet-User"},
		refusal{"for who is not there", "POST", "/v1/tokens", ``, []option{key, with("Freshet-User", missing)}, 422, "invalid", "Freshet-User"},
		refusal{"for no id", "POST", "/v1/tokens", ``, []option{key, with("Freshet-User", "x")}, 422, "invalid", "Freshet-User"},
		refusal{"too long", "POST", "/v1/tokens", `{"expires_in":3601}`, []option{key, with("Freshet-User", ada.id.String())}, 422, "invalid", "expires_in"},
		refusal{"no time", "POST", "/v1/tokens", `{"expires_in":0}`, []option{key, with("Freshet-User", ada.id.String())}, 422, "invalid", "expires_in"},
		refusal{"half a second", "POST", "/v1/tokens", `{"expires_in":0.5}`, []option{key, with("Freshet-User", ada.id.String())}, 422, "invalid", "expires_in"},
		refusal{"acting as another", "POST", posts, `{"text":"x"}`, []option{me, with("Freshet-User", bob.id.String())}, 403, "forbidden", "Freshet-User"},

		// Sessions.
		refusal{"wrong password", "POST", "/v1/sessions", `{"handle":"ada","password":"wrong one"}`, nil, 401, "unauthenticated", "password"},
		refusal{"unknown user", "POST", "/v1/sessions", `{"handle":"nobody","password":"wrong one"}`, nil, 401, "unauthenticated", "password"},
		refusal{"no password", "POST", "/v1/sessions", `{"handle":"ada"}`, nil, 422, "invalid", "password"},
		refusal{"control characters", "POST", "/v1/sessions", `{"handle":"a\u0001","password":"x"}`, nil, 422, "invalid", "handle"},
		refusal{"no id", "DELETE", "/v1/sessions/first", ``, []option{me}, 400, "malformed", "id"},
		refusal{"no session", "DELETE", "/v1/sessions/" + missing, ``, []option{me}, 404, "not_found", "id"},
		refusal{"none with this token", "DELETE", "/v1/sessions/current", ``, []option{me}, 404, "not_found", "id"},

		// Posts.
		refusal{"empty", "POST", posts, `{"text":""}`, []option{me}, 422, "invalid", "text"},
		refusal{"nothing", "POST", posts, `{}`, []option{me}, 422, "invalid", "text"},
		refusal{"empty body", "POST", posts, ``, []option{me}, 400, "malformed", "body"},
		refusal{"too long", "POST", posts, `{"text":"` + long[:1001] + `"}`, []option{me}, 422, "invalid", "text"},
		refusal{"number", "POST", posts, `{"text":1}`, []option{me}, 422, "invalid", "text"},
		refusal{"escape character", "POST", posts, `{"text":"\u001b[31m"}`, []option{me}, 422, "invalid", "text"},
		refusal{"C1 control", "POST", posts, `{"text":"\u0085"}`, []option{me}, 422, "invalid", "text"},
		refusal{"taken ref", "POST", posts, `{"text":"x","ref":"taken"}`, []option{me}, 409, "conflict", "ref"},
		refusal{"ref with a blank", "POST", posts, `{"text":"x","ref":"a b"}`, []option{me}, 422, "invalid", "ref"},
		refusal{"media", "POST", posts, `{"text":"x","media_ids":["1"]}`, []option{me}, 422, "invalid", "media_ids"},
		refusal{"anonymous", "POST", posts, `{"text":"x"}`, nil, 401, "unauthenticated", "Authorization"},
		refusal{"another's", "PATCH", posts + "/" + other, `{"text":"x"}`, []option{me}, 403, "forbidden", "id"},
		refusal{"hidden", "PATCH", posts + "/" + hidden, `{"text":"x"}`, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "PATCH", posts + "/" + missing, `{"text":"x"}`, []option{me}, 404, "not_found", "id"},
		refusal{"emptied", "PATCH", own, `{"text":""}`, []option{me}, 422, "invalid", "text"},
		refusal{"no id", "PATCH", posts + "/abc", `{"text":"x"}`, []option{me}, 400, "malformed", "id"},
		refusal{"another's", "DELETE", posts + "/" + other, ``, []option{me}, 403, "forbidden", "id"},
		refusal{"hidden", "DELETE", posts + "/" + hidden, ``, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "DELETE", posts + "/" + missing, ``, []option{me}, 404, "not_found", "id"},
		refusal{"negative", "DELETE", posts + "/-1", ``, []option{me}, 400, "malformed", "id"},
		refusal{"hidden", "PUT", posts + "/" + hidden + "/like", ``, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "PUT", posts + "/" + missing + "/like", ``, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "DELETE", posts + "/" + missing + "/like", ``, []option{me}, 404, "not_found", "id"},
		refusal{"anonymous", "PUT", own + "/like", ``, nil, 401, "unauthenticated", "Authorization"},
		refusal{"missing", "GET", posts + "/" + missing, ``, nil, 404, "not_found", "id"},
		refusal{"hidden", "GET", posts + "/" + hidden, ``, []option{me}, 404, "not_found", "id"},
		refusal{"leading zero", "GET", posts + "/0" + post, ``, nil, 400, "malformed", "id"},
		refusal{"too large", "GET", posts + "/99999999999999999999", ``, nil, 400, "malformed", "id"},
		refusal{"parameter", "GET", own + "?limit=5", ``, nil, 422, "invalid", "limit"},
		refusal{"no hours", "GET", own + "/stats?hours=0", ``, nil, 422, "invalid", "hours"},
		refusal{"many hours", "GET", own + "/stats?hours=169", ``, nil, 422, "invalid", "hours"},
		refusal{"half hours", "GET", own + "/stats?hours=1.5", ``, nil, 422, "invalid", "hours"},
		refusal{"hours of another spelling", "GET", own + "/stats?hours=024", ``, nil, 422, "invalid", "hours"},
		refusal{"hours twice", "GET", own + "/stats?hours=1&hours=1", ``, nil, 422, "invalid", "hours"},
		refusal{"another parameter", "GET", own + "/stats?days=1", ``, nil, 422, "invalid", "days"},
		refusal{"a hidden post's numbers", "GET", posts + "/" + hidden + "/stats", ``, []option{me}, 404, "not_found", "id"},
		refusal{"no post's numbers", "GET", posts + "/" + missing + "/stats", ``, nil, 404, "not_found", "id"},

		// Comments.
		refusal{"empty", "POST", comments, `{"text":""}`, []option{me}, 422, "invalid", "text"},
		refusal{"too long", "POST", comments, `{"text":"` + long[:2001] + `"}`, []option{me}, 422, "invalid", "text"},
		refusal{"control character", "POST", comments, `{"text":"\u0000"}`, []option{me}, 422, "invalid", "text"},
		refusal{"on a hidden post", "POST", posts + "/" + hidden + "/comments", `{"text":"x"}`, []option{me}, 404, "not_found", "id"},
		refusal{"on a missing post", "POST", posts + "/" + missing + "/comments", `{"text":"x"}`, []option{me}, 404, "not_found", "id"},
		refusal{"another's", "DELETE", "/v1/comments/" + comment, ``, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "DELETE", "/v1/comments/" + missing, ``, []option{me}, 404, "not_found", "id"},

		// Lists.
		refusal{"anonymous", "GET", feed, ``, nil, 401, "unauthenticated", "Authorization"},
		refusal{"key without user", "GET", feed, ``, []option{key}, 400, "malformed", "Freshet-User"},
		refusal{"no limit", "GET", feed + "?limit=0", ``, []option{me}, 422, "invalid", "limit"},
		refusal{"large limit", "GET", feed + "?limit=101", ``, []option{me}, 422, "invalid", "limit"},
		refusal{"limit twice", "GET", feed + "?limit=1&limit=2", ``, []option{me}, 422, "invalid", "limit"},
		refusal{"misspelt", "GET", feed + "?limt=1", ``, []option{me}, 422, "invalid", "limt"},
		refusal{"forged cursor", "GET", feed + "?cursor=AAAA", ``, []option{me}, 422, "invalid", "cursor"},
		refusal{"cursor cut short", "GET", feed + "?cursor=" + mine[1:], ``, []option{me}, 422, "invalid", "cursor"},
		refusal{"another's cursor", "GET", feed + "?cursor=" + mine, ``, []option{bob.asks()}, 422, "invalid", "cursor"},
		refusal{"cursor of another list", "GET", feed + "?cursor=" + public, ``, []option{me}, 422, "invalid", "cursor"},
		refusal{"cursor of another's list", "GET", users + "/" + bob.id.String() + "/posts?cursor=" + public, ``, nil, 422, "invalid", "cursor"},
		refusal{"cursor of a feed", "GET", users + "/" + ada.id.String() + "/posts?cursor=" + mine, ``, nil, 422, "invalid", "cursor"},
		refusal{"broken escape", "GET", feed + "?cursor=%zz", ``, []option{me}, 400, "malformed", "query"},
		refusal{"forged token", "GET", feed, ``, []option{me, with("Freshet-Token", "x")}, 400, "malformed", "Freshet-Token"},
		refusal{"missing user", "GET", users + "/" + missing + "/followers", ``, nil, 404, "not_found", "id"},
		refusal{"hidden user", "GET", users + "/" + eve.id.String() + "/posts", ``, []option{me}, 404, "not_found", "id"},
		refusal{"hidden user", "GET", users + "/" + eve.id.String(), ``, []option{me}, 404, "not_found", "id"},
		refusal{"hidden by handle", "GET", users + "/by-handle/eve", ``, []option{me}, 404, "not_found", "handle"},
		refusal{"missing handle", "GET", users + "/by-handle/nobody", ``, nil, 404, "not_found", "handle"},
		refusal{"handle not UTF-8", "GET", users + "/by-handle/%ff", ``, nil, 400, "malformed", "handle"},
		refusal{"missing ref", "GET", users + "/by-ref/nobody", ``, nil, 404, "not_found", "ref"},
		refusal{"anonymous", "GET", "/v1/blocks", ``, nil, 401, "unauthenticated", "Authorization"},

		// The graph.
		refusal{"oneself", "PUT", users + "/" + ada.id.String() + "/follow", ``, []option{me}, 422, "invalid", "id"},
		refusal{"missing", "PUT", users + "/" + missing + "/follow", ``, []option{me}, 404, "not_found", "id"},
		refusal{"hidden", "PUT", users + "/" + eve.id.String() + "/follow", ``, []option{me}, 404, "not_found", "id"},
		refusal{"handle", "PUT", users + "/bob/follow", ``, []option{me}, 400, "malformed", "id"},
		refusal{"anonymous", "PUT", users + "/" + bob.id.String() + "/follow", ``, nil, 401, "unauthenticated", "Authorization"},
		refusal{"missing", "PUT", users + "/" + missing + "/block", ``, []option{me}, 404, "not_found", "id"},
		refusal{"missing", "PUT", users + "/" + missing + "/mute", ``, []option{me}, 404, "not_found", "id"},

		// Batches.
		refusal{"user", "POST", "/v1/batch", `{"operations":[]}`, []option{me}, 403, "forbidden", "Authorization"},
		refusal{"none", "POST", "/v1/batch", `{"operations":[]}`, []option{key}, 422, "invalid", "operations"},
		refusal{"one too many", "POST", "/v1/batch", `{"operations":[1,2,3,4,5,6]}`, []option{key}, 422, "invalid", "operations"},
		refusal{"not a list", "POST", "/v1/batch", `{"operations":{}}`, []option{key}, 422, "invalid", "operations"},
		refusal{"a name twice in it", "POST", "/v1/batch", `{"operations":[{"op":"user","ref":"a","ref":"b","name":"x"}]}`, []option{key}, 400, "malformed", "ref"},

		// Idempotency keys.
		refusal{"key of another request", "POST", posts, `{"text":"twice"}`, []option{me, with("Idempotency-Key", "used")}, 422, "idempotency_reuse", "Idempotency-Key"},
		refusal{"key of another path", "POST", comments, `{"text":"once"}`, []option{me, with("Idempotency-Key", "used")}, 422, "idempotency_reuse", "Idempotency-Key"},
		refusal{"empty key", "POST", posts, `{"text":"x"}`, []option{me, with("Idempotency-Key", "")}, 422, "invalid", "Idempotency-Key"},
		refusal{"long key", "POST", posts, `{"text":"x"}`, []option{me, with("Idempotency-Key", long[:256])}, 422, "invalid", "Idempotency-Key"},
		refusal{"key that is not ASCII", "POST", posts, `{"text":"x"}`, []option{me, with("Idempotency-Key", "é")}, 422, "invalid", "Idempotency-Key"},

		// Paths.
		refusal{"no such path", "GET", "/v1/nothing", ``, nil, 404, "not_found", "path"},
		refusal{"no such list", "GET", users + "/" + ada.id.String() + "/friends", ``, nil, 404, "not_found", "path"},
		refusal{"no such method", "POST", feed, ``, nil, 405, "method_not_allowed", "path"},
		refusal{"no such method", "POST", users + "/" + ada.id.String() + "/follow", ``, nil, 405, "method_not_allowed", "path"},
		refusal{"no such method", "DELETE", users, right, nil, 405, "method_not_allowed", "path"},
	)

	before := n.dump(t)
	for _, row := range table {
		t.Run(row.method+" "+row.path+" "+row.name, func(t *testing.T) {
			r := n.ask(t, row.method, row.path, row.body, row.options...)
			r.refuses(t, row.status, row.code, row.field)
			if row.status == 405 && r.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
			for _, leak := range []string{"sql", "SQL", "goroutine", ".go:", "/work", "json:", "freshet."} {
				if strings.Contains(string(r.body), leak) {
					t.Errorf("%s shows %q", r.body, leak)
				}
			}
		})
	}
	if after := n.dump(t); after != before {
		t.Errorf("something changed:\n%s", firstDifference(before, after))
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return x[i] + "\n" + strings.Join(y[min(i, len(y)-1):min(i+1, len(y))], "")
		}
	}
	return strings.Join(y[len(x):], "\n")
}
