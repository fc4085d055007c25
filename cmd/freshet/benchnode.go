package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/freshet/freshet/load"
)

// benchNode is a freshet of our own: this program in another process, so that
// its processor time is told apart from the generator's.
type benchNode struct {
	cmd  *exec.Cmd
	end  context.CancelFunc
	url  string
	said bytes.Buffer // to be read when it has ended
}

const (
	nodeReady = 30 * time.Second
	nodeEnds  = 15 * time.Second
)

// child is a command of this program on a data folder. It ends with ctx: by
// SIGTERM, and after a while at once.
func (b *bench) child(ctx context.Context, data string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append(args, "--data", data, "--json")...)
	cmd.Env = b.Env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = nodeEnds
	return cmd, nil
}

// serve starts a node and returns when it listens.
func (b *bench) serve(ctx context.Context, data, mode string) (*benchNode, error) {
	n := new(benchNode)
	ctx, n.end = context.WithCancel(ctx)
	cmd, err := b.child(ctx, data, "serve", "--addr", "127.0.0.1:0", "--feed-mode", mode, "--store-shards", "[{primary: sqlite}]")
	if err != nil {
		return nil, err
	}
	if b.redis != "" {
		cmd.Env = append(slices.Clone(b.Env), "FRESHET_CACHE_REMOTE="+b.redis)
	}
	n.cmd, cmd.Stderr = cmd, &n.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	late := time.AfterFunc(nodeReady, n.end)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	late.Stop()
	var ready struct {
		URL string `json:"url"`
	}
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		ended := n.stop()
		if err := context.Cause(ctx); err != nil && ended == nil {
			return nil, err
		}
		return nil, fmt.Errorf("the node does not listen: %w", errors.Join(err, ended))
	}
	n.url = ready.URL
	return n, nil
}

// stop ends the node and says what it complained of if it did not end well.
func (n *benchNode) stop() error {
	n.end()
	err := n.cmd.Wait()
	if err == nil || errors.Is(err, context.Canceled) && n.cmd.ProcessState.Success() {
		return nil
	}
	return fmt.Errorf("a node ended: %w\n%s", err, lastLines(n.said.String(), 5))
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// fill makes the data of which each node gets a copy, on a node that pulls, so
// that nothing is fanned out yet.
func (b *bench) fill(ctx context.Context) (err error) {
	data := b.filled()
	cmd, err := b.child(ctx, data, "apikey", "create", "bench")
	if err != nil {
		return err
	}
	text, err := cmd.Output()
	var key struct {
		Key string `json:"key"`
	}
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil {
		return fmt.Errorf("make an API key: %w", err)
	}
	b.key = key.Key
	n, err := b.serve(ctx, data, "pull")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop(), b.share.empty()) }()
	b.prepared = load.NewTarget(n.url, b.key, b.net)
	defer b.prepared.Close()
	if err := b.setUp(ctx, b.prepared); err != nil {
		return err
	}
	return b.prepared.Settle(ctx, settleWithin)
}

func (b *bench) filled() string { return filepath.Join(b.dir, "filled") }

// inMode measures one mode on a copy of the data.
func (b *bench) inMode(ctx context.Context, mode string) (r benchRun, err error) {
	data := filepath.Join(b.dir, mode)
	if err := os.CopyFS(data, os.DirFS(b.filled())); err != nil {
		return r, err
	}
	n, err := b.serve(ctx, data, mode)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, n.stop(), b.share.empty())
		if !b.keep {
			err = errors.Join(err, os.RemoveAll(data))
		}
	}()
	t := load.NewTarget(n.url, b.key, b.net)
	defer t.Close()
	t.Adopt(b.prepared)
	return b.measure(ctx, mode, t)
}
