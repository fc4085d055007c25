package httpchannel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/httpchannel"
	"github.com/freshet/freshet/cache/memory"
)

func TestHandlerRefuses(t *testing.T) {
	layer := memory.New(memory.Options{})
	defer layer.Close()
	r := open(t, layerOf{layer}, 200*time.Millisecond)
	const bearer = "Bearer YSBzZWNyZXQgb2Ygc29tZSBsZW5ndGg" // base64url of secret
	good := httpchannel.Ask(cache.ID{1}, r.ID())
	foreign := bytes.Clone(good)
	foreign[0] = 2
	for _, c := range []struct {
		name, method, auth string
		body               []byte
		status             int
		text               string
	}{
		{"as it should be", "POST", bearer, good, 200, ""},
		{"no secret", "POST", "", good, 401, "another secret"},
		{"another secret", "POST", bearer + "x", good, 401, "another secret"},
		{"the secret without its scheme", "POST", strings.TrimPrefix(bearer, "Bearer "), good, 401, "another secret"},
		{"GET", "GET", bearer, nil, 405, "POST only"},
		{"nothing", "POST", bearer, nil, 400, "not a message"},
		{"something else", "POST", bearer, []byte("\x01 what is this?"), 400, "not a message"},
		{"more than a request", "POST", bearer, append(bytes.Clone(good), 0), 400, "not a message"},
		{"less than a request", "POST", bearer, good[:len(good)-1], 400, "not a message"},
		{"too long", "POST", bearer, make([]byte, httpchannel.MaxAsk+1), 413, "shorter"},
		{"another version", "POST", bearer, foreign, 400, "another version of the protocol: 2, and this node's is 1"},
		{"another process", "POST", bearer, httpchannel.Ask(cache.ID{1}, cache.ID{9}), 410, "another process"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := httptest.NewRequest(c.method, "/channel", bytes.NewReader(c.body))
			if c.auth != "" {
				req.Header.Set("Authorization", c.auth)
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, c.status, c.text)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
		})
	}
}

// TestAnswersThatAreNone: what a peer's address may answer instead leaves it a peer that does not answer.
func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]func(*http.Response){
		"a page":          func(r *http.Response) { r.Body = io.NopCloser(strings.NewReader("<html>")) },
		"nothing":         func(r *http.Response) { r.Body = io.NopCloser(strings.NewReader("")) },
		"another node":    func(r *http.Response) { r.Body = changed(r.Body, func(b []byte) { b[2] ^= 1 }) },
		"another version": func(r *http.Response) { r.Body = changed(r.Body, func(b []byte) { b[0] = 2 }) },
		"unknown flags":   func(r *http.Response) { r.Body = changed(r.Body, func(b []byte) { b[1] |= 0x80 }) },
		"no end":          func(r *http.Response) { r.Body = io.NopCloser(zeros{}) },
		"an error":        func(r *http.Response) { r.StatusCode = http.StatusInternalServerError },
		"a redirect":      func(r *http.Response) { r.StatusCode = http.StatusFound },
		"another secret":  func(r *http.Response) { r.StatusCode = http.StatusUnauthorized },
		"another process": func(r *http.Response) { r.StatusCode = http.StatusGone },
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(f *fleet) {
				a, b := f.join("a"), f.join("b")
				f.trusting(a, b)
				a.set(answer)
				time.Sleep(2 * trust)
				if s := a.told(); s.trusts || len(s.broken) == 0 {
					t.Errorf("trusts its memory %t, was told %v", s.trusts, s.broken)
				}
				a.set(nil)
				f.trusting(a, b)
			})
		})
	}
}

func changed(body io.Reader, change func([]byte)) io.ReadCloser {
	b, _ := io.ReadAll(body)
	change(b)
	return io.NopCloser(bytes.NewReader(b))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestOptions(t *testing.T) {
	layer := memory.New(memory.Options{})
	defer layer.Close()
	for name, c := range map[string]struct {
		layer   cache.Remote
		options httpchannel.Options
		want    string
	}{
		"no URL":       {layerOf{layer}, httpchannel.Options{Secret: []byte(secret)}, "not where a node can be reached"},
		"no host":      {layerOf{layer}, httpchannel.Options{URL: "/channel", Secret: []byte(secret)}, "not where a node can be reached"},
		"other scheme": {layerOf{layer}, httpchannel.Options{URL: "ftp://a/", Secret: []byte(secret)}, "not where a node can be reached"},
		"long URL":     {layerOf{layer}, httpchannel.Options{URL: "http://a/" + strings.Repeat("a", 600), Secret: []byte(secret)}, "at most 512 bytes"},
		"short secret": {layerOf{layer}, httpchannel.Options{URL: "http://a/", Secret: []byte("secret")}, "a secret of 6 bytes"},
		"a channel":    {layer, httpchannel.Options{URL: "http://a/", Secret: []byte(secret)}, "a channel of its own"},
	} {
		if _, err := httpchannel.New(c.layer, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestClosed(t *testing.T) {
	inFleet(t, func(f *fleet) {
		n := f.join("a")
		f.trusting(n)
		if err := n.Listen(context.Background(), n); err == nil {
			t.Error("it listens twice")
		}
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		if n.told().trusts {
			t.Error("it trusts its memory after Close")
		}
		if err := n.Listen(context.Background(), n); !errors.Is(err, httpchannel.ErrClosed) {
			t.Errorf("Listen after Close: %v", err)
		}
	})
}

func FuzzParsers(f *testing.F) {
	for _, message := range httpchannel.Messages() {
		f.Add(message)
		f.Add(message[:len(message)-1])
		f.Add(append(bytes.Clone(message), 0))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, parse := range httpchannel.Parsers {
			if again, err := parse(data); err == nil && !bytes.Equal(again, data) {
				t.Errorf("%q is a %s, which is written %q", data, name, again)
			}
		}
	})
}

// TestMessages: what the fuzz test begins with is understood.
func TestMessages(t *testing.T) {
	for name, message := range httpchannel.Messages() {
		if again, err := httpchannel.Parsers[name](message); err != nil || !bytes.Equal(again, message) {
			t.Errorf("%s: %q, %v, want %q", name, again, err, message)
		}
	}
}
