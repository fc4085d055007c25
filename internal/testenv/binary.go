package testenv

import (
	"cmp"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// find returns the path of a program. A missing one fails the test.
func find(t TB, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("find %s: %v\nhint: %s", program, err, install(debian))
	}
	return path
}

// findPostgres is find for a program of PostgreSQL: Debian keeps those of each
// version in a folder of their own, out of PATH; the newest is taken.
func findPostgres(t TB, program string) string {
	t.Helper()
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if len(paths) == 0 {
		return find(t, program, "postgresql")
	}
	return slices.MaxFunc(paths, func(a, b string) int { return cmp.Compare(majorVersion(a), majorVersion(b)) })
}

// majorVersion is 15 for /usr/lib/postgresql/15/bin/initdb.
func majorVersion(path string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return version
}

// install tells how to get a program.
func install(debian string) string {
	return "sh internal/testenv/install.sh, or: apt-get install --no-install-recommends " + debian
}

// unprivileged returns the user that a server runs as which refuses to be root;
// nil where the test is not root itself.
func unprivileged(t TB, name, debian string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("find the system user %s: %v\nhint: %s", name, err, install(debian))
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("find the system user %s: its ids are %q and %q", name, u.Uid, u.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
