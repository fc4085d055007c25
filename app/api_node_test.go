package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/api"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// apiNode is a whole node behind a test server, for tests of package api, which
// may not import adapters itself.
type apiNode struct {
	*Node
	handler http.Handler
	url     string
	key     string // an API key
}

func startAPI(tb testing.TB, change func(*config.Config)) *apiNode {
	tb.Helper()
	cfg := config.Default()
	cfg.Data = tb.TempDir()
	putEmpty(tb, cfg.Data)
	if change != nil {
		change(cfg)
	}
	n, err := Open(context.Background(), cfg, Options{Version: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	wait, err := n.startBackground(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	h, err := n.handler()
	if err != nil {
		tb.Fatal(err)
	}
	srv := httptest.NewServer(h)
	tb.Cleanup(func() {
		srv.Close()
		cancel()
		wait()
		if err := n.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	keys, err := n.auth.ListKeys(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	_, key, err := n.auth.CreateKey(context.Background(), fmt.Sprintf("test %d", len(keys)), false)
	if err != nil {
		tb.Fatal(err)
	}
	return &apiNode{Node: n, handler: h, url: srv.URL, key: key}
}

var empty testenv.Prepared

// putEmpty puts a migrated file without rows into a data folder.
func putEmpty(t testenv.Fataler, dir string) {
	t.Helper()
	empty.Put(t, filepath.Join(dir, "freshet.db"), func(path string) error {
		file, err := litedb.Open(context.Background(), path, litedb.Options{Migrations: schema()})
		if err != nil {
			return err
		}
		return file.Close()
	})
}

// person is a user with a user token.
type person struct {
	id    freshet.ID
	token string
}

func (n *apiNode) person(tb testing.TB, handle string) person {
	tb.Helper()
	u, _, err := n.social.SignUp(context.Background(), freshet.NewUser{Handle: handle, Name: handle}, store.Write{})
	if err != nil {
		tb.Fatal(err)
	}
	r := n.ask(tb, "POST", "/v1/tokens", "", as(n.key), with("Freshet-User", u.ID.String()))
	r.wants(tb, 201)
	return person{u.ID, r.field("token")}
}

// option changes a request.
type option func(*http.Request)

func with(header, value string) option {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(header)] = []string{value} }
}

func as(token string) option { return with("Authorization", "Bearer "+token) }

func (p person) asks() option { return as(p.token) }

// reply is an answer, read whole.
type reply struct {
	about  string
	status int
	header http.Header
	body   []byte
}

func (n *apiNode) ask(tb testing.TB, method, path, body string, options ...option) *reply {
	tb.Helper()
	r, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return &reply{method + " " + path, resp.StatusCode, resp.Header, read}
}

func (r *reply) String() string { return fmt.Sprintf("%s: %d %s", r.about, r.status, r.body) }

func (r *reply) wants(tb testing.TB, status int) *reply {
	tb.Helper()
	if r.status != status {
		tb.Fatalf("%v, want %d", r, status)
	}
	return r
}

// refuses wants a problem with a status, code and field.
func (r *reply) refuses(tb testing.TB, status int, code, field string) {
	tb.Helper()
	var p api.Problem
	switch err := json.Unmarshal(r.body, &p); {
	case err != nil || r.header.Get("Content-Type") != "application/problem+json":
		tb.Errorf("%v is %s, want a problem", r, r.header.Get("Content-Type"))
	case r.status != status || p.Status != status || p.Code != code || p.Field != field:
		tb.Errorf("%v\nwant %d %s %q", r, status, code, field)
	case p.Title == "" || p.Detail == "" || p.Type == "" || p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id"):
		tb.Errorf("%v lacks something", r)
	case r.header.Get("Etag") != "" || r.header.Get("Cache-Control") != "no-store":
		tb.Errorf("%v may be cached: %v", r, r.header)
	}
}

// field gives a field of the body as text; dots lead into objects, numbers into lists.
func (r *reply) field(path string) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return "(not JSON)"
	}
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[part]; !ok {
				return "(absent)"
			}
		case []any:
			i := 0
			if fmt.Sscan(part, &i); part == "#" { //nolint:errcheck // 0
				return fmt.Sprint(len(x))
			} else if i >= len(x) {
				return "(absent)"
			}
			v = x[i]
		default:
			return "(absent)"
		}
	}
	switch v.(type) {
	case map[string]any, []any:
		text, _ := json.Marshal(v)
		return string(text)
	}
	return fmt.Sprint(v)
}

// dump is all that the store holds, as text. What runs in the background is left
// out: jobs, changes and the position.
func (n *apiNode) dump(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	err := n.file.View(context.Background(), func(c *litedb.Conn) error {
		for _, table := range []string{
			"users", "handles", "user_refs", "posts", "post_refs", "follows", "followers", "blocks", "blocked_by",
			"mutes", "likes", "comments", "sessions", "api_keys", "claims", "imported",
		} {
			var columns []string
			if err := c.Each("SELECT name FROM pragma_table_info(?)", []any{table}, func(r *litedb.Rows) {
				columns = append(columns, "quote("+r.Text(0)+")")
			}); err != nil {
				return err
			}
			if len(columns) == 0 {
				return fmt.Errorf("no table %s", table)
			}
			query := "SELECT " + strings.Join(columns, "||','||") + " FROM " + table + " ORDER BY 1"
			if err := c.Each(query, nil, func(r *litedb.Rows) { b.WriteString(table + " " + r.Text(0) + "\n") }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}
