package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client asks a node over HTTP, with connections that are kept. The zero auth
// asks as nobody. It may be used by several goroutines.
type client struct {
	url  string
	auth string // the value of Authorization
	http *http.Client
}

// newClient makes a client with at most conns connections.
func newClient(base, auth string, conns int) *client {
	return &client{url: base, auth: auth, http: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, DisableCompression: true},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// as is the same client with other credentials, over the same connections.
func (c *client) as(auth string) *client {
	d := *c
	d.auth = auth
	return &d
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is one request; actFor is the value of Freshet-User.
type request struct {
	method, path string
	actFor       string
	body         any    // encoded as JSON, unless it is an io.Reader; nil: none
	raw          string // a body that goes out as it is
	header       map[string]string
}

// send does a request, whatever its answer is.
func (c *client) send(ctx context.Context, r request) (answer, error) {
	body, err := r.reader()
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.url+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	if r.actFor != "" {
		req.Header.Set("Freshet-User", r.actFor)
	}
	for name, value := range r.header {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}

func (r *request) reader() (io.Reader, error) {
	if r.raw != "" {
		return strings.NewReader(r.raw), nil
	}
	if in, ok := r.body.(io.Reader); ok || r.body == nil {
		return in, nil
	}
	text, err := json.Marshal(r.body)
	return bytes.NewReader(text), err
}

// statusError is an answer with another status than hoped for.
type statusError struct {
	what   string
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answers %d: %s", e.what, e.status, e.body)
}

// do does a request that has to succeed and decodes its answer into out, unless
// that is nil.
func (c *client) do(ctx context.Context, r request, out any) error {
	a, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	if a.status/100 != 2 {
		return &statusError{r.method + " " + r.path, a.status, strings.TrimSpace(string(a.body))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return nil
}

func (c *client) get(ctx context.Context, path, actFor string, out any) error {
	return c.do(ctx, request{method: http.MethodGet, path: path, actFor: actFor}, out)
}

// metric reads a number without labels from /metrics.
func (c *client) metric(ctx context.Context, name string) (float64, error) {
	a, err := c.send(ctx, request{method: http.MethodGet, path: "/metrics"})
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(a.body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

// asStatus gives the answer that an error is about, if there was one.
func asStatus(err error) (*statusError, bool) { return errors.AsType[*statusError](err) }

// The shapes of the API that points read.
type (
	userJSON struct {
		ID        string    `json:"id"`
		Handle    string    `json:"handle"`
		Followers int       `json:"followers_count"`
		Following int       `json:"following_count"`
		Posts     int       `json:"posts_count"`
		CreatedAt time.Time `json:"created_at"`
	}
	postJSON struct {
		ID        string    `json:"id"`
		Author    userJSON  `json:"author"`
		Text      string    `json:"text"`
		LikeCount int       `json:"like_count"`
		Liked     bool      `json:"liked"`
		CreatedAt time.Time `json:"created_at"`
	}
	pageJSON[T any] struct {
		Items []T    `json:"items"`
		Next  string `json:"next_cursor"`
	}
)

// walk reads a whole list in pages and hands each page with its bytes to see.
func walk[T any](ctx context.Context, c *client, path, actFor string, limit int, see func(page *pageJSON[T], raw []byte) error) error {
	for cursor := ""; ; {
		query := fmt.Sprintf("%s?limit=%d", path, limit)
		if cursor != "" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
		a, err := c.send(ctx, request{method: http.MethodGet, path: query, actFor: actFor})
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return &statusError{"GET " + query, a.status, string(a.body)}
		}
		var page pageJSON[T]
		if err := json.Unmarshal(a.body, &page); err != nil {
			return fmt.Errorf("GET %s: %w", query, err)
		}
		if len(page.Items) > limit {
			return fmt.Errorf("GET %s gives %d items", query, len(page.Items))
		}
		if err := see(&page, a.body); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		if page.Next == cursor {
			return fmt.Errorf("GET %s: the cursor does not move", query)
		}
		cursor = page.Next
	}
}

// all reads a whole list.
func all[T any](ctx context.Context, c *client, path, actFor string) (items []T, err error) {
	err = walk(ctx, c, path, actFor, 100, func(p *pageJSON[T], _ []byte) error {
		items = append(items, p.Items...)
		return nil
	})
	return items, err
}

// laterID compares ids, which are decimal numbers without leading zeros.
func laterID(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
