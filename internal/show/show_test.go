package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/show/naive"
)

// What judges the server must itself go red: each case is a way to be wrong.

func TestFeedChecker(t *testing.T) {
	t.Parallel()
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	want := []*naive.Post{{Author: "b", Text: "two", At: at.Add(time.Second)}, {Author: "a", Text: "one", At: at}}
	two := postJSON{ID: "12", Author: userJSON{Handle: "b"}, Text: "two", CreatedAt: at.Add(time.Second)}
	one := postJSON{ID: "9", Author: userJSON{Handle: "a"}, Text: "one", CreatedAt: at}
	changed := func(p postJSON, change func(*postJSON)) postJSON { change(&p); return p }
	for name, c := range map[string]struct {
		feed []postJSON
		ok   bool
	}{
		"right":            {[]postJSON{two, one}, true},
		"one missing":      {[]postJSON{two}, false},
		"one twice":        {[]postJSON{two, two, one}, false},
		"one too many":     {[]postJSON{two, one, one}, false},
		"in another order": {[]postJSON{one, two}, false},
		"another text":     {[]postJSON{two, changed(one, func(p *postJSON) { p.Text = "One" })}, false},
		"another author":   {[]postJSON{two, changed(one, func(p *postJSON) { p.Author.Handle = "b" })}, false},
		"another time":     {[]postJSON{two, changed(one, func(p *postJSON) { p.CreatedAt = at.Add(1) })}, false},
		"ids that rise":    {[]postJSON{two, changed(one, func(p *postJSON) { p.ID = "100" })}, false},
	} {
		f := feedChecker{want: want}
		err := f.page(c.feed)
		if err == nil {
			err = f.end()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// modelOfOne is a reader who follows "a" and not "b"; a has written history.
func modelOfOne(t *testing.T) (*feedModel, []postJSON) {
	t.Helper()
	net := &readNetwork{
		dataset: &dataset{users: []string{"reader", "a", "b"}},
		readers: []reader{{handle: "reader"}}, byReader: [][]bool{{true, true, false}},
	}
	m := &feedModel{net: net, byText: map[string]*livePost{}, history: make([][]*naive.Post, 1)}
	page := make([]postJSON, pageSize)
	for i := range page {
		at := time.Unix(int64(1000-i), 0)
		m.history[0] = append(m.history[0], &naive.Post{Author: "a", Text: "history", At: at})
		page[i] = postJSON{ID: string(rune('z' - i%25)), Author: userJSON{Handle: "a"}, Text: "history", CreatedAt: at}
	}
	for i := range page { // ids of one length that fall
		page[i].ID = []string{"1", "2", "3", "4", "5"}[4-i/10] + []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}[9-i%10]
	}
	return m, page
}

func TestFeedModel(t *testing.T) {
	t.Parallel()
	live := func(text, author, id string) postJSON {
		return postJSON{ID: id, Author: userJSON{Handle: author}, Text: text}
	}
	for name, c := range map[string]struct {
		top []postJSON // above the history
		ok  bool
	}{
		"what was acknowledged":                 {[]postJSON{live("acked", "a", "100")}, true},
		"what was begun, too":                   {[]postJSON{live("begun", "a", "101"), live("acked", "a", "100")}, true},
		"what was begun, without the acked one": {[]postJSON{live("begun", "a", "101")}, false},
		"nothing new":                           {nil, false},
		"what a stranger wrote":                 {[]postJSON{live("stranger", "b", "102"), live("acked", "a", "100")}, false},
		"under another id":                      {[]postJSON{live("acked", "a", "103")}, false},
		"by another author":                     {[]postJSON{live("acked", "b", "100")}, false},
		"twice":                                 {[]postJSON{live("acked", "a", "100"), live("acked", "a", "100")}, false},
		"what nobody wrote":                     {[]postJSON{live("invented", "a", "104"), live("acked", "a", "100")}, false},
	} {
		m, page := modelOfOne(t)
		m.begin("begun", 1)
		m.begin("stranger", 2)
		m.ack(m.begin("acked", 1), "100")
		got := append(slices.Clone(c.top), page...)[:pageSize]
		if err := m.check(0, m.before(), got); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, page := modelOfOne(t)
	if err := m.check(0, 0, page[1:]); err == nil {
		t.Error("a short page passes")
	}
	page[3], page[4] = page[4], page[3]
	if err := m.check(0, 0, page); err == nil {
		t.Error("a page out of order passes")
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	k := &killLoad{ledger: newLedger(), ids: []string{"1", "2"}}
	p := &ledgerPost{author: 0, text: "hello"}
	k.ledger.sent(p)
	k.ledger.ack(p, "10")
	k.ledger.setEdge(edge{0, 1}, is)
	k.ledger.setLike(like{0, "10"}, is)
	right := func() []exported {
		return []exported{
			{posts: map[string]string{"hello": "10"}, following: map[string]bool{"2": true}, likes: map[string]bool{"10": true}},
			{posts: map[string]string{}, followers: map[string]bool{"1": true}},
		}
	}
	for name, spoil := range map[string]func(e []exported){
		"":                       func([]exported) {},
		"a post lost":            func(e []exported) { delete(e[0].posts, "hello") },
		"a post invented":        func(e []exported) { e[0].posts["hullo"] = "11" },
		"a post of another id":   func(e []exported) { e[0].posts["hello"] = "11" },
		"a follow lost":          func(e []exported) { e[0].following, e[1].followers = nil, nil },
		"a follow on one side":   func(e []exported) { e[1].followers = nil },
		"a like lost":            func(e []exported) { e[0].likes = nil },
		"a follow of the author": func(e []exported) { e[1].following, e[0].followers = e[0].following, e[1].followers },
	} {
		e := right()
		spoil(e)
		err := errors.Join(k.settleUser(0, e[0], e), k.settleUser(1, e[1], e))
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	problem := http.Header{"Content-Type": {"application/problem+json"}}
	c := badCase{field: "text", status: 422}
	for name, a := range map[string]answer{
		"":              {422, problem, []byte(`{"status":422,"code":"invalid","field":"text"}`)},
		"success":       {201, problem, []byte(`{"status":201,"code":"invalid","field":"text"}`)},
		"our fault":     {500, problem, []byte(`{"status":500,"code":"internal"}`)},
		"no code":       {422, problem, []byte(`{"status":422,"field":"text"}`)},
		"other field":   {422, problem, []byte(`{"status":422,"code":"invalid","field":"ref"}`)},
		"other status":  {400, problem, []byte(`{"status":400,"code":"malformed","field":"text"}`)},
		"no problem":    {422, http.Header{"Content-Type": {"text/plain"}}, []byte(`{"status":422,"code":"invalid","field":"text"}`)},
		"no JSON":       {422, problem, []byte(`text`)},
		"status differ": {422, problem, []byte(`{"status":400,"code":"invalid","field":"text"}`)},
	} {
		if text := c.judge(a); (text == "") != (name == "") {
			t.Errorf("%q: %s", name, text)
		}
	}
}

// The table makes what it says: no case is right by accident.
func TestEveryBadBodyDiffersFromARightOne(t *testing.T) {
	t.Parallel()
	w := &badWorld{
		ann: "Bearer fs_" + strings.Repeat("a", 43), key: "Bearer fk_" + strings.Repeat("a", 43), admin: "Bearer fk_" + strings.Repeat("b", 43),
		ids: map[string]string{}, cursors: map[string]string{}, foreign: map[string]string{},
	}
	for i, name := range []string{"user", "post", "comment", "session", "handle", "ref"} {
		w.ids[name+":ann"], w.ids[name+":bob"] = strconv.Itoa(100+i), strconv.Itoa(200+i)
	}
	w.ids["ref:carl"], w.ids["ref:dora"] = "carl", "dora"
	w.ids["space:post"], w.ids["key:one"] = "post", "1"
	for _, e := range badTable() {
		w.cursors[e.path] = strings.Repeat("c", 22)
		right := (&badMaker{w: w, e: e}).right()
		for _, c := range w.cases(e) {
			if c.req.method == right.req.method && c.req.path == right.req.path && c.req.raw == right.req.raw && c.auth == right.auth &&
				c.req.actFor == right.req.actFor && len(c.req.header) == 0 && !c.chunks {
				t.Errorf("%s %s: the case %q is a right call", e.method, e.path, c.name)
			}
		}
	}
}

func TestFuzzTargetsAreFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for file, text := range map[string]string{
		"a/a_test.go":          "package a\n\nfunc FuzzOne(f *testing.F) {}\n",
		"a/a.go":               "package a\n\nfunc FuzzNot(f *testing.F) {}\n",
		"a/testdata/x_test.go": "package x\n\nfunc FuzzNot(f *testing.F) {}\n",
		"b/go.mod":             "module b\n",
		"b/b_test.go":          "package b\n\nfunc FuzzNot(f *testing.F) {}\n",
	} {
		path := filepath.Join(root, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := fuzzTargets(root)
	if err != nil || len(got) != 1 || got[0] != (fuzzTarget{"a", "FuzzOne"}) {
		t.Errorf("found %v, %v", got, err)
	}
}

func TestForgedTokensDiffer(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"Bearer fs_AAAAAAAA", "Bearer fs_AABAAAAB", "Bearer fs_bbbbbbbb"} {
		if forged := flip(token); forged == token || len(forged) != len(token) {
			t.Errorf("the forgery of %q is %q", token, forged)
		}
	}
}

// A figure that a test did not log is no figure.
func TestFiguresThatTestsLog(t *testing.T) {
	t.Parallel()
	said := func(line string) *testReport {
		r, err := readTests(strings.NewReader(`{"Action":"output","Package":"p","Test":"T","Output":"` + line + `\n"}`))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got, err := said("5000 commits heard in 1.4s, 7 missed, 2 kills, 3 heard again").numbers(heardSaid); err != nil || !slices.Equal(got[0], []float64{5000, 7, 2}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	calls := [2]atomic.Int64{}
	contenders := [2]*contender{}
	for i := range contenders {
		contenders[i] = &contender{clients: 4, n: 8, worth: 2, do: func(context.Context, int) error { calls[i].Add(1); return nil }}
	}
	if err := takeTurns(t.Context(), 3, contenders[0], contenders[1]); err != nil {
		t.Fatal(err)
	}
	for i, c := range contenders {
		if len(c.rates) != 3 || calls[i].Load() != 4*8 {
			t.Errorf("contender %d: %d rounds, %d calls, want 3 and those of one more", i, len(c.rates), calls[i].Load())
		}
	}
	fast, slow := &contender{rates: []float64{10, 100, 30}}, &contender{rates: []float64{5, 10, 10}}
	if got := times(fast, slow); got != 3 { // the median of 2, 10, 3
		t.Errorf("%v times, want 3", got)
	}
	contenders[1].do = func(context.Context, int) error { return errors.New("broken") }
	if err := takeTurns(t.Context(), 3, contenders[0], contenders[1]); err == nil {
		t.Error("a contender that fails takes part")
	}
}
