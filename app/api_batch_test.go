package app

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/freshet/freshet/internal/litedb"
)

func TestAPIBatch(t *testing.T) {
	n := startAPI(t, nil)
	ada := n.person(t, "ada")
	ops := []string{
		`{"op":"user","ref":"r1","name":"One","handle":"one"}`,
		`{"op":"user","ref":"r2","name":"Two"}`,
		`{"op":"user","ref":"r1","name":"One again"}`,
		`{"op":"user","ref":"r3","name":"Three","handle":"ADA"}`,
		`{"op":"follow","actor":"ref:r1","target":"ref:r2"}`,
		`{"op":"follow","actor":"ref:r1","target":"` + ada.id.String() + `"}`,
		`{"op":"unfollow","actor":"ref:r1","target":"ref:r2"}`,
		`{"op":"follow","actor":"ref:nobody","target":"ref:r2"}`,
		`{"op":"follow","actor":"` + ada.id.String() + `","target":"ref:r1"}`,
		`{"op":"post","author":"ref:r1","text":"first","ref":"p1"}`,
		`{"op":"post","author":"ref:r1","text":"second","data":{"n":2}}`,
		`{"op":"post","author":"ref:r1","text":"again","ref":"p1"}`,
		`{"op":"post","author":"7x","text":"x"}`,
		`{"op":"post","author":"ref:r2","text":"\u0000"}`,
		`{"op":"post","author":"ref:r2","txt":"x"}`,
		`{"op":"like"}`, `17`, `null`,
	}
	r := n.ask(t, "POST", "/v1/batch", `{"operations":[`+strings.Join(ops, ",")+`]}`, as(n.key)).wants(t, 200)
	want := []string{
		"201", "201", "200", "409 conflict handle", "204", "204", "204", "404 not_found actor", "204",
		"201", "201", "409 conflict ref", "422 invalid author", "422 invalid text", "422 invalid txt", "422 invalid op", "422 invalid body", "422 invalid op",
	}
	for i := range want {
		got := r.field(fmt.Sprintf("results.%d.status", i))
		if code := r.field(fmt.Sprintf("results.%d.error.code", i)); code != "(absent)" {
			got += " " + code + " " + r.field(fmt.Sprintf("results.%d.error.field", i))
		}
		if got != want[i] {
			t.Errorf("%d: %s: %s, want %s", i, ops[i], got, want[i])
		}
	}
	if r.field("results.#") != fmt.Sprint(len(want)) {
		t.Errorf("%s results", r.field("results.#"))
	}
	one := n.ask(t, "GET", "/v1/users/by-ref/r1", "").wants(t, 200)
	if one.field("name") != "One again" || one.field("following_count") != "1" || one.field("followers_count") != "1" || one.field("posts_count") != "2" {
		t.Errorf("%v", one)
	}
	// The posts of one author stand in the order of the batch, and in feeds.
	feed := n.ask(t, "GET", "/v1/feed", "", ada.asks(), with("Freshet-Token", r.header.Get("Freshet-Token"))).wants(t, 200)
	if feed.field("items.0.text") != "second" || feed.field("items.1.text") != "first" || feed.field("items.0.id") != r.field("results.10.id") {
		t.Errorf("%v", feed)
	}
}

func TestAPIBatchOfMany(t *testing.T) {
	n := startAPI(t, nil)
	var ops []string
	for i := range 300 {
		ops = append(ops, fmt.Sprintf(`{"op":"user","ref":"u%d","name":"U"}`, i))
	}
	for i := range 300 {
		ops = append(ops, fmt.Sprintf(`{"op":"follow","actor":"ref:u%d","target":"ref:u%d"}`, i, (i+1)%300))
	}
	for i := range 400 {
		ops = append(ops, fmt.Sprintf(`{"op":"post","author":"ref:u%d","text":"%d"}`, i%300, i))
	}
	commits, _ := n.file.Counts()
	r := n.ask(t, "POST", "/v1/batch", `{"operations":[`+strings.Join(ops, ",")+`]}`, as(n.key)).wants(t, 200)
	if bad := strings.Count(string(r.body), "error"); bad > 0 {
		t.Fatalf("%d failed: %s", bad, r.body)
	}
	after, _ := n.file.Counts()
	if shared := after - commits; shared > 500 {
		t.Errorf("1,000 operations took %d commits: they do not share them", shared)
	}
	n.ask(t, "POST", "/v1/batch", `[`+ops[0]+`]`, as(n.key)).wants(t, 200)
	n.ask(t, "POST", "/v1/batch", `[`+ops[0]+`],`, as(n.key)).refuses(t, 400, "malformed", "body")
	n.ask(t, "POST", "/v1/batch", `{"operations":[`+strings.Join(append(ops, ops[0]), ",")+`]}`, as(n.key)).refuses(t, 422, "invalid", "operations")
	if r := n.ask(t, "GET", "/v1/users/by-ref/u5", ""); r.field("following_count") != "1" || r.field("posts_count") != "2" {
		t.Errorf("%v", r)
	}
}

// TestAPIBatchIsResumed takes the answer of a batch away, and with it all that
// was noted of the batch itself: its posts bear claims of their own.
func TestAPIBatchIsResumed(t *testing.T) {
	n := startAPI(t, nil)
	const body = `{"operations":[{"op":"user","ref":"r1","name":"One"},{"op":"post","author":"ref:r1","text":"a"},{"op":"post","author":"ref:r1","text":"b"}]}`
	key := with("Idempotency-Key", "batch")
	first := n.ask(t, "POST", "/v1/batch", body, as(n.key), key).wants(t, 200)
	if _, err := n.file.Write(context.Background(), func(tx *litedb.Tx) error {
		_, err := tx.Exec("DELETE FROM claims WHERE status <> 0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	second := n.ask(t, "POST", "/v1/batch", body, as(n.key), key).wants(t, 200)
	for _, field := range []string{"results.0.id", "results.1.id", "results.2.id", "results.1.status"} {
		if first.field(field) != second.field(field) {
			t.Errorf("%s: %s, then %s", field, first.field(field), second.field(field))
		}
	}
	if r := n.ask(t, "GET", "/v1/users/by-ref/r1", ""); r.field("posts_count") != "2" {
		t.Errorf("%v", r)
	}
}
