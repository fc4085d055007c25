package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"rsc.io/script"
	"rsc.io/script/scripttest"
)

// The scripts in testdata/script say what the commands do. They run the program
// itself: this test's binary is freshet where the environment says so.
//
//	freshet ARGS…          runs a command
//	up ARGS…               runs freshet serve --addr $ADDR in the background, until it is ready
//	down                   ends it with SIGTERM; it must exit with 0
//	http METHOD PATH       asks the node; with credentials from $KEY, for $AS
//	let NAME               sets $NAME to the last standard output, trimmed
//
// beFreshet makes this test's binary freshet, and the processes that it starts
// too; it does not begin like a setting.
const beFreshet = "TEST_BE_FRESHET"

func TestMain(m *testing.M) {
	if os.Getenv(beFreshet) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestScripts(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			engine := script.NewEngine()
			engine.Quiet = true
			engine.Cmds["freshet"] = script.Program(exe, func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGTERM) }, 20*time.Second)
			n := &node{exe: exe}
			defer n.kill()
			engine.Cmds["up"] = n.up()
			engine.Cmds["down"] = n.down()
			engine.Cmds["http"] = request()
			engine.Cmds["let"] = let()
			work := t.TempDir()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			state, err := script.NewState(ctx, work, []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + work, beFreshet + "=1",
				"ADDR=" + freeAddr(t), "FRESHET_PASSWORD_MIN=8",
			})
			if err != nil {
				t.Fatal(err)
			}
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := state.ExtractFiles(archive); err != nil {
				t.Fatal(err)
			}
			scripttest.Run(t, engine, state, filepath.Base(file), bytes.NewReader(archive.Comment))
		})
	}
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// node is the one that a script runs in the background.
type node struct {
	exe string
	cmd *exec.Cmd
	log bytes.Buffer
}

func (n *node) up() script.Cmd {
	return script.Command(script.CmdUsage{Summary: "run a node", Args: "[ARGS…]"}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		addr, _ := s.LookupEnv("ADDR")
		n.log.Reset()
		n.cmd = exec.Command(n.exe, append([]string{"serve", "--addr", addr}, args...)...)
		n.cmd.Dir, n.cmd.Env = s.Getwd(), s.Environ()
		n.cmd.Stdout, n.cmd.Stderr = &n.log, &n.log
		if err := n.cmd.Start(); err != nil {
			return nil, err
		}
		return nil, answers(addr)
	})
}

func (n *node) down() script.Cmd {
	return script.Command(script.CmdUsage{Summary: "end the node"}, func(*script.State, ...string) (script.WaitFunc, error) {
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return nil, err
		}
		err := n.cmd.Wait()
		n.cmd = nil
		return func(*script.State) (string, string, error) { return n.log.String(), "", err }, nil
	})
}

// kill ends what a failed script left behind.
func (n *node) kill() {
	if n.cmd != nil && n.cmd.Process != nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

// answers waits until the node at addr is ready.
func answers(addr string) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		res, err := http.Get("http://" + addr + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the node at %s does not answer: %v", addr, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func request() script.Cmd {
	return script.Command(script.CmdUsage{Summary: "ask the node", Args: "METHOD PATH [BODY]"}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		if len(args) < 2 {
			return nil, script.ErrUsage
		}
		env := func(name string) string { v, _ := s.LookupEnv(name); return v }
		var body io.Reader
		if len(args) > 2 {
			body = strings.NewReader(args[2])
		}
		req, err := http.NewRequest(args[0], "http://"+env("ADDR")+args[1], body)
		if err != nil {
			return nil, err
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if key := env("KEY"); key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		if as := env("AS"); as != "" {
			req.Header.Set("Freshet-User", as)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		out := fmt.Sprintf("%d %s\n", res.StatusCode, b)
		return func(*script.State) (string, string, error) { return out, "", err }, nil
	})
}

func let() script.Cmd {
	return script.Command(script.CmdUsage{Summary: "set a variable to the last output", Args: "NAME"}, func(s *script.State, args ...string) (script.WaitFunc, error) {
		if len(args) != 1 {
			return nil, script.ErrUsage
		}
		return nil, s.Setenv(args[0], strings.TrimSpace(s.Stdout()))
	})
}
