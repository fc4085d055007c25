package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// process is a child that ends with us.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
	err  error         // how it ended; read after done
}

// startProcess starts cmd on a thread of its own that waits for its end: the
// signal that ends the child together with us comes when the thread that made it
// ends, and the runtime may end any other.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = endWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process like a power cut of the program, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // fails only where it has ended
	<-p.done
}

// stop asks the process to end and says how it did.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(30 * time.Second):
		p.kill()
		return errors.New("it did not end within 30 s of SIGTERM")
	}
}

// node is a running `freshet serve`.
type node struct {
	*process
	url  string
	data string
	log  string // the file with what it said
}

const (
	readyWithin = 30 * time.Second
	askEvery    = 2 * time.Millisecond
)

// serve starts a node on a folder and a port that the system chooses, and waits
// until it is ready. env are settings, as FRESHET_FEED_MODE=pull.
func (l *lab) serve(ctx context.Context, data string, env ...string) (*node, error) {
	n, err := l.launch(data, "127.0.0.1:0", env...)
	if err != nil {
		return nil, err
	}
	if err := n.await(ctx); err != nil {
		n.kill()
		return nil, fmt.Errorf("serve %s: %w\n%s", filepath.Base(data), err, n.said())
	}
	return n, nil
}

// launch starts a node and waits for nothing.
func (l *lab) launch(data, addr string, env ...string) (*node, error) {
	log, err := os.CreateTemp(l.dir, "serve-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(l.bin, "serve", "--addr", addr, "--data", data)
	cmd.Env, cmd.Dir = append(l.environment(data), env...), l.dir
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start freshet serve: %w", err)
	}
	l.Cleanup(func() { p.kill() })
	return &node{process: p, url: "http://" + addr, data: data, log: log.Name()}, nil
}

// environment is ours without the settings of freshet, but for where the store of a data folder is.
func (l *lab) environment(data string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FRESHET_") {
			env = append(env, e)
		}
	}
	if l.storeOf != nil && data != "" {
		env = append(env, "FRESHET_STORE_SHARDS="+l.storeOf(data))
	}
	return env
}

var printedURL = regexp.MustCompile(`http://[0-9.]+:[0-9]+`)

// await waits until /readyz answers 200.
func (n *node) await(ctx context.Context) error {
	last := errors.New("it printed no address")
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); time.Sleep(askEvery) {
		if n.ended() {
			return fmt.Errorf("it ended: %v", n.err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		url := printedURL.FindString(n.said())
		if url == "" {
			continue
		}
		n.url = url
		if last = ready(ctx, url+"/readyz"); last == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready within %v: %w", readyWithin, last)
}

// ready reports whether one GET is answered by 200.
func ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}

func (n *node) said() string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// result is what a command left behind.
type result struct {
	code        int
	out, errOut string
}

// freshet runs a command to its end.
func (l *lab) freshet(ctx context.Context, args ...string) (result, error) {
	return l.freshetIn(ctx, "", args...)
}

// freshetIn runs a command that reads in.
func (l *lab) freshetIn(ctx context.Context, in string, args ...string) (result, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, l.bin, args...)
	data := ""
	if at := slices.Index(args, "--data"); at >= 0 {
		data = args[at+1]
	}
	cmd.Env, cmd.Dir, cmd.Stdin = l.environment(data), l.dir, strings.NewReader(in)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	r := result{out: out.String(), errOut: errOut.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
		err = nil
	}
	return r, err
}

// must runs a command that has to succeed.
func (l *lab) must(ctx context.Context, args ...string) (result, error) {
	r, err := l.freshet(ctx, args...)
	if err == nil && r.code != 0 {
		err = fmt.Errorf("freshet %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.errOut)
	}
	return r, err
}

// tool is a command of the tree, as go test. It runs in the module's root and in
// a group of its own: where ctx ends, all that it has started ends too.
func (l *lab) tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = l.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// freeAddr is an address that nobody listens on right now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
