package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
)

func TestAPIPublicReadsAreShared(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	post := n.ask(t, "POST", "/v1/posts", `{"text":"hello"}`, ada.asks()).wants(t, 201).field("id")
	n.ask(t, "POST", "/v1/posts/"+post+"/comments", `{"text":"hi"}`, bob.asks()).wants(t, 201)
	n.ask(t, "PUT", "/v1/users/"+ada.id.String()+"/follow", "", bob.asks()).wants(t, 204)
	user := "/v1/users/" + ada.id.String()
	for _, path := range []string{
		user, "/v1/users/by-handle/ADA", user + "/followers", user + "/following", user + "/posts", "/v1/posts/" + post, "/v1/posts/" + post + "/comments",
	} {
		t.Run(path, func(t *testing.T) {
			bare := n.ask(t, "GET", path, "").wants(t, 200)
			if got := bare.header.Get("Cache-Control"); got != "public, max-age=0, must-revalidate" {
				t.Errorf("Cache-Control %q", got)
			}
			for _, personal := range []string{"Freshet-Token", "Set-Cookie"} {
				if v := bare.header[personal]; v != nil {
					t.Errorf("%s: %v", personal, v)
				}
			}
			if bytes.Contains(bare.body, []byte("liked")) || bytes.Contains(bare.body, []byte("email")) {
				t.Errorf("something personal: %s", bare.body)
			}
			tag := bare.header.Get("ETag")
			if tag == "" || strings.HasPrefix(tag, "W/") {
				t.Fatalf("ETag %q", tag)
			}
			again := n.ask(t, "GET", path, "", with("If-None-Match", `"x", `+tag)).wants(t, 304)
			if len(again.body) != 0 || again.header.Get("ETag") != tag {
				t.Errorf("304 with %q, ETag %q", again.body, again.header.Get("ETag"))
			}
			head := n.ask(t, "HEAD", path, "").wants(t, 200)
			if head.header.Get("Content-Length") != fmt.Sprint(len(bare.body)) || len(head.body) != 0 {
				t.Errorf("HEAD: %v", head.header)
			}
			for name, o := range map[string]option{"token": bob.asks(), "key": as(n.key), "cookie of nobody": with("Cookie", "freshet_session=x")} {
				private := n.ask(t, "GET", path, "", o, with("If-None-Match", tag)).wants(t, 200)
				if got := private.header.Get("Cache-Control"); got != "private, no-store" {
					t.Errorf("with %s: Cache-Control %q", name, got)
				}
				if private.header.Get("ETag") != "" || !strings.Contains(strings.Join(private.header["Vary"], ","), "Authorization") {
					t.Errorf("with %s: %v", name, private.header)
				}
			}
		})
	}
}

func TestAPIPostAsViewersSeeIt(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	post := "/v1/posts/" + n.ask(t, "POST", "/v1/posts", `{"text":"hello","data":{"k": [1, 2.50]}}`, ada.asks()).wants(t, 201).field("id")
	if got := n.ask(t, "PUT", post+"/like", "", bob.asks()).wants(t, 200); string(got.body) != `{"like_count":1,"liked":true}` {
		t.Errorf("%v", got)
	}
	if got := n.ask(t, "PUT", post+"/like", "", bob.asks()).wants(t, 200); got.field("like_count") != "1" {
		t.Errorf("twice counts twice: %v", got)
	}
	for _, test := range []struct {
		name    string
		options []option
		liked   string
	}{
		{"nobody", nil, "(absent)"},
		{"who likes it", []option{bob.asks()}, "true"},
		{"the author", []option{ada.asks()}, "false"},
		{"a key for itself", []option{as(n.key)}, "(absent)"},
		{"a key for who likes it", []option{as(n.key), with("Freshet-User", bob.id.String())}, "true"},
	} {
		r := n.ask(t, "GET", post, "", test.options...).wants(t, 200)
		if r.field("liked") != test.liked || r.field("like_count") != "1" || r.field("data.k.1") != "2.50" || r.field("edited_at") != "(absent)" || r.field("media.#") != "0" {
			t.Errorf("%s: %v", test.name, r)
		}
	}
	edited := n.ask(t, "PATCH", post, `{"data":null}`, ada.asks()).wants(t, 200)
	if edited.field("edited_at") == "(absent)" || edited.field("data") != "(absent)" || edited.field("text") != "hello" || edited.field("like_count") != "1" {
		t.Errorf("%v", edited)
	}
	if got := n.ask(t, "GET", post, "", ada.asks()); !bytes.Equal(got.body, edited.body) {
		t.Errorf("the answer to the edit %s differs from the post %s", edited.body, got.body)
	}
	if got := n.ask(t, "DELETE", post+"/like", "", bob.asks()).wants(t, 200); string(got.body) != `{"like_count":0,"liked":false}` {
		t.Errorf("%v", got)
	}
	n.ask(t, "PUT", "/v1/users/"+bob.id.String()+"/block", "", ada.asks()).wants(t, 204)
	n.ask(t, "GET", post, "", bob.asks()).refuses(t, 404, "not_found", "id")
	n.ask(t, "GET", post, "").wants(t, 200)
	n.ask(t, "DELETE", post, "", ada.asks()).wants(t, 204)
	n.ask(t, "GET", post, "").refuses(t, 404, "not_found", "id")
	n.ask(t, "DELETE", post, "", ada.asks()).refuses(t, 404, "not_found", "id")
}

// TestAPIListsWalk walks every list in small pages and wants the whole, in order.
func TestAPIListsWalk(t *testing.T) {
	n := startAPI(t, nil)
	me := n.person(t, "me")
	post := ""
	for i := range 7 {
		p := n.person(t, fmt.Sprintf("p%d", i))
		id := p.id.String()
		n.ask(t, "PUT", "/v1/users/"+me.id.String()+"/follow", "", p.asks()).wants(t, 204)
		n.ask(t, "PUT", "/v1/users/"+id+"/follow", "", me.asks()).wants(t, 204)
		n.ask(t, "PUT", "/v1/users/"+id+"/mute", "", me.asks()).wants(t, 204)
		post = n.ask(t, "POST", "/v1/posts", fmt.Sprintf(`{"text":"%d"}`, i), me.asks()).wants(t, 201).field("id")
	}
	for i := range 7 {
		n.ask(t, "POST", "/v1/posts/"+post+"/comments", fmt.Sprintf(`{"text":"%d"}`, i), me.asks()).wants(t, 201)
		b := n.person(t, fmt.Sprintf("b%d", i))
		n.ask(t, "PUT", "/v1/users/"+b.id.String()+"/block", "", me.asks()).wants(t, 204)
	}
	user := "/v1/users/" + me.id.String()
	for _, path := range []string{
		"/v1/feed", "/v1/blocks", "/v1/mutes", user + "/followers", user + "/following", user + "/posts", "/v1/posts/" + post + "/comments",
	} {
		t.Run(path, func(t *testing.T) {
			whole := n.ask(t, "GET", path, "", me.asks()).wants(t, 200)
			if whole.field("items.#") != "7" || whole.field("next_cursor") != "(absent)" {
				t.Fatalf("%v", whole)
			}
			for _, limit := range []int{1, 2, 3, 7} {
				var got []json.RawMessage
				for cursor, pages := "", 0; ; pages++ {
					var page struct {
						Items      []json.RawMessage `json:"items"`
						NextCursor *string           `json:"next_cursor"`
					}
					r := n.ask(t, "GET", fmt.Sprintf("%s?limit=%d%s", path, limit, cursor), "", me.asks()).wants(t, 200)
					if err := json.Unmarshal(r.body, &page); err != nil {
						t.Fatal(err)
					}
					got = append(got, page.Items...)
					if page.NextCursor == nil {
						break
					}
					if len(page.Items) != limit || pages > 7 {
						t.Fatalf("limit %d: a page of %d that goes on", limit, len(page.Items))
					}
					cursor = "&cursor=" + *page.NextCursor
				}
				if joined, _ := json.Marshal(got); string(joined) != whole.field("items") && !sameJSON(joined, whole.field("items")) {
					t.Errorf("limit %d: %s\nwant %s", limit, joined, whole.field("items"))
				}
			}
		})
	}
	// A public list goes on for everybody, with or without credentials.
	next := n.ask(t, "GET", user+"/posts?limit=3", "", me.asks()).field("next_cursor")
	if r := n.ask(t, "GET", user+"/posts?limit=100&cursor="+next, "").wants(t, 200); r.field("items.#") != "4" {
		t.Errorf("%v", r)
	}
}

func sameJSON(a []byte, b string) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// TestAPIFeedIsByteEqualInEveryMode reads the same data, in the same folder, in
// each mode.
func TestAPIFeedIsByteEqualInEveryMode(t *testing.T) {
	folder := t.TempDir()
	var token string
	pages := make(map[string][]string)
	modes := []string{"push", "pull", "hybrid", "adaptive"}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			n := startAPI(t, func(c *config.Config) { c.Data, c.Feed.Mode, c.Feed.Threshold = folder, mode, 2 })
			if token == "" {
				token = n.reader(t)
				for i := range 5 {
					id := n.ask(t, "GET", fmt.Sprintf("/v1/feed?limit=%d", 10*i+1), "", as(token)).field("items.0.id")
					n.ask(t, "PUT", "/v1/posts/"+id+"/like", "", as(token)).wants(t, 200)
				}
			}
			for cursor := ""; ; {
				r := n.ask(t, "GET", "/v1/feed?limit=30"+cursor, "", as(token)).wants(t, 200)
				pages[mode] = append(pages[mode], string(r.body))
				next := r.field("next_cursor")
				if next == "(absent)" {
					break
				}
				cursor = "&cursor=" + next
			}
		})
	}
	if len(pages["push"]) != 7 {
		t.Fatalf("%d pages, want 7", len(pages["push"]))
	}
	for _, mode := range modes[1:] {
		if !slices.Equal(pages["push"], pages[mode]) {
			t.Errorf("pages differ:\npush %s\n%s %s", pages["push"], mode, pages[mode])
		}
	}
}

func TestAPIExplainsTheFeed(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob, eve := n.person(t, "ada"), n.person(t, "bob"), n.person(t, "eve")
	n.ask(t, "PUT", "/v1/users/"+bob.id.String()+"/follow", "", as(ada.token)).wants(t, 204)
	n.ask(t, "GET", "/v1/feed", "", as(ada.token)).wants(t, 200)
	post := func(p person) string {
		return n.ask(t, "POST", "/v1/posts", `{"text":"hello"}`, as(p.token)).wants(t, 201).field("id")
	}
	explain := func(id string) *reply {
		return n.ask(t, "GET", "/v1/feed/explain?post_id="+id, "", as(ada.token)).wants(t, 200)
	}
	followed, own, strange := post(bob), post(ada), post(eve)
	for id, want := range map[string]string{followed: "following", own: "self", strange: "none"} {
		x := explain(id)
		inFeed := fmt.Sprint(want != "none")
		if x.field("relation") != want || x.field("in_feed") != inFeed || x.field("mode") != "adaptive" {
			t.Errorf("of %s: %s", want, x.body)
		}
	}
	if x := explain(followed); x.field("edge") != "push" || x.field("found") == "(absent)" || x.field("cost.reads_per_hour") == "(absent)" {
		t.Errorf("a post that is delivered: %s", x.body)
	}
	n.ask(t, "PUT", "/v1/users/"+bob.id.String()+"/mute", "", as(ada.token)).wants(t, 204)
	if x := explain(followed); x.field("relation") != "hidden" || x.field("in_feed") != "false" || x.field("edge") != "(absent)" {
		t.Errorf("a post of who is muted: %s", x.body)
	}
	n.ask(t, "DELETE", "/v1/posts/"+followed, "", as(bob.token)).wants(t, 204)
	n.ask(t, "GET", "/v1/feed/explain?post_id="+followed, "", as(ada.token)).wants(t, 404)
	n.ask(t, "GET", "/v1/feed/explain", "", as(ada.token)).wants(t, 400)
	n.ask(t, "GET", "/v1/feed/explain?post_id="+own, "").wants(t, 401)
}

func TestAPIUserShapes(t *testing.T) {
	n := startAPI(t, nil)
	made := n.ask(t, "POST", "/v1/users", `{"handle":"ada","name":"Ada","password":"long enough","email":"a@b.cz"}`).wants(t, 201)
	id := made.field("id")
	want := fmt.Sprintf(`{"id":"%s","handle":"ada","name":"Ada","avatar_url":"","bio":"","email":"a@b.cz","private":false,"followers_count":0,"following_count":0,"posts_count":0,"created_at":"%s"}`, id, made.field("created_at"))
	if string(made.body) != want {
		t.Errorf("%s\nwant %s", made.body, want)
	}
	token := n.ask(t, "POST", "/v1/sessions", `{"handle":"ADA","password":"long enough"}`).wants(t, 201).field("token")
	changed := n.ask(t, "PATCH", "/v1/users/me", `{"bio":"line\nline","email":""}`, as(token)).wants(t, 200)
	if changed.field("bio") != "line\nline" || changed.field("email") != "" || changed.field("name") != "Ada" {
		t.Errorf("%v", changed)
	}
	for _, path := range []string{"/v1/users/me", "/v1/users/" + id, "/v1/users/by-handle/ada"} {
		if r := n.ask(t, "GET", path, "", as(token)).wants(t, 200); !bytes.Equal(r.body, changed.body) {
			t.Errorf("%s shows its owner %s, want %s", path, r.body, changed.body)
		}
	}
	other := n.person(t, "bob")
	if r := n.ask(t, "GET", "/v1/users/"+id, "", other.asks()).wants(t, 200); r.field("email") != "(absent)" {
		t.Errorf("another sees the address: %v", r)
	}

	first := n.ask(t, "PUT", "/v1/users/by-ref/crm%2F7", `{"name":"Seven","avatar_url":"https://x.cz/a.png"}`, as(n.key)).wants(t, 201)
	if first.field("ref") != "crm/7" || first.field("handle") == "" || first.field("avatar_url") != "https://x.cz/a.png" {
		t.Errorf("%v", first)
	}
	second := n.ask(t, "PUT", "/v1/users/by-ref/crm%2F7", `{"name":"Eight"}`, as(n.key)).wants(t, 200)
	if second.field("id") != first.field("id") || second.field("name") != "Eight" || second.field("avatar_url") != "https://x.cz/a.png" {
		t.Errorf("%v", second)
	}
	if r := n.ask(t, "GET", "/v1/users/by-ref/crm%2F7", "").wants(t, 200); !bytes.Equal(r.body, second.body) {
		t.Errorf("%v", r)
	}
	acting := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, as(n.key), with("Freshet-User", "ref:crm/7")).wants(t, 201)
	if acting.field("author.ref") != "crm/7" {
		t.Errorf("%v", acting)
	}
}

func TestAPIExport(t *testing.T) {
	n := startAPI(t, nil)
	me, other := n.person(t, "me"), n.person(t, "other")
	theirs := n.ask(t, "POST", "/v1/posts", `{"text":"theirs"}`, other.asks()).wants(t, 201).field("id")
	n.ask(t, "PATCH", "/v1/users/me", `{"email":"me@x.cz"}`, me.asks()).wants(t, 200)
	n.ask(t, "PUT", "/v1/users/"+other.id.String()+"/follow", "", me.asks()).wants(t, 204)
	n.ask(t, "PUT", "/v1/users/"+me.id.String()+"/follow", "", other.asks()).wants(t, 204)
	n.ask(t, "PUT", "/v1/users/"+other.id.String()+"/mute", "", me.asks()).wants(t, 204)
	n.ask(t, "PUT", "/v1/posts/"+theirs+"/like", "", me.asks()).wants(t, 200)
	n.ask(t, "POST", "/v1/posts/"+theirs+"/comments", `{"text":"mine"}`, me.asks()).wants(t, 201)
	for i := range 40 { // more than one piece
		n.ask(t, "POST", "/v1/posts", fmt.Sprintf(`{"text":"%d %s"}`, i, strings.Repeat("x", 1000)), me.asks()).wants(t, 201)
	}
	r := n.ask(t, "GET", "/v1/users/me/export", "", me.asks()).wants(t, 200)
	if got := r.header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("Content-Type %s", got)
	}
	if r.header.Get("Cache-Control") != "private, no-store" || r.header.Get("Freshet-Token") == "" {
		t.Errorf("%v", r.header)
	}
	count := make(map[string]int)
	for line := range bytes.Lines(r.body) {
		var x map[string]any
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		count[x["type"].(string)]++
	}
	want := map[string]int{"user": 1, "post": 40, "comment": 1, "like": 1, "following": 1, "follower": 1, "mute": 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", count, want)
	}
	if !bytes.Contains(r.body, []byte(`"email":"me@x.cz"`)) {
		t.Error("the address is missing")
	}
}

func TestAPIErase(t *testing.T) {
	n := startAPI(t, nil)
	reader := n.person(t, "reader")
	me := n.ask(t, "POST", "/v1/users", `{"handle":"gone","name":"Gone","password":"long enough"}`).wants(t, 201).field("id")
	token := n.ask(t, "POST", "/v1/sessions", `{"handle":"gone","password":"long enough"}`).wants(t, 201).field("token")
	post := n.ask(t, "POST", "/v1/posts", `{"text":"mine"}`, as(token)).wants(t, 201).field("id")
	n.ask(t, "PUT", "/v1/users/"+me+"/follow", "", reader.asks()).wants(t, 204)
	if r := n.ask(t, "GET", "/v1/feed", "", reader.asks()); r.field("items.#") != "1" {
		t.Fatalf("%v", r)
	}
	n.ask(t, "DELETE", "/v1/users/me", "", with("Cookie", "freshet_session="+token)).wants(t, 204)
	n.ask(t, "GET", "/v1/feed", "", as(token)).refuses(t, 401, "unauthenticated", "Authorization")
	n.ask(t, "GET", "/v1/users/"+me, "").refuses(t, 404, "not_found", "id")
	n.ask(t, "GET", "/v1/posts/"+post, "").refuses(t, 404, "not_found", "id")
	if r := n.ask(t, "GET", "/v1/feed", "", reader.asks()); r.field("items.#") != "0" {
		t.Errorf("%v", r)
	}
	n.ask(t, "POST", "/v1/sessions", `{"handle":"gone","password":"long enough"}`).refuses(t, 401, "unauthenticated", "password")
}

func TestAPIHealth(t *testing.T) {
	n := startAPI(t, nil)
	n.ask(t, "GET", "/livez", "").wants(t, 200)
	n.ask(t, "GET", "/readyz", "").wants(t, 200)
	n.ask(t, "GET", "/v1/users/1", "")
	m := n.ask(t, "GET", "/metrics", "").wants(t, 200)
	for _, line := range []string{
		`freshet_http_requests_total{method="GET",route="/v1/users/{id}",class="4xx"} 1`, `freshet_http_requests_total{method="GET",route="/livez",class="2xx"} 1`,
		"freshet_feed_timelines 0",
	} {
		if !bytes.Contains(m.body, []byte(line+"\n")) {
			t.Errorf("no line %s", line)
		}
	}
	wantExplained(t, m.body)
	if err := n.file.Close(); err != nil {
		t.Fatal(err)
	}
	n.ask(t, "GET", "/readyz", "").refuses(t, 503, "unavailable", "")
	n.ask(t, "GET", "/livez", "").wants(t, 200)
	broken := n.ask(t, "GET", "/v1/users/2", "") // 1 is known to be absent
	if broken.status < 500 || bytes.Contains(broken.body, []byte("closed")) {
		t.Errorf("%v", broken)
	}
}

// wantExplained checks that docs/reference/metrics.md has a row for each metric.
func wantExplained(t *testing.T, metrics []byte) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(t), "docs", "reference", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`# HELP (\S+) (.*)\n# TYPE \S+ (.*)\n`).FindAllSubmatch(metrics, -1) {
		if row := fmt.Sprintf("| `%s` | %s | %s |", m[1], m[3], m[2]); !bytes.Contains(page, []byte(row)) {
			t.Errorf("docs/reference/metrics.md lacks the row\n%s", row)
		}
	}
}
