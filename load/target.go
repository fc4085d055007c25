package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Target is a freshet that is driven over HTTP by the backend of a network's
// users. Methods are safe for concurrent use once SetUp has returned.
type Target struct {
	net      *Network
	url, key string
	http     *http.Client
	ids      []string // by user
	wire     wire
	watch    watch
}

// maxConns is how many connections a Target keeps: one for each worker.
const maxConns = 256

// NewTarget names a freshet by its URL, with an API key of it. It asks nothing.
func NewTarget(url, key string, n *Network) *Target {
	t := &Target{net: n, url: strings.TrimRight(url, "/"), key: key}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	t.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		MaxIdleConns: maxConns, MaxIdleConnsPerHost: maxConns, MaxConnsPerHost: maxConns,
		IdleConnTimeout: time.Minute, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &counted{conn, &t.wire}, nil
		},
	}}
	return t
}

// Close gives the connections back.
func (t *Target) Close() { t.http.CloseIdleConnections() }

// Wire is how many bytes came from the server and went to it, with all headers.
func (t *Target) Wire() (received, sent int64) {
	return t.wire.received.Load(), t.wire.sent.Load()
}

type wire struct{ received, sent atomic.Int64 }

type counted struct {
	net.Conn
	wire *wire
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.sent.Add(int64(n))
	return n, err
}

// pageLimit is how many posts a read asks for.
const pageLimit = 50

// Do carries out an arrival: a read of the first page of a feed, or a post. Of
// every tenth post it is then seen how soon a follower reads it.
func (t *Target) Do(ctx context.Context, a Arrival) (after func(), err error) {
	user := t.ids[a.User]
	if a.Kind == Read {
		return nil, t.ask(ctx, "GET", "/v1/feed?limit="+strconv.Itoa(pageLimit), user, nil, nil)
	}
	var made struct {
		ID string `json:"id"`
	}
	err = t.ask(ctx, "POST", "/v1/posts", user, map[string]string{"text": text(a.User)}, &made)
	if acknowledged := time.Now(); err == nil && t.watch.chosen() {
		after = func() { t.follow(ctx, a.User, made.ID, acknowledged) }
	}
	return after, err
}

// text is what a user posts: 40 to 240 characters.
func text(user uint32) string {
	return fmt.Sprintf("post of %d ", user) + strings.Repeat("what happened today ", 2+int(user%10))
}

// StatusError is an answer other than the one that was asked for.
type StatusError struct {
	Method, Path string
	Status       int
	Body         string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s answers %d: %s", e.Method, e.Path, e.Status, e.Body)
}

// ask sends a request for a user, "" for nobody, and reads the answer into out.
func (t *Target) ask(ctx context.Context, method, path, user string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+t.key)
	if user != "" {
		req.Header.Set("Freshet-User", user)
	}
	res, err := t.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // only to be shown
		return &StatusError{method, strings.SplitN(path, "?", 2)[0], res.StatusCode, strings.TrimSpace(string(b))}
	}
	if out != nil {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	_, rest := io.Copy(io.Discard, res.Body) // so that the connection is used again
	return errors.Join(err, rest)
}

// Metrics are the figures of /metrics that have no labels.
func (t *Target) Metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", t.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &StatusError{"GET", "/metrics", res.StatusCode, ""}
	}
	figures := make(map[string]float64)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(name, "#") && !strings.Contains(name, "{") {
			figures[name] = v
		}
	}
	return figures, lines.Err()
}
