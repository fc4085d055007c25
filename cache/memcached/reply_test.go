package memcached_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memcached"
)

// fake is a peer that says what it is and then gives the same answer to each line, in which O# is the line's opaque. It
// sends to closed when a client closes a connection after the answer.
func fake(t *testing.T, stats, answer string) (addr string, closed <-chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ended := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadString('\n')
					switch {
					case err != nil:
						ended <- struct{}{}
						return
					case line == "stats\r\n":
						fmt.Fprint(conn, stats)
					case line == "stats settings\r\n":
						fmt.Fprint(conn, settings)
					default:
						_, opaque, _ := strings.Cut(strings.TrimSpace(line), " O")
						fmt.Fprint(conn, strings.ReplaceAll(answer, "O#", "O"+opaque))
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), ended
}

const (
	goodStats = "STAT pid 1\r\nSTAT uptime 5\r\nSTAT time 1700000000\r\nSTAT version 1.6.18\r\nEND\r\n"
	settings  = "STAT item_size_max 1048576\r\nSTAT cas_enabled yes\r\nEND\r\n"
)

func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing to say":           "\r\n",
		"one letter":               "H\r\n",
		"unknown code":             "XX O#\r\n",
		"code in lower case":       "hd O#\r\n",
		"no CR":                    "EN O#\n",
		"another's answer":         "EN O1234567\r\n",
		"no opaque":                "EN\r\n",
		"two opaques":              "EN O# O#\r\n",
		"two spaces":               "EN  O#\r\n",
		"a space at the end":       "EN O# \r\n",
		"unasked flag":             "EN O# t5\r\n",
		"signed opaque":            "EN O+1\r\n",
		"opaque beyond 64 bits":    "EN O99999999999999999999\r\n",
		"a value without length":   "VA c1 O#\r\nabc\r\n",
		"a length that is too low": "VA 2 c1 O#\r\nabc\r\n",
		"a length that is signed":  "VA -1 c1 O#\r\nabc\r\n",
		"a length with zeros":      "VA 03 c1 O#\r\nabc\r\n",
		"a length beyond reason":   "VA 2000000 c1 O#\r\nabc\r\n",
		"a length beyond 64 bits":  "VA 18446744073709551616 c1 O#\r\nabc\r\n",
		"a value without CAS":      "VA 3 O#\r\nabc\r\n",
		"two lines for one":        "EN O#\r\nEN O#\r\n",
		"CLIENT_ERROR":             "CLIENT_ERROR bad command line format\r\n",
		"ERROR":                    "ERROR\r\n",
		"unknown SERVER_ERROR":     "SERVER_ERROR out of memory reading request\r\n",
		"a line without end":       strings.Repeat("x", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			addr, closed := fake(t, goodStats, answer)
			c := open(t, memcached.Options{Servers: []string{addr}, Conns: 1})
			out := []cache.Record{{}}
			err := c.Get(t.Context(), []string{"k"}, out)
			if err == nil && name != "two lines for one" { // the first is one
				t.Errorf("%q was taken for an answer: %v", answer, out[0])
			}
			select {
			case <-closed:
			case <-time.After(10 * time.Second):
				t.Error("the connection was not closed")
			}
		})
	}
}

func TestAPeerThatIsNoMemcached(t *testing.T) {
	for stats, want := range map[string]string{
		"ERROR\r\n": "not an answer",
		"END\r\n":   "a proxy is not supported",
		"STAT pid 1\r\nSTAT time soon\r\nEND\r\n": "statistic time",
	} {
		addr, _ := fake(t, stats, "")
		_, err := memcached.Open(t.Context(), memcached.Options{Servers: []string{addr}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of a peer that says %q: %v, want %q", stats, err, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"HD O1\r\n", "EN O2\r\n", "NS O3\r\n", "VA 3 c5 O4\r\nabc\r\n", "VA 3 c5 b O4\r\nabc\r\n", "VA 0 c5 O4\r\n\r\n",
		"SERVER_ERROR object too large for cache\r\n", "CLIENT_ERROR x\r\n", "VA 99999999 c1 O1\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), 512)
		value, _, err := memcached.ReadReply(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		read := in[:len(in)-len(rest)]
		if !bytes.HasSuffix(read, []byte("\r\n")) {
			t.Errorf("%q ended in the middle of a line", read)
		}
		if value == nil {
			if bytes.Count(read, []byte("\n")) != 1 {
				t.Errorf("%q is more than a line", read)
			}
			return
		}
		head, after, _ := bytes.Cut(read, []byte("\r\n"))
		if string(after) != string(value)+"\r\n" || !bytes.HasPrefix(head, fmt.Appendf(nil, "VA %d ", len(value))) {
			t.Errorf("of %q the value is %q", read, value)
		}
	})
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"memcached://h1,h2:4000/?conns=3&prefix=a:&timeout=2s": "",
		"memcached://[::1]:11211":                              "",
		"redis://h1":                                           "hint: memcached://",
		"memcached://":                                         "is no address",
		"memcached://h1,h1:11211":                              "named twice",
		"memcached://h1?conns=many":                            "setting conns",
		"memcached://h1?timeout=1":                             "setting timeout",
		"memcached://h1?user=x":                                "hint: there are conns",
		"memcached://h1?prefix=a%20b":                          "prefix",
	} {
		options, err := memcached.ParseURL(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v; want %q", text, options, err, want)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, err = memcached.Open(t.Context(), memcached.Options{Servers: []string{addr}})
	if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("nobody listens: %v", err)
	}
	var opErr *net.OpError
	if !errors.As(err, &opErr) {
		t.Errorf("the cause is hidden: %v", err)
	}
}
