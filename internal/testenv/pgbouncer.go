package testenv

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// FindPgBouncer returns the path of the program, "" where there is none: what is
// only compared with it can go on without.
func FindPgBouncer() string {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} { // Debian's folder, which is not in every PATH
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// StartPgBouncer runs a PgBouncer before p, in a mode ("transaction", "session")
// and with that many connections to the server. Every database of p is reached
// at the URL that the server's has, with another address.
func StartPgBouncer(t TB, p *Postgres, mode string, conns int) *Server {
	t.Helper()
	binary := FindPgBouncer()
	if binary == "" {
		t.Fatalf("find pgbouncer: there is none\nhint: %s", install("pgbouncer"))
	}
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		t.Fatalf("start pgbouncer: %v", err)
	}
	dir := tempDir(t, "freshet-pgbouncer-")
	settings := filepath.Join(dir, "pgbouncer.ini")
	return start(t, kind{
		name:   "pgbouncer",
		binary: binary,
		args: func(listen string) []string {
			text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = %d
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
`, host, port, listen, mode, conns)
			if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
				t.Fatalf("write %s: %v", settings, err)
			}
			return []string{"-q", settings}
		},
		ready: pgReady,
		quit:  syscall.SIGQUIT,
		user:  unprivileged(t, "nobody", "pgbouncer"),
		dir:   dir,
	})
}
