package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// everyWrite is each write once, with what it is about made anew by prepare.
var everyWrite = []struct {
	name    string
	prepare func(t *testing.T, n *apiNode, me, other person, i int) (method, path, body string, options []option)
}{
	{"sign up", func(_ *testing.T, _ *apiNode, _, _ person, i int) (string, string, string, []option) {
		return "POST", "/v1/users", fmt.Sprintf(`{"handle":"new%d","name":"New","password":"long enough","email":"a@b.cz"}`, i), nil
	}},
	{"upsert", func(_ *testing.T, n *apiNode, _, _ person, i int) (string, string, string, []option) {
		return "PUT", fmt.Sprintf("/v1/users/by-ref/crm:%d", i), `{"name":"Upserted"}`, []option{as(n.key)}
	}},
	{"profile", func(_ *testing.T, _ *apiNode, me, _ person, i int) (string, string, string, []option) {
		return "PATCH", "/v1/users/me", fmt.Sprintf(`{"bio":"%d"}`, i), []option{me.asks()}
	}},
	{"follow", func(_ *testing.T, _ *apiNode, me, other person, _ int) (string, string, string, []option) {
		return "PUT", "/v1/users/" + other.id.String() + "/follow", "", []option{me.asks()}
	}},
	{"request", func(t *testing.T, n *apiNode, me, _ person, i int) (string, string, string, []option) {
		return "PUT", "/v1/users/" + n.closed(t, fmt.Sprintf("shy%d", i)).id.String() + "/follow", "", []option{me.asks()}
	}},
	{"accept", func(t *testing.T, n *apiNode, me, _ person, i int) (string, string, string, []option) {
		shy := n.closed(t, fmt.Sprintf("shy%d", i))
		n.ask(t, "PUT", "/v1/users/"+shy.id.String()+"/follow", "", me.asks()).wants(t, 202)
		return "PUT", "/v1/follow-requests/" + me.id.String(), "", []option{shy.asks()}
	}},
	{"unfollow", func(_ *testing.T, _ *apiNode, me, other person, _ int) (string, string, string, []option) {
		return "DELETE", "/v1/users/" + other.id.String() + "/follow", "", []option{me.asks()}
	}},
	{"mute", func(_ *testing.T, _ *apiNode, me, other person, _ int) (string, string, string, []option) {
		return "PUT", "/v1/users/" + other.id.String() + "/mute", "", []option{me.asks()}
	}},
	{"post", func(_ *testing.T, _ *apiNode, me, _ person, i int) (string, string, string, []option) {
		return "POST", "/v1/posts", fmt.Sprintf(`{"text":"post %d","ref":"r%d"}`, i, i), []option{me.asks()}
	}},
	{"edit", func(t *testing.T, n *apiNode, me, _ person, i int) (string, string, string, []option) {
		return "PATCH", "/v1/posts/" + n.post(t, me), fmt.Sprintf(`{"text":"edited %d"}`, i), []option{me.asks()}
	}},
	{"delete", func(t *testing.T, n *apiNode, me, _ person, _ int) (string, string, string, []option) {
		return "DELETE", "/v1/posts/" + n.post(t, me), "", []option{me.asks()}
	}},
	{"like", func(t *testing.T, n *apiNode, me, other person, _ int) (string, string, string, []option) {
		return "PUT", "/v1/posts/" + n.post(t, other) + "/like", "", []option{me.asks()}
	}},
	{"comment", func(t *testing.T, n *apiNode, me, other person, i int) (string, string, string, []option) {
		return "POST", "/v1/posts/" + n.post(t, other) + "/comments", fmt.Sprintf(`{"text":"comment %d"}`, i), []option{me.asks()}
	}},
	{"delete comment", func(t *testing.T, n *apiNode, me, other person, _ int) (string, string, string, []option) {
		c := n.ask(t, "POST", "/v1/posts/"+n.post(t, other)+"/comments", `{"text":"x"}`, me.asks()).wants(t, 201)
		return "DELETE", "/v1/comments/" + c.field("id"), "", []option{me.asks()}
	}},
	{"batch", func(_ *testing.T, n *apiNode, me, _ person, i int) (string, string, string, []option) {
		return "POST", "/v1/batch", fmt.Sprintf(`{"operations":[{"op":"user","ref":"b%d","name":"B"},{"op":"post","author":"%d","text":"of a batch %d"}]}`, i, me.id, i), []option{as(n.key)}
	}},
}

func (n *apiNode) post(t testing.TB, author person) (id string) {
	t.Helper()
	return n.ask(t, "POST", "/v1/posts", `{"text":"some post"}`, author.asks()).wants(t, 201).field("id")
}

// TestAPIWritesAreDoneOnce sends each write twice under one key, and once more
// after its saved answer was lost: the answer is the same, and the store too.
func TestAPIWritesAreDoneOnce(t *testing.T) {
	n := startAPI(t, nil)
	me, other := n.person(t, "me"), n.person(t, "other")
	for i, w := range everyWrite {
		t.Run(w.name, func(t *testing.T) {
			method, path, body, options := w.prepare(t, n, me, other, i)
			options = append(options, with("Idempotency-Key", "key "+w.name))
			first := n.ask(t, method, path, body, options...)
			if first.status > 204 || first.header.Get("Idempotency-Replayed") != "" || first.header.Get("Freshet-Token") == "" {
				t.Fatalf("%v %v", first, first.header)
			}
			before := n.dump(t)
			second := n.ask(t, method, path, body, options...)
			if second.status != first.status || !bytes.Equal(second.body, first.body) || second.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("the second time %v, the first %v", second, first)
			}
			if second.header.Get("Freshet-Token") == "" {
				t.Error("a replay without a token")
			}
			if after := n.dump(t); after != before {
				t.Errorf("the second time changed something:\n%s", firstDifference(before, after))
			}
			if w.name == "batch" {
				return // its answer is made anew only in part, see TestAPIBatchIsResumed
			}
			n.loseAnswers(t)
			third := n.ask(t, method, path, body, options...)
			if third.status != first.status || !sameButTimes(third.body, first.body) {
				t.Errorf("after the answer was lost %v, the first time %v", third, first)
			}
			if got, want := strings.Count(n.dump(t), "\nposts "), strings.Count(before, "\nposts "); got != want {
				t.Errorf("%d posts, before there were %d", got, want)
			}
		})
	}
}

// loseAnswers leaves the claims and takes their answers away, as if the process
// had died between the commit and the answer.
func (n *apiNode) loseAnswers(t *testing.T) {
	t.Helper()
	if _, err := n.file.Write(context.Background(), func(tx *litedb.Tx) error {
		_, err := tx.Exec("UPDATE claims SET status = 0, answer = NULL")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// sameButTimes compares answers without edited_at, which an edit made again moves.
func sameButTimes(a, b []byte) bool {
	cut := func(s []byte) string {
		before, rest, ok := strings.Cut(string(s), `"edited_at":"`)
		if !ok {
			return string(s)
		}
		_, after, _ := strings.Cut(rest, `"`)
		return before + after
	}
	return cut(a) == cut(b)
}

func TestAPISignInIsRepeatable(t *testing.T) {
	n := startAPI(t, nil)
	n.ask(t, "POST", "/v1/users", `{"handle":"ada","name":"Ada","password":"long enough"}`).wants(t, 201)
	const body = `{"handle":"ada","password":"long enough"}`
	first := n.ask(t, "POST", "/v1/sessions", body, with("Idempotency-Key", "k")).wants(t, 201)
	second := n.ask(t, "POST", "/v1/sessions", body, with("Idempotency-Key", "k")).wants(t, 201)
	if !bytes.Equal(first.body, second.body) || len(second.header["Set-Cookie"]) != 2 {
		t.Errorf("first %v, then %v with %v", first, second, second.header["Set-Cookie"])
	}
	if dump := n.dump(t); strings.Contains(dump, "long enough") || strings.Contains(dump, first.field("token")) {
		t.Error("the store holds a secret")
	}
	n.loseAnswers(t)
	third := n.ask(t, "POST", "/v1/sessions", body, with("Idempotency-Key", "k")).wants(t, 201)
	n.ask(t, "GET", "/v1/sessions", "", as(third.field("token"))).wants(t, 200)
}

func TestAPIIdempotencyKeysOfDifferentCallers(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob := n.person(t, "ada"), n.person(t, "bob")
	key := with("Idempotency-Key", "k")
	a := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, ada.asks(), key).wants(t, 201)
	b := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, bob.asks(), key).wants(t, 201)
	if a.field("id") == b.field("id") || b.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%v\n%v", a, b)
	}
	// What was refused may be put right under the same key.
	n.ask(t, "POST", "/v1/posts", `{"text":""}`, ada.asks(), with("Idempotency-Key", "k2")).refuses(t, 422, "invalid", "text")
	n.ask(t, "POST", "/v1/posts", `{"text":"y"}`, ada.asks(), with("Idempotency-Key", "k2")).wants(t, 201)
}

func TestAPIOneOfManyAtOnce(t *testing.T) {
	n := startAPI(t, nil)
	me := n.person(t, "me")
	var wg sync.WaitGroup
	answers := make([]*reply, 20)
	for i := range answers {
		wg.Go(func() {
			answers[i] = n.ask(t, "POST", "/v1/posts", `{"text":"once"}`, me.asks(), with("Idempotency-Key", "k"))
		})
	}
	wg.Wait()
	made := ""
	for _, r := range answers {
		if r.status == 409 {
			r.refuses(t, 409, "in_progress", "Idempotency-Key")
			if r.header.Get("Retry-After") == "" {
				t.Error("409 without Retry-After")
			}
			continue
		}
		r.wants(t, 201)
		if made == "" {
			made = string(r.body)
		}
		if string(r.body) != made {
			t.Errorf("%s and %s", r.body, made)
		}
	}
	if r := n.ask(t, "GET", "/v1/users/"+me.id.String()+"/posts", ""); r.field("items.#") != "1" {
		t.Errorf("%v", r)
	}
}

func TestAPITokens(t *testing.T) {
	n := startAPI(t, nil)
	me := n.person(t, "me")
	signer := position.NewSigner(n.secrets.Key("token"))
	open := func(r *reply) position.Position {
		t.Helper()
		token, err := signer.Open(r.header.Get("Freshet-Token"))
		if err != nil || len(token) != 1 {
			t.Fatalf("%v: token %q: %v", r, r.header.Get("Freshet-Token"), err)
		}
		return token[0]
	}
	write := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, me.asks()).wants(t, 201)
	n.post(t, n.person(t, "other"))
	read := n.ask(t, "GET", "/v1/feed", "", me.asks(), with("Freshet-Token", write.header.Get("Freshet-Token"))).wants(t, 200)
	if at, seen := open(write), open(read); !seen.Reached(at) || seen == at {
		t.Errorf("wrote at %v, the read shows %v", at, seen)
	}
	// A token that is ahead, as of another shard, is carried on.
	ahead := signer.Seal(position.Token{{System: 1, Timeline: 1, Offset: 9}})
	carried := n.ask(t, "POST", "/v1/posts", `{"text":"y"}`, me.asks(), with("Freshet-Token", ahead)).wants(t, 201)
	token, err := signer.Open(carried.header.Get("Freshet-Token"))
	if err != nil || token.At(1).Offset != 9 || len(token) != 2 {
		t.Errorf("%v, %v", token, err)
	}
	// A cookie outlives deployments: a bad one is passed over.
	n.ask(t, "GET", "/v1/feed", "", me.asks(), with("Cookie", "freshet_token=bad")).wants(t, 200)
}

func TestAPICookieSessions(t *testing.T) {
	n := startAPI(t, func(c *config.Config) { c.CORS.Origins = []string{"https://app.example.com"} })
	n.ask(t, "POST", "/v1/users", `{"handle":"ada","name":"Ada","password":"long enough"}`).wants(t, 201)
	in := n.ask(t, "POST", "/v1/sessions", `{"handle":"ada","password":"long enough"}`).wants(t, 201)
	var session, token *http.Cookie
	for _, c := range (&http.Response{Header: in.header}).Cookies() {
		switch c.Name {
		case "freshet_session":
			session = c
		case "freshet_token":
			token = c
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure {
			t.Errorf("cookie %v", c)
		}
	}
	if session == nil || token == nil || session.Value != in.field("token") {
		t.Fatalf("cookies %v", in.header["Set-Cookie"])
	}
	cookie := with("Cookie", "freshet_session="+session.Value+"; freshet_token="+token.Value)
	post := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, cookie).wants(t, 201)
	if set := strings.Join(post.header["Set-Cookie"], "\n"); !strings.HasPrefix(set, "freshet_token="+post.header.Get("Freshet-Token")+";") {
		t.Errorf("a write by cookie sets %q", set)
	}
	if r := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, as(session.Value)).wants(t, 201); r.header["Set-Cookie"] != nil {
		t.Errorf("a write by header sets %v", r.header["Set-Cookie"])
	}
	if r := n.ask(t, "GET", "/v1/sessions", "", cookie).wants(t, 200); r.field("items.#") != "1" || r.field("items.0.current") != "true" || r.field("items.0.agent") == "" {
		t.Errorf("%v", r)
	}

	before := n.dump(t)
	for name, o := range map[string]option{
		"cross-site": with("Sec-Fetch-Site", "cross-site"), "another origin": with("Origin", "https://evil.example"),
	} {
		n.ask(t, "POST", "/v1/posts", `{"text":"forged"}`, cookie, o).refuses(t, 403, "forbidden", "Origin")
		if n.dump(t) != before {
			t.Errorf("%s changed something", name)
		}
	}
	n.ask(t, "POST", "/v1/posts", `{"text":"of the app"}`, cookie, with("Origin", "https://app.example.com"), with("Sec-Fetch-Site", "cross-site")).wants(t, 201)

	out := n.ask(t, "DELETE", "/v1/sessions/current", "", cookie).wants(t, 204)
	if set := strings.Join(out.header["Set-Cookie"], "\n"); !strings.Contains(set, "freshet_session=; ") || !strings.Contains(set, "Max-Age=0") {
		t.Errorf("signing out sets %q", set)
	}
	n.ask(t, "GET", "/v1/feed", "", cookie).refuses(t, 401, "unauthenticated", "Authorization")
	n.ask(t, "GET", "/v1/users/by-handle/ada", "", cookie).wants(t, 200)
	n.ask(t, "POST", "/v1/sessions", `{"handle":"ada","password":"long enough"}`, cookie).wants(t, 201)
}

func TestAPISecureCookies(t *testing.T) {
	for name, trusted := range map[string]bool{"behind a trusted proxy": true, "whoever says so": false} {
		t.Run(name, func(t *testing.T) {
			n := startAPI(t, func(c *config.Config) {
				if trusted {
					c.Limits.TrustedProxies = loopback
				}
			})
			n.ask(t, "POST", "/v1/users", `{"handle":"ada","name":"Ada","password":"long enough"}`).wants(t, 201)
			r := n.ask(t, "POST", "/v1/sessions", `{"handle":"ada","password":"long enough"}`, with("X-Forwarded-Proto", "https"), with("X-Forwarded-For", "192.0.2.1")).wants(t, 201)
			for _, c := range r.header["Set-Cookie"] {
				if strings.Contains(c, "; Secure") != trusted {
					t.Errorf("%s", c)
				}
			}
		})
	}
}

func TestAPIOtherOrigins(t *testing.T) {
	n := startAPI(t, func(c *config.Config) { c.CORS.Origins = []string{"https://app.example.com"} })
	ours, theirs := with("Origin", "https://app.example.com"), with("Origin", "https://evil.example")
	pre := n.ask(t, "OPTIONS", "/v1/posts", "", ours, with("Access-Control-Request-Method", "POST")).wants(t, 204)
	for header, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
	} {
		if got := pre.header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if !strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || !strings.Contains(pre.header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("%v", pre.header)
	}
	for _, o := range []option{theirs, with("Origin", "null"), with("Origin", "https://app.example.com.evil.example")} {
		r := n.ask(t, "GET", "/v1/users/1", "", o)
		if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Vary") != "Origin" {
			t.Errorf("%v", r.header)
		}
	}
	if r := n.ask(t, "GET", "/v1/users/1", "", ours); r.header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(r.header.Get("Access-Control-Expose-Headers"), "Freshet-Token") {
		t.Errorf("an error can't be read: %v", r.header)
	}
}

func TestAPIRateLimits(t *testing.T) {
	n := startAPI(t, func(c *config.Config) {
		c.Limits.Loopback = true
		c.Limits.WritesPerUser = config.Rate{Events: 3, Per: time.Minute}
	})
	me, other := n.person(t, "me"), n.person(t, "other")
	for range 3 {
		n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, me.asks()).wants(t, 201)
	}
	over := n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, me.asks())
	over.refuses(t, 429, "rate_limited", "")
	if over.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, other.asks()).wants(t, 201)
	n.ask(t, "GET", "/v1/feed", "", me.asks()).wants(t, 200)
	n.ask(t, "POST", "/v1/posts", `{"text":"x"}`, as(n.key), with("Freshet-User", me.id.String())).wants(t, 201)
}

// TestAPIBoundsRequestsAtOnce holds the only place with a batch of 1,000 commits.
func TestAPIBoundsRequestsAtOnce(t *testing.T) {
	n := startAPI(t, func(c *config.Config) { c.Limits.InflightRequests = 1 })
	me := n.person(t, "me")
	op := fmt.Sprintf(`{"op":"post","author":"%s","text":"x"},`, me.id)
	n.awaitsInFlight(t, 0) // a request keeps its place until a moment after its answer
	held := make(chan int, 1)
	go func() {
		r := n.ask(t, "POST", "/v1/batch", `{"operations":[`+strings.TrimSuffix(strings.Repeat(op, 1000), ",")+`]}`, as(n.key))
		held <- r.status
	}()
	n.awaitsInFlight(t, 1)
	over := n.ask(t, "GET", "/v1/feed", "", me.asks())
	over.refuses(t, 503, "unavailable", "")
	if over.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	n.ask(t, "GET", "/livez", "").wants(t, 200)
	if status := <-held; status != 200 {
		t.Errorf("the one that had the place: %d", status)
	}
	n.awaitsInFlight(t, 0)
	n.ask(t, "GET", "/v1/feed", "", me.asks()).wants(t, 200)
}

// awaitsInFlight waits until so many requests are being answered.
func (n *apiNode) awaitsInFlight(t *testing.T, want int) {
	t.Helper()
	line := fmt.Appendf(nil, "\nfreshet_http_in_flight %d\n", want)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if bytes.Contains(n.ask(t, "GET", "/metrics", "").body, line) {
			return
		}
	}
	t.Fatalf("there are never %d requests in flight", want)
}
