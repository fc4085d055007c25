package testenv_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// line is a connection on which one line is answered with one line.
type line struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) line {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return line{conn, bufio.NewReader(conn)}
}

// ask sends a line and returns the answer's first line.
func (l line) ask(format string, args ...any) (string, error) {
	if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(l, format+"\r\n", args...); err != nil {
		return "", err
	}
	answer, err := l.r.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (l line) expect(t *testing.T, question, want string) {
	t.Helper()
	if got, err := l.ask("%s", question); err != nil || got != want {
		t.Errorf("%q was answered with %q, %v; want %q", question, got, err, want)
	}
}

func TestRedis(t *testing.T) {
	s := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	c := dial(t, s.Addr)
	c.expect(t, "SET k v", "+OK")

	s.Pause()
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "PING\r\n")
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("a paused server answered")
	}
	s.Resume()
	c = dial(t, s.Addr)
	c.expect(t, "PING", "+PONG")

	addr := s.Addr
	s.Kill()
	if _, err := c.ask("PING"); err == nil {
		t.Error("a killed server answered")
	}
	s.Restart()
	if s.Addr != addr {
		t.Errorf("restarted at %s, was at %s", s.Addr, addr)
	}
	c = dial(t, s.Addr)
	c.expect(t, "GET k", "$1")
}

func TestRedisCluster(t *testing.T) {
	c := testenv.StartRedisCluster(t)
	if len(c.Masters) != 3 || len(c.Addrs()) != 3 {
		t.Fatalf("%d masters", len(c.Masters))
	}
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		served := 0
		for _, addr := range c.Addrs() {
			if got, err := dial(t, addr).ask("SET %s v", key); err != nil {
				t.Error(err)
			} else if got == "+OK" {
				served++
			}
		}
		if served != 1 {
			t.Errorf("key %q is served by %d masters", key, served)
		}
	}
}

func TestMemcached(t *testing.T) {
	s := testenv.StartMemcached(t, "-m", "16")
	c := dial(t, s.Addr)
	c.expect(t, "set k 0 0 1\r\nv", "STORED")
	s.Restart() // also without a Kill: it forgets
	c = dial(t, s.Addr)
	c.expect(t, "get k", "END")
}

func TestPostgres(t *testing.T) {
	s := testenv.StartPostgres(t, "wal_level=logical")
	if got := s.Exec(t, "postgres", "SHOW wal_level"); len(got) != 1 || got[0][0] != "logical" {
		t.Errorf("wal_level is %q", got)
	}
	s.Exec(t, "postgres", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (NULL)")
	if a, b := s.CreateDatabase(t), s.CreateDatabase(t); a == b || !strings.HasPrefix(a, "postgres://postgres@"+s.Addr+"/") {
		t.Errorf("databases %s and %s", a, b)
	}

	s.Kill()
	if _, err := net.Dial("tcp", s.Addr); err == nil {
		t.Error("a killed server takes connections")
	}
	s.Restart()
	if got := fmt.Sprintf("%q", s.Exec(t, "postgres", "SELECT n FROM kept")); got != `[["1"] [""]]` {
		t.Errorf("after a kill the rows are %s", got)
	}

	s.Pause()
	s.Resume()
	s.Exec(t, "postgres", "SELECT 1")
	if said := fails(t, func(tb testenv.TB) { s.Exec(tb, "postgres", "SELECT nothing") }); !strings.Contains(said, "SQLSTATE 42703") {
		t.Errorf("a wrong statement said %q", said)
	}
	if said := fails(t, func(tb testenv.TB) { s.Exec(tb, "absent", "SELECT 1") }); !strings.Contains(said, "SQLSTATE 3D000") {
		t.Errorf("an absent database said %q", said)
	}
}

// TestServersSideBySide: two of a kind do not meet.
func TestServersSideBySide(t *testing.T) {
	a, b := testenv.StartRedis(t), testenv.StartRedis(t)
	dial(t, a.Addr).expect(t, "SET k v", "+OK")
	dial(t, b.Addr).expect(t, "GET k", "$-1")
}

// A Scope stands in for the test where there is none.
func ExampleScope() {
	var scope testenv.Scope
	defer scope.Close()
	redis := testenv.StartRedis(&scope)
	conn, err := net.Dial("tcp", redis.Addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "PING\r\n")
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Println(strings.TrimSpace(answer))
	// Output: +PONG
}
