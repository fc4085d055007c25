package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// wrote writes a post over HTTP and gives its id.
func (n *apiNode) wrote(tb testing.TB, author person, text string) string {
	tb.Helper()
	return n.ask(tb, "POST", "/v1/posts", `{"text":"`+text+`"}`, author.asks()).wants(tb, 201).field("id")
}

// seen gives views and reach of a post as its statistics show them.
func (n *apiNode) seen(tb testing.TB, post string, options ...option) string {
	tb.Helper()
	r := n.ask(tb, "GET", "/v1/posts/"+post+"/stats", "", options...).wants(tb, 200)
	if got, want := r.field("hours.23.views"), r.field("views"); got != want && r.field("hours.22.views") == "0" {
		tb.Errorf("%s views of this hour, %s in all", got, want)
	}
	return r.field("views") + " by " + r.field("reach")
}

// Each step is one answer, and the statistics that are asked next have it.
func TestAViewIsAnAnswerThatShowsThePostToAnother(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob, eve := n.person(t, "ada"), n.person(t, "bob"), n.person(t, "eve")
	n.ask(t, "PUT", "/v1/users/"+ada.id.String()+"/follow", "", bob.asks()).wants(t, 204)
	post := n.wrote(t, ada, "hello")
	of, list := "/v1/posts/"+post, "/v1/users/"+ada.id.String()+"/posts"
	tag := n.ask(t, "GET", list, "").wants(t, 200).header.Get("ETag")
	hidden := n.person(t, "hid")
	n.ask(t, "PUT", "/v1/users/"+hidden.id.String()+"/block", "", ada.asks()).wants(t, 204)
	forBob := with("Freshet-User", bob.id.String())
	for _, step := range []struct {
		name, method, path, body string
		options                  []option
		status                   int
		want                     string
	}{
		{"nobody, before", "GET", of + "/comments", "", nil, 200, "1 by 0"},
		{"bob", "GET", of, "", []option{bob.asks()}, 200, "2 by 1"},
		{"bob again", "GET", of, "", []option{bob.asks()}, 200, "3 by 1"},
		{"bob's home", "GET", "/v1/feed", "", []option{bob.asks()}, 200, "4 by 1"},
		{"a key for bob", "GET", of, "", []option{as(n.key), forBob}, 200, "5 by 1"},
		{"a key for itself", "GET", of, "", []option{as(n.key)}, 200, "6 by 1"},
		{"nobody", "GET", of, "", nil, 200, "7 by 1"},
		{"who has it still", "GET", list, "", []option{with("If-None-Match", tag)}, 304, "8 by 1"},
		{"eve, in the list", "GET", list, "", []option{eve.asks()}, 200, "9 by 2"},
		{"the author", "GET", of, "", []option{ada.asks()}, 200, "9 by 2"},
		{"the author's list", "GET", list, "", []option{ada.asks()}, 200, "9 by 2"},
		{"the author's home", "GET", "/v1/feed", "", []option{ada.asks()}, 200, "9 by 2"},
		{"the head alone", "HEAD", of, "", []option{eve.asks()}, 200, "9 by 2"},
		{"comments", "GET", of + "/comments", "", []option{eve.asks()}, 200, "9 by 2"},
		{"statistics", "GET", of + "/stats", "", []option{eve.asks()}, 200, "9 by 2"},
		{"an edit", "PATCH", of, `{"text":"hello!"}`, []option{ada.asks()}, 200, "9 by 2"},
		{"a like", "PUT", of + "/like", "", []option{eve.asks()}, 200, "9 by 2"},
		{"an export", "GET", "/v1/users/me/export", "", []option{ada.asks()}, 200, "9 by 2"},
		{"who is blocked", "GET", of, "", []option{hidden.asks()}, 404, "9 by 2"},
		{"a bad request", "GET", of + "?x=1", "", []option{eve.asks()}, 422, "9 by 2"},
	} {
		n.ask(t, step.method, step.path, step.body, step.options...).wants(t, step.status)
		if got := n.seen(t, post); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	if _, err := n.verify(t.Context(), verification{}); err != nil {
		t.Fatal(err)
	}
	if got := n.seen(t, post); got != "9 by 2" {
		t.Errorf("after a check of the data: %s", got)
	}
}

func TestStatsAreForWhoeverMaySeeThePost(t *testing.T) {
	n := startAPI(t, nil)
	ada, bob, eve := n.person(t, "ada"), n.person(t, "bob"), n.person(t, "eve")
	post := n.wrote(t, ada, "hello")
	stats := "/v1/posts/" + post + "/stats"
	n.ask(t, "PUT", "/v1/posts/"+post+"/like", "", bob.asks()).wants(t, 200)
	n.ask(t, "POST", "/v1/posts/"+post+"/comments", `{"text":"hi"}`, bob.asks()).wants(t, 201)
	for name, o := range map[string][]option{"nobody": nil, "the author": {ada.asks()}, "a reader": {bob.asks()}, "a key": {as(n.key)}} {
		r := n.ask(t, "GET", stats, "", o...).wants(t, 200)
		if r.field("post_id") != post || r.field("likes") != "1" || r.field("comments") != "1" || r.field("hours.#") != "24" {
			t.Errorf("%s: %v", name, r)
		}
	}
	for hours, want := range map[string]string{"?hours=1": "1", "?hours=168": "168"} {
		r := n.ask(t, "GET", stats+hours, "").wants(t, 200)
		if r.field("hours.#") != want {
			t.Errorf("%s: %s hours", hours, r.field("hours.#"))
		}
	}
	last, err := time.Parse(time.RFC3339, n.ask(t, "GET", stats, "").field("hours.23.hour"))
	if err != nil || time.Since(last) > 2*time.Hour || last.Minute() != 0 {
		t.Errorf("the last hour is %v, %v", last, err)
	}
	n.ask(t, "PUT", "/v1/users/"+eve.id.String()+"/block", "", ada.asks()).wants(t, 204)
	n.ask(t, "GET", stats, "", eve.asks()).refuses(t, 404, "not_found", "id")
	n.ask(t, "GET", "/v1/posts/"+missing+"/stats", "").refuses(t, 404, "not_found", "id")
	n.ask(t, "DELETE", "/v1/posts/"+post, "", ada.asks()).wants(t, 204)
	n.ask(t, "GET", stats, "", ada.asks()).refuses(t, 404, "not_found", "id")
	other := n.wrote(t, ada, "gone with its author")
	n.ask(t, "GET", "/v1/posts/"+other, "", bob.asks()).wants(t, 200)
	n.ask(t, "DELETE", "/v1/users/me", "", ada.asks()).wants(t, 204)
	n.ask(t, "GET", "/v1/posts/"+other+"/stats", "").refuses(t, 404, "not_found", "id")
	if err := n.views.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := n.verify(t.Context(), verification{}); err != nil || len(v.Found) > 0 {
		t.Errorf("views of what is gone: %v, %v", v.Found, err)
	}
}

// ownNode opens a node that a test closes and opens again.
func ownNode(t *testing.T, dir string) *Node {
	t.Helper()
	cfg := config.Default()
	cfg.Data = dir
	n, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sees has the views of a post go up by one.
func (n *Node) sees(t *testing.T, reader, post freshet.ID) {
	t.Helper()
	p, err := n.social.PostByID(t.Context(), reader, post)
	if err != nil {
		t.Fatal(err)
	}
	n.social.Saw(reader, *p)
}

func (n *Node) statsOf(t *testing.T, post freshet.ID) freshet.PostStats {
	t.Helper()
	s, err := n.social.Stats(t.Context(), 0, post, 24)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// aPost makes an author and a post.
func (n *Node) aPost(t *testing.T) freshet.ID {
	t.Helper()
	u, _, err := n.social.SignUp(t.Context(), freshet.NewUser{Handle: "author"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := n.social.Post(t.Context(), freshet.NewPost{Author: u.ID, Text: "x"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// What was shown just before a node stops is counted.
func TestAStopCountsWhatWasSeen(t *testing.T) {
	dir := t.TempDir()
	n := ownNode(t, dir)
	post := n.aPost(t)
	n.sees(t, 0, post)
	n.sees(t, 42, post)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = ownNode(t, dir)
	defer n.Close()
	if s := n.statsOf(t, post); s.Views != 2 || s.Reach != 1 {
		t.Errorf("%d views by %d, want 2 by 1", s.Views, s.Reach)
	}
}

// A database that is put back from a backup knows less than the journal beside
// it; one that is damaged tells nothing.
func TestAJournalThatDoesNotFitIsPutAside(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a backup": func(t *testing.T, dir string) {
			cfg := config.Default()
			cfg.Data = dir
			if _, err := Restore(t.Context(), cfg, filepath.Join(dir, "backup")); err != nil {
				t.Fatal(err)
			}
		},
		"damage": func(t *testing.T, dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, viewsFolder, "*.seg"))
			for _, f := range files {
				if err := os.WriteFile(f, []byte(strings.Repeat("damage", 100)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n := ownNode(t, dir)
			post := n.aPost(t)
			n.sees(t, 0, post)
			if err := n.backup(t.Context(), filepath.Join(dir, "backup")); err != nil {
				t.Fatal(err)
			}
			n.sees(t, 0, post)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, dir)
			n = ownNode(t, dir)
			defer n.Close()
			if aside, _ := filepath.Glob(filepath.Join(dir, viewsFolder+".unfit-*")); len(aside) != 1 {
				t.Errorf("put aside: %v", aside)
			}
			before := n.statsOf(t, post).Views
			n.sees(t, 0, post)
			if got := n.statsOf(t, post).Views; before < 1 || got != before+1 {
				t.Errorf("%d views, then one more: %d", before, got)
			}
		})
	}
}

// A store that takes nothing for a while makes no reader wait, and gets
// everything once.
func TestViewsDoNotWaitForTheStore(t *testing.T) {
	const readers, posts = 2000, 50
	gated := &gatedViews{open: make(chan struct{})}
	v, err := social.OpenViews(t.Context(), social.ViewsOptions{Store: gated, Dir: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	page := make([]social.PostView, posts)
	for i := range page {
		page[i].Content = &social.Content{Post: freshet.Post{ID: freshet.ID(i + 1), Author: 1}}
	}
	for reader := range freshet.ID(readers) {
		for range 2 {
			v.Saw(reader+2, page...)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := v.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("settled: %v", err)
	}
	if journal, lost := v.Stats(); lost > 0 || journal.Batches > 0 {
		t.Errorf("%d lost, %d batches", lost, journal.Batches)
	}
	close(gated.open)
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if gated.views != 2*readers*posts || gated.readers != readers*posts {
		t.Errorf("the store got %d views and %d readers, want %d and %d", gated.views, gated.readers, 2*readers*posts, readers*posts)
	}
}

// gatedViews is a store of views that takes none before it is opened.
type gatedViews struct {
	store.Views
	open           chan struct{}
	views, readers int64
}

func (g *gatedViews) CountViews(ctx context.Context, b store.ViewBatch) error {
	select {
	case <-g.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, p := range b.Posts {
		g.readers += int64(len(p.Readers))
		for _, h := range p.Hours {
			g.views += h.Views
		}
	}
	return nil
}

func (*gatedViews) CountedViews(context.Context, [16]byte) (uint64, error) { return 0, nil }
