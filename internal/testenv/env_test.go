package testenv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// recorder is a test that keeps what is said and survives its own failure.
type recorder struct {
	testenv.TB
	lines  []string
	failed bool
}

func (r *recorder) Logf(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}
func (r *recorder) Failed() bool { return r.failed }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = true
	r.Logf(format, args...)
	panic(r)
}

// fails runs f with a recorder and returns what it said when it failed.
func fails(t *testing.T, f func(testenv.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() { _ = recover() }()
		f(r)
	}()
	if !r.failed {
		t.Error("did not fail")
	}
	return strings.Join(r.lines, "\n")
}

func TestMissingServerFailsWithHint(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for server, run := range map[string]func(testenv.TB){
		"redis-server": func(tb testenv.TB) { testenv.StartRedis(tb) },
		"memcached":    func(tb testenv.TB) { testenv.StartMemcached(tb) },
	} {
		said := fails(t, run)
		if !strings.Contains(said, server) || !strings.Contains(said, "\nhint: ") || !strings.Contains(said, "apt-get install") {
			t.Errorf("%s is missing, and it said %q", server, said)
		}
	}
}

// TestServerThatEndsAtOnce: no waiting for what will not come, and its own words.
func TestServerThatEndsAtOnce(t *testing.T) {
	began := time.Now()
	said := fails(t, func(tb testenv.TB) { testenv.StartRedis(tb, "--no-such-option", "1") })
	if !strings.Contains(said, "ended before it answered") || !strings.Contains(said, "no-such-option") {
		t.Errorf("said %q", said)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOutputShownOnFailure(t *testing.T) {
	var scope testenv.Scope
	defer scope.Close()
	r := &recorder{TB: &scope}
	testenv.StartRedis(r)
	r.failed = true
	scope.Close()
	if said := strings.Join(r.lines, "\n"); !strings.Contains(said, "redis at 127.0.0.1:") || !strings.Contains(said, "Ready to accept connections") {
		t.Errorf("said %q", said)
	}
}

func TestDiskDirIsWritable(t *testing.T) {
	dir := testenv.DiskDir(t)
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
}

func TestModuleRoot(t *testing.T) {
	root := testenv.ModuleRoot(t)
	if _, err := os.Stat(filepath.Join(root, "internal", "testenv", "root.go")); err != nil {
		t.Error(err)
	}
}

func TestSize(t *testing.T) {
	t.Setenv("FRESHET_SOAK", "")
	want := 2
	if testing.Short() {
		want = 1
	}
	if got := testenv.Size(1, 2, 3); got != want {
		t.Errorf("size is %d, want %d", got, want)
	}
	t.Setenv("FRESHET_SOAK", "1")
	if got := testenv.Size(1, 2, 3); got != 3 {
		t.Errorf("size of a soak is %d, want 3", got)
	}
}

// TestNoDescriptorIsInherited: a lock that a script took before it started the
// tests must be free once the script has let go, though servers still run.
func TestNoDescriptorIsInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR, 0o600) // no O_CLOEXEC: as a shell's exec 9>lock
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(held, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	testenv.StartRedis(t)
	if err := syscall.Close(held); err != nil {
		t.Fatal(err)
	}
	again, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := syscall.Flock(int(again.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Errorf("the server holds the lock of its parent: %v", err)
	}
}
