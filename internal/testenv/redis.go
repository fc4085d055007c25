package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// StartRedis runs a Redis that keeps nothing on disk unless args say otherwise;
// args are those of redis-server, for instance "--appendonly", "yes". Restart
// keeps its folder, and so whatever it was told to keep.
func StartRedis(t TB, args ...string) *Server {
	t.Helper()
	dir := tempDir(t, "freshet-redis-")
	return start(t, kind{
		name:   "redis",
		binary: find(t, "redis-server", "redis-server"),
		args: func(port string) []string {
			own := []string{"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--daemonize", "no", "--save", "", "--appendonly", "no"}
			return append(own, args...)
		},
		ready: func(conn net.Conn) error { return exchange(conn, "PING\r\n", "+PONG") },
		quit:  syscall.SIGKILL, // asked politely it would write a snapshot first
		dir:   dir,
	})
}

// exchange sends a line and expects the answer to begin so.
func exchange(conn net.Conn, line, want string) error {
	if _, err := io.WriteString(conn, line); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, want) {
		return fmt.Errorf("%q was answered with %q", line, answer)
	}
	return nil
}
