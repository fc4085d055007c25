package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// measureBad is point 7: a table of bad requests, broken CSV files, and the fuzz
// targets of the tree for a moment each.
func measureBad(ctx context.Context, l *lab) (outcome, error) {
	refused, requests, err := l.badRequests(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := l.badFiles(ctx); err != nil {
		return outcome{}, err
	}
	fuzzed, targets, err := l.fuzz(ctx, ".")
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%d of %d requests refused, broken lines passed over, %d of %d fuzz targets hold", refused, requests, fuzzed, targets),
		refused == requests && fuzzed == targets && targets > 0,
	}, nil
}

// badRequests sends every bad request to a node and looks whether anything changed.
func (l *lab) badRequests(ctx context.Context) (refused, all int, err error) {
	data := l.folder("bad")
	n, err := l.serve(ctx, data)
	if err != nil {
		return 0, 0, err
	}
	defer n.kill()
	w, err := l.newBadWorld(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	defer w.c.close()
	if err := w.documented(ctx); err != nil {
		return 0, 0, err
	}
	if err := w.useKeys(ctx); err != nil {
		return 0, 0, err
	}
	before, err := l.state(ctx, w)
	if err != nil {
		return 0, 0, err
	}
	var cases []badCase
	for _, e := range badTable() {
		cases = append(cases, w.cases(e)...)
	}
	wrong, err := w.sendAll(ctx, cases)
	if err != nil {
		return 0, 0, err
	}
	operations, err := w.sendOperations(ctx)
	if err != nil {
		return 0, 0, err
	}
	wrong = append(wrong, operations...)
	after, err := l.state(ctx, w)
	if err != nil {
		return 0, 0, err
	}
	if before != after {
		wrong = append(wrong, "something changed: "+difference(before, after))
	}
	const shown = 40
	for _, text := range wrong[:min(len(wrong), shown)] {
		l.detail("%s", text)
	}
	if len(wrong) > shown {
		l.detail("and %d more", len(wrong)-shown)
	}
	all = len(cases) + len(badOperations())
	l.detail("%d requests to %d endpoints, %d answered wrongly; state of %d bytes compared before and after", all, len(badTable()), len(wrong), len(before))
	return all - len(wrong), all, n.stop()
}

// documented holds the table against the endpoints that the node documents.
func (w *badWorld) documented(ctx context.Context) error {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := w.c.get(ctx, "/openapi.json", "", &document); err != nil {
		return err
	}
	var missing []string
	covered := map[string]bool{}
	for _, e := range badTable() {
		covered[e.method+" "+nameless(e.path)] = true
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if name := strings.ToUpper(method) + " " + nameless(path); strings.Contains(path, "/v1/") && !covered[name] {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("the table lacks endpoints: %s", strings.Join(missing, ", "))
	}
	return nil
}

// nameless is a path whose parameters have no names.
func nameless(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// useKeys makes the right call to every endpoint with a body, under an
// Idempotency-Key that a bad request uses again, and to every one that is read:
// each must succeed, or its wrong calls prove nothing.
func (w *badWorld) useKeys(ctx context.Context) error {
	for _, e := range badTable() {
		c := (&badMaker{w: w, e: e}).right()
		switch {
		case e.valid != "":
			c.req.header["Idempotency-Key"] = usedKey(e)
		case e.method != http.MethodGet:
			continue
		}
		if err := w.c.as(c.auth).do(ctx, c.req, nil); err != nil {
			return fmt.Errorf("a right call is refused: %w", err)
		}
	}
	if err := w.c.as(w.admin).do(ctx, request{
		method: http.MethodPost, path: "/v1/admin/caches/purge", raw: `{"tags":["used"]}`,
		header: map[string]string{"Idempotency-Key": usedElsewhere},
	}, nil); err != nil {
		return err
	}
	return w.c.as(w.ann).do(ctx, request{
		method: http.MethodPost, path: "/v1/posts", body: map[string]string{"text": "under a key"},
		header: map[string]string{"Idempotency-Key": usedElsewhere},
	}, nil)
}

// sendAll sends the cases, several at once, and tells which were not refused as
// they should be.
func (w *badWorld) sendAll(ctx context.Context, cases []badCase) (wrong []string, err error) {
	var mu sync.Mutex
	err = each(ctx, 4, len(cases), func(ctx context.Context, i int) error {
		c := &cases[i]
		a, err := w.sendCase(ctx, c)
		if err != nil {
			return fmt.Errorf("%s %s, %s: %w", c.req.method, c.req.path, c.name, err)
		}
		if text := c.judge(a); text != "" {
			mu.Lock()
			defer mu.Unlock()
			wrong = append(wrong, fmt.Sprintf("%s %.90s, %s: %s", c.req.method, c.req.path, c.name, text))
		}
		return nil
	})
	slices.Sort(wrong)
	return wrong, err
}

func (w *badWorld) sendCase(ctx context.Context, c *badCase) (answer, error) {
	r := c.req
	if c.chunks {
		r.body, r.raw = io.MultiReader(strings.NewReader(r.raw)), "" // of a length that net/http can't see
	}
	a, err := w.c.as(c.auth).send(ctx, r)
	if err != nil && c.status == http.StatusRequestEntityTooLarge {
		// The server may close while we still write; then the answer is lost to this client.
		return w.c.as(c.auth).send(ctx, r)
	}
	return a, err
}

// problemJSON is what an error looks like.
type problemJSON struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Field  string `json:"field"`
	Errors []struct {
		Field string `json:"field"`
	} `json:"errors"`
}

// judge tells what is wrong with an answer, "" if nothing is.
func (c *badCase) judge(a answer) string {
	var p problemJSON
	switch err := json.Unmarshal(a.body, &p); {
	case a.status/100 != 4:
		return fmt.Sprintf("answers %d: %.200s", a.status, a.body)
	case a.header.Get("Content-Type") != "application/problem+json" || err != nil:
		return fmt.Sprintf("answers %d with %s: %.200s", a.status, a.header.Get("Content-Type"), a.body)
	case p.Code == "" || p.Status != a.status:
		return fmt.Sprintf("answers %d with the code %q and the status %d", a.status, p.Code, p.Status)
	case c.status != 0 && a.status != c.status:
		return fmt.Sprintf("answers %d, wanted %d: %.200s", a.status, c.status, a.body)
	case c.field == "" || p.Field == c.field:
		return ""
	}
	for _, e := range p.Errors {
		if e.Field == c.field {
			return ""
		}
	}
	return fmt.Sprintf("answers %d and names the field %q, wanted %q", a.status, p.Field, c.field)
}

// sendOperations sends bad operations in one batch; each has its own result.
func (w *badWorld) sendOperations(ctx context.Context) (wrong []string, err error) {
	var bodies []string
	for _, o := range badOperations() {
		bodies = append(bodies, o.body)
	}
	var done struct {
		Results []struct {
			Status int         `json:"status"`
			Error  problemJSON `json:"error"`
		} `json:"results"`
	}
	raw := `{"operations":[` + strings.Join(bodies, ",") + "]}"
	if err := w.c.as(w.key).do(ctx, request{method: http.MethodPost, path: "/v1/batch", raw: raw}, &done); err != nil {
		return nil, err
	}
	if len(done.Results) != len(bodies) {
		return nil, errors.New("a batch has fewer results than operations")
	}
	for i, o := range badOperations() {
		r := done.Results[i]
		if r.Status/100 != 4 || r.Error.Code == "" || o.field != "" && r.Error.Field != o.field {
			wrong = append(wrong, fmt.Sprintf("batch %s: status %d, code %q, field %q, wanted %q", o.body, r.Status, r.Error.Code, r.Error.Field, o.field))
		}
	}
	return wrong, nil
}

// difference shows the first line that differs.
func difference(a, b string) string {
	x, y := bytes.Split([]byte(a), []byte("\n")), bytes.Split([]byte(b), []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Sprintf("%.300s became %.300s", x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines became %d", len(x), len(y))
}
