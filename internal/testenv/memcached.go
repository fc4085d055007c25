package testenv

import (
	"net"
	"syscall"
)

// StartMemcached runs a memcached; args are its own, for instance "-m", "16".
func StartMemcached(t TB, args ...string) *Server {
	t.Helper()
	return start(t, kind{
		name:   "memcached",
		binary: find(t, "memcached", "memcached"),
		args: func(port string) []string {
			return append([]string{"-l", "127.0.0.1", "-p", port, "-U", "0"}, args...)
		},
		ready: func(conn net.Conn) error { return exchange(conn, "version\r\n", "VERSION ") },
		quit:  syscall.SIGKILL, // it has nothing to put away
		user:  unprivileged(t, "nobody", "memcached"),
		dir:   "/",
	})
}
