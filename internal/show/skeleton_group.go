package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	leastPerFsync   = 16.0
	leastOfOne      = 0.5 // of the rate in one transaction
	leastOverSingle = 2.0 // times the rate of groups of one

	groupAim = "at least 16 per fsync, 0.5 × one transaction, 2 × groups of one"

	groupRounds = 5
)

// measureGroups is point 4. Rounds through the port, in one transaction, and
// through the port with groups of one alternate, each on a file of its own.
func measureGroups(ctx context.Context, l *lab) (outcome, error) {
	dir := l.folder("group")
	defer l.drop(dir)
	var files [3]*groupFile
	for i, max := range []int{0, 0, 1} {
		g, err := openGroupFile(ctx, filepath.Join(dir, strconv.Itoa(i)), max)
		if err != nil {
			return outcome{}, err
		}
		files[i] = g
	}
	many, few := size(20_000, 200_000), size(1_500, 15_000)
	rounds := []func() (rate, error){
		func() (rate, error) { return files[0].throughPort(ctx, many) },
		func() (rate, error) { return files[1].inOneTransaction(ctx, many) },
		func() (rate, error) { return files[2].throughPort(ctx, few) },
	}
	var rates [3][]float64
	var cpu [3][]time.Duration
	var commits int64
	for range groupRounds {
		for i, round := range rounds {
			r, err := round()
			if err != nil {
				return outcome{}, err
			}
			rates[i], cpu[i] = append(rates[i], r.perSecond), append(cpu[i], r.cpu)
			if i == 0 {
				commits += r.commits
			}
		}
	}
	perCommit := float64(groupRounds*many) / float64(commits)
	group, one, single := middle(rates[0]), middle(rates[1]), middle(rates[2])
	l.detail("posts/s, medians of %d rounds: %.0f through the port, %.0f in one transaction, %.0f in groups of one", groupRounds, group, one, single)
	l.detail("processor time for a post: %s, %s, %s", micros(middle(cpu[0])), micros(middle(cpu[1])), micros(middle(cpu[2])))
	l.detail("by round: %.0f, %.0f, %.0f", rates[0], rates[1], rates[2])
	if err := errors.Join(files[0].check(ctx), files[1].check(ctx), files[2].check(ctx)); err != nil {
		return outcome{}, err
	}
	l.machine()
	if err := l.disk(dir); err != nil {
		return outcome{}, err
	}
	perFsync, err := l.countFsyncs(ctx)
	if err != nil {
		return outcome{}, err
	}
	perFsync = min(perFsync, perCommit)
	l.detail("%.1f posts per commit; files, counters, jobs and changes hold what was acknowledged", perCommit)
	if err := l.postOverHTTP(ctx); err != nil {
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%.1f per fsync, %.2f ×, %.1f ×", perFsync, group/one, group/single),
		perFsync >= leastPerFsync && group/one >= leastOfOne && group/single >= leastOverSingle,
	}, nil
}

// countFsyncs has strace(1) count the system calls of a process that writes
// posts. Those that made the file and its authors count too, so it is a lower
// bound. Without strace, commits stand for fsyncs.
func (l *lab) countFsyncs(ctx context.Context) (perFsync float64, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		l.detail("strace is absent: fsyncs are not counted, commits are")
		return leastPerFsync, nil
	}
	dir := l.folder("strace")
	defer l.drop(dir)
	posts, trace := size(20_000, 100_000), filepath.Join(l.dir, "strace.txt")
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, strace, "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", trace,
		l.self, postWorker, dir, strconv.Itoa(posts))
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errOut, l.environment("")
	if err := cmd.Run(); err != nil {
		if strings.Contains(errOut.String(), "strace:") {
			l.detail("strace does not work here (%s): fsyncs are not counted, commits are", strings.TrimSpace(errOut.String()))
			return leastPerFsync, nil
		}
		return 0, fmt.Errorf("write posts under strace: %w\n%s", err, errOut.String())
	}
	var w worked
	if err := json.Unmarshal(out.Bytes(), &w); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		return 0, err
	}
	calls := bytes.Count(text, []byte("sync("))
	if int64(calls) < w.Commits {
		return 0, fmt.Errorf("%d commits made %d fsyncs: is synchronous not FULL?", w.Commits, calls)
	}
	l.detail("under strace %d posts took %d commits and %d fsyncs, making the file included: %.1f posts per fsync",
		w.Posts, w.Commits, calls, float64(w.Posts)/float64(calls))
	return float64(w.Posts) / float64(calls), nil
}

// postOverHTTP prints the rate of posts on 64 connections.
func (l *lab) postOverHTTP(ctx context.Context) error {
	data := l.folder("http")
	n, err := l.serve(ctx, data)
	if err != nil {
		return err
	}
	defer n.kill()
	key, err := l.key(ctx, data, "show")
	if err != nil {
		return err
	}
	c := newClient(n.url, "Bearer "+key, groupWriters)
	defer c.close()
	ids, err := makeUsers(ctx, c, "poster", groupAuthors)
	if err != nil {
		return err
	}
	var posts atomic.Int64
	began := time.Now()
	limit := time.Duration(size(3, 30)) * time.Second
	err = each(ctx, groupWriters, groupWriters, func(ctx context.Context, i int) error {
		for ; time.Since(began) < limit; i += groupWriters {
			if err := c.do(ctx, request{
				method: "POST", path: "/v1/posts", actFor: ids[i%len(ids)], body: map[string]string{"text": fmt.Sprint("a post over HTTP, number ", i)},
			}, nil); err != nil {
				return err
			}
			posts.Add(1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("post over HTTP: %w", err)
	}
	l.detail("over HTTP, %d connections: %.0f posts/s", groupWriters, float64(posts.Load())/time.Since(began).Seconds())
	return n.stop()
}

// makeUsers makes users through the API key and gives their ids. A user's ref is
// its handle.
func makeUsers(ctx context.Context, c *client, prefix string, n int) ([]string, error) {
	type operation map[string]string
	var done struct {
		Results []struct {
			Status int    `json:"status"`
			ID     string `json:"id"`
		} `json:"results"`
	}
	ops := make([]operation, n)
	for i := range ops {
		name := fmt.Sprint(prefix, i)
		ops[i] = operation{"op": "user", "ref": name, "handle": name, "name": name}
	}
	if err := c.do(ctx, request{method: "POST", path: "/v1/batch", body: map[string]any{"operations": ops}}, &done); err != nil {
		return nil, err
	}
	ids := make([]string, n)
	for i, r := range done.Results {
		if r.Status/100 != 2 {
			return nil, fmt.Errorf("make user %d: status %d", i, r.Status)
		}
		ids[i] = r.ID
	}
	return ids, nil
}
