package httpchannel_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/httpchannel"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/internal/testenv"
)

const secret = "a secret of some length"

// layerOf hides the channel of a layer in this process.
type layerOf struct{ cache.Remote }

// open joins a node to a layer, served on the loopback interface.
func open(t *testing.T, layer cache.Remote, trust time.Duration) *httpchannel.Remote {
	t.Helper()
	var r *httpchannel.Remote
	ready := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		<-ready
		r.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r, err := httpchannel.New(layer, httpchannel.Options{URL: server.URL + "/channel", Secret: []byte(secret), Trust: trust})
	close(ready)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// onMemcached joins a node with connections of its own to a server.
func onMemcached(t *testing.T, addr string, trust time.Duration) *httpchannel.Remote {
	t.Helper()
	layer, err := memcached.Open(t.Context(), memcached.Options{Servers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { layer.Close() })
	return open(t, layer, trust)
}

func TestRemote(t *testing.T) {
	t.Parallel() // these four wait most of the time
	layer := memory.New(memory.Options{})
	defer layer.Close()
	cachetest.Remote(t, func(t *testing.T) cache.Remote { return open(t, layerOf{layer}, 200*time.Millisecond) }, cachetest.Options{})
}

func TestChannel(t *testing.T) {
	t.Parallel()
	server := testenv.StartMemcached(t)
	const trust = 500 * time.Millisecond
	cachetest.Channel(t, func(t *testing.T) cachetest.Node {
		r := onMemcached(t, server.Addr, trust)
		return cachetest.Node{Remote: r, Channel: r, Trust: trust}
	})
}

func TestRaces(t *testing.T) {
	t.Parallel()
	server := testenv.StartMemcached(t)
	cachetest.Races(t, cachetest.Backend{
		Open:    func(t *testing.T) cache.Remote { return onMemcached(t, server.Addr, time.Second) },
		Restart: func(t *testing.T) { server.Restart() },
		Evict:   func(t *testing.T, key string) { evict(t, server.Addr, key) },
	})
}

// evict takes what lies under a key from a memcached, with its tombstone.
func evict(t *testing.T, addr, key string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var found []string
	lines := bufio.NewScanner(conn)
	fmt.Fprint(conn, "lru_crawler metadump all\r\n")
	for lines.Scan() && lines.Text() != "END" {
		if field, _, _ := strings.Cut(lines.Text(), " "); strings.Contains(field, key) {
			full, err := url.QueryUnescape(strings.TrimPrefix(field, "key="))
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, full)
		}
	}
	for _, full := range found {
		if fmt.Fprintf(conn, "delete %s\r\n", full); !lines.Scan() || lines.Text() != "DELETED" {
			t.Fatalf("delete %s: %q, %v", full, lines.Text(), lines.Err())
		}
	}
	if len(found) == 0 {
		t.Fatalf("nothing lies under %s", key)
	}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	server := testenv.StartMemcached(t)
	cachetest.Histories(t, cachetest.Backend{
		Open: func(t *testing.T) cache.Remote { return onMemcached(t, server.Addr, time.Second) },
	}, testenv.Size(2000, 10_000, 1_000_000))
}
