package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// feedLab is the helper process of the points of feed that measure memory and processor time: each in a process of its
// own, so that one's heap is not the next one's.
const feedLab = "feed-lab"

// experiment is what such a process does; what it gives is printed as JSON.
type experiment func(ctx context.Context, args []string, log io.Writer) (any, error)

var experiments = map[string]experiment{
	"fan-out": fanOutExperiment,
	"reads":   feedReadsExperiment,
	"popular": popularExperiment,
	"cost":    feedCostExperiment,
	"away":    awayExperiment,
}

func serveFeedLab(ctx context.Context, args []string, _ io.Reader, out, log io.Writer) int {
	result, err := experiments[args[0]](ctx, args[1:], log)
	if err == nil {
		err = json.NewEncoder(out).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(log, err)
		return exitShort
	}
	return exitDone
}

// experiment runs one on so many processors and reads what it found into result.
func (l *lab) experiment(ctx context.Context, processors int, result any, name string, args ...string) error {
	cmd := l.tool(ctx, l.self, append([]string{feedLab, name}, args...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", processors))
	var said bytes.Buffer
	cmd.Stderr = &said
	text, err := cmd.Output()
	for line := range strings.Lines(said.String()) {
		l.detail("%s", strings.TrimRight(line, "\n"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, said.String())
	}
	return json.Unmarshal(text, result)
}

// spent is the processor time of this process (getrusage(2)).
func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for a bad address
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory of this process once what is not used has been given back.
func resident() (int64, error) {
	debug.FreeOSMemory()
	return rssOf(os.Getpid())
}
