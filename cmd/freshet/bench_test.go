package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// benchCommand is freshet bench as a process, with its data in an empty folder.
func benchCommand(t *testing.T, args ...string) (cmd *exec.Cmd, folder string, said *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder, said = t.TempDir(), new(bytes.Buffer)
	cmd = exec.Command(exe, append([]string{"bench", "--users", "60", "--follows", "5", "--rate", "100"}, args...)...)
	cmd.Env = append(os.Environ(), beFreshet+"=1", "TMPDIR="+folder)
	cmd.Dir, cmd.Stderr = folder, said
	return cmd, folder, said
}

func wantEmpty(t *testing.T, folder string) {
	t.Helper()
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whoever interrupts a bench ends its nodes, and nothing is left of them.
func TestBenchEndsWithItsNodes(t *testing.T) {
	cmd, folder, said := benchCommand(t, "--mode", "push", "--duration", "1m")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its nodes can be asked for
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group := -cmd.Process.Pid
	defer syscall.Kill(group, syscall.SIGKILL)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(folder, "*", "push", "admin.sock")); len(found) > 0 {
			break // the node of the mode is there
		}
		if time.Now().After(deadline) {
			t.Fatal("no node within 20 s")
		}
	}
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(said.String(), "freshet: it was interrupted\nhint: ") {
		t.Errorf("said: %s", said)
	}
	if err := syscall.Kill(group, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a process of it is left (%v)", err)
	}
	wantEmpty(t, folder)
	t.Logf("it took %v", time.Since(began))
}

// On Redis its part of the cost is told; the database is empty before each mode
// and afterwards, and one with something in it is left alone.
func TestBenchOnRedis(t *testing.T) {
	redis := testenv.StartRedis(t)
	url := "redis://" + redis.Addr + "/3"
	cmd, folder, said := benchCommand(t, "--mode", "push,pull", "--warmup", "0s", "--duration", "500ms", "--redis", url, "--json")
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var out benchOutput
	if err := json.Unmarshal(text, &out); err != nil || len(out.Runs) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, r := range out.Runs {
		if r.Redis == nil || r.Redis.Commands < 10 || r.Redis.Out < 100 {
			t.Errorf("mode %s: Redis did %+v", r.Mode, r.Redis)
		}
		if r.Fresh.Missed > 0 || r.Reads.Failed+r.Posts.Failed > 0 {
			t.Errorf("%+v", r)
		}
	}
	wantEmpty(t, folder)

	s, err := openShared(t.Context(), url)
	if err != nil {
		t.Fatal("the database was not emptied: ", err)
	}
	defer s.close()
	if err := s.client.Do(t.Context(), s.client.B().Set().Key("mine").Value("x").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	cmd, _, said = benchCommand(t, "--mode", "push", "--warmup", "0s", "--duration", "200ms", "--redis", url)
	if err := cmd.Run(); err == nil || !strings.Contains(said.String(), "the database holds 1 keys") {
		t.Errorf("a database with a key: %v, %s", err, said)
	}
	if n, err := s.client.Do(t.Context(), s.client.B().Dbsize().Build()).AsInt64(); n != 1 {
		t.Errorf("%d keys are left (%v)", n, err)
	}
}
