package testenv_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// The variable makes a copy of this test binary one that starts servers, prints
// their process ids and waits to be killed.
const victim = "FRESHET_TESTENV_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victim) == "" {
		os.Exit(m.Run())
	}
	var scope testenv.Scope
	fmt.Println(
		testenv.StartRedis(&scope).Pid(),
		testenv.StartMemcached(&scope).Pid(),
		testenv.StartPostgres(&scope).Pid(),
	)
	_, _ = io.Copy(io.Discard, os.Stdin)
	scope.Close()
}

// TestServersEndWhenTestIsKilled: kill -9 on the test process leaves nothing.
func TestServersEndWhenTestIsKilled(t *testing.T) {
	temp := openTempDir(t) // a killed process removes nothing
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var servers [3]int
	_, scanned := fmt.Fscan(out, &servers[0], &servers[1], &servers[2])
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	if scanned != nil {
		t.Fatalf("the victim started %v and then: %v", servers, scanned)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range servers {
		for testenv.Alive(pid) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(pid, syscall.SIGQUIT)
				t.Errorf("process %d outlives the test", pid)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// openTempDir is a TempDir that a server under its own user may pass through.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "freshet-victim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
