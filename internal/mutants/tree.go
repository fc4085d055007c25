package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// tree is a copy of the source tree, under git so that it can be put back.
type tree struct{ dir string }

type copies []tree

// copyTree makes n copies of what git knows at root or would take in: not what
// is ignored, and not what is deleted.
func copyTree(ctx context.Context, root string, n int) (all copies, err error) {
	ls := exec.CommandContext(ctx, "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	ls.Stderr = os.Stderr
	out, err := ls.Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of the tree: %w", err)
	}
	names := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	for range n {
		dir, err := os.MkdirTemp("", "freshet-mutants-")
		if err != nil {
			return all, err
		}
		all = append(all, tree{dir})
		for _, name := range names {
			if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
				return all, fmt.Errorf("copy the tree: %w", err)
			}
		}
		for _, args := range [][]string{{"init", "-q"}, {"add", "-A", "-f"}, {"commit", "-q", "--no-verify", "-m", "the tree"}} {
			if err := all[len(all)-1].git(ctx, args...); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// spread calls do for each of n tasks with a copy that is free, and returns when
// all are done.
func (c copies) spread(n int, do func(t tree, i int)) {
	tasks := make(chan int, n)
	for i := range n {
		tasks <- i
	}
	close(tasks)
	var workers sync.WaitGroup
	for _, t := range c {
		workers.Go(func() {
			for i := range tasks {
				do(t, i)
			}
		})
	}
	workers.Wait()
}

func (c copies) remove() {
	for _, t := range c {
		os.RemoveAll(t.dir)
	}
}

// copyFile copies a regular file with its permissions, or a symbolic link; one
// that git still lists though it is gone is left out.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// git runs git in the copy, free of the user's own settings and hooks.
func (t tree) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"-c", "user.name=mutants", "-c", "user.email=mutants@localhost",
		"-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "-c", "core.autocrlf=false", "-c", "gc.auto=0",
	}, args...)...)
	cmd.Dir = t.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// restore puts the copy back to how it was made: also what a test has left in
// it, such as the input that made it fail.
func (t tree) restore(ctx context.Context) error {
	return errors.Join(t.git(ctx, "reset", "-q", "--hard"), t.git(ctx, "clean", "-q", "-f", "-d", "-x"))
}

// grace is how long building a test may take on top of its own time.
const grace = 10 * time.Minute

// goTest runs go test -json in the copy and returns what it printed. With
// -trimpath what is compiled does not depend on where the copy lies, so that all
// copies, and `make test` before, share one build cache. Only an
// error that says nothing about the tests is one.
func (t tree) goTest(ctx context.Context, timeout time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-trimpath", "-ldflags=-s -w", "-vet=off", "-count=1", "-timeout=" + timeout.String()}, args...)...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOWORK=off", realData())
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); failed && ctx.Err() == nil {
		err = nil // that is what the events are about
	}
	return out.Bytes(), err
}

// realData names the real data by its place beside the tree, which a copy is
// not beside of.
func realData() string {
	dir := os.Getenv("FRESHET_REALDATA")
	if dir == "" {
		dir = filepath.Join("..", "shared", "data")
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return "FRESHET_REALDATA=" + dir
}
