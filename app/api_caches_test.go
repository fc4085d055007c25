package app

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

// administrators gives an API key and a session that may do everything.
func (n *apiNode) administrators(t *testing.T) (key, session string) {
	t.Helper()
	_, key, err := n.auth.CreateKey(t.Context(), "root", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.createUser(t.Context(), NewAccount{Handle: "root", Name: "Root", Password: "correct horse", Admin: true}); err != nil {
		t.Fatal(err)
	}
	_, session, _, err = n.auth.SignIn(t.Context(), access.SignIn{Handle: "root", Password: "correct horse"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	return key, session
}

const cachesPath = "/v1/admin/caches"

func TestAPICachesAreForAdministrators(t *testing.T) {
	n := startAPI(t, nil)
	ada := n.person(t, "ada")
	key, session := n.administrators(t)
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", cachesPath, "", 200},
		{"GET", cachesPath + "/user/1", "", 200},
		{"DELETE", cachesPath + "/user/1", "", 204},
		{"DELETE", cachesPath + "/user", "", 204},
		{"POST", cachesPath + "/purge", `{"tags":["a","b"]}`, 204},
	} {
		n.ask(t, r.method, r.path, r.body).refuses(t, 401, "unauthenticated", "Authorization")
		for _, o := range [][]option{
			{ada.asks()}, {as(n.key)}, {as(n.key), with("Freshet-User", ada.id.String())},
		} {
			n.ask(t, r.method, r.path, r.body, o...).refuses(t, 403, "forbidden", "Authorization")
		}
		n.ask(t, r.method, r.path, r.body, as(key)).wants(t, r.status)
		n.ask(t, r.method, r.path, r.body, as(session)).wants(t, r.status)
	}
}

func TestAPICachesShowAndPurge(t *testing.T) {
	n := startAPI(t, nil)
	ada := n.person(t, "ada")
	key, _ := n.administrators(t)
	admin := as(key)
	post := n.wrote(t, ada, "hello")
	held := func() string {
		return n.ask(t, "GET", cachesPath+"/post/"+post, "", admin).wants(t, 200).field("memory.state")
	}
	read := func() { n.ask(t, "GET", "/v1/posts/"+post, "").wants(t, 200) }
	read()
	if got := n.ask(t, "GET", cachesPath+"/post/"+post, "", admin).wants(t, 200); got.field("memory.state") != "fresh" ||
		got.field("memory.value.Text") != "hello" || got.field("space") != "post" || got.field("key") != post {
		t.Errorf("%v", got)
	}
	var listed struct {
		Items []struct {
			Name  string
			Loads int
		}
	}
	if err := json.Unmarshal(n.ask(t, "GET", cachesPath, "", admin).wants(t, 200).body, &listed); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range listed.Items {
		names = append(names, s.Name)
		if s.Name == "post" && s.Loads == 0 { // entries are counted a little later
			t.Errorf("%+v", s)
		}
	}
	if got, want := strings.Join(names, " "), strings.Join(n.stack.Names(), " "); got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
	for name, path := range map[string]string{"the key": "/post/" + post, "the space": "/post"} {
		read()
		n.ask(t, "DELETE", cachesPath+path, "", admin).wants(t, 204)
		if got := held(); got == "fresh" {
			t.Errorf("%s was purged and is %s", name, got)
		}
	}
	n.ask(t, "GET", cachesPath+"/nothing/1", "", admin).refuses(t, 404, "not_found", "space")
	n.ask(t, "DELETE", cachesPath+"/nothing", "", admin).refuses(t, 404, "not_found", "space")
	n.ask(t, "GET", cachesPath+"/post/abc", "", admin).refuses(t, 422, "invalid", "key")
	n.ask(t, "POST", cachesPath+"/purge", `{"tags":[]}`, admin).refuses(t, 422, "invalid", "tags")
	n.ask(t, "POST", cachesPath+"/purge", `{"tags":["a",""]}`, admin).refuses(t, 422, "invalid", "tags")
	n.ask(t, "POST", cachesPath+"/purge", `{"tags":["`+strings.Repeat("x", 1025)+`"]}`, admin).refuses(t, 422, "invalid", "tags")
}

// A key is bytes; percent-escapes write those that a path can't hold.
func TestAPICacheKeysOfAnyBytes(t *testing.T) {
	n := startAPI(t, nil)
	key, _ := n.administrators(t)
	for _, ref := range []string{"a/b", "..", ".", "a%2Fb", "a?b#c", "crm:1", "~+&="} {
		r := n.ask(t, "GET", cachesPath+"/ref/"+escapeKey(ref), "", as(key)).wants(t, 200)
		if r.field("key") != ref || r.field("memory.state") != "absent" {
			t.Errorf("%q: %v", ref, r)
		}
		n.ask(t, "DELETE", cachesPath+"/ref/"+escapeKey(ref), "", as(key)).wants(t, 204)
	}
	n.ask(t, "GET", cachesPath+"/session/%00%ff%2f", "", as(key)).wants(t, 200)
}

// escapeKey writes dots as escapes too: clients take segments of dots alone away.
func escapeKey(key string) string { return strings.ReplaceAll(url.PathEscape(key), ".", "%2E") }
