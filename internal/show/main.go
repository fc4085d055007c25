// Command show measures what an issue says must be shown and prints one line
// for each of its points:
//
//	$ go run ./internal/show skeleton
//	skeleton.1  real data imported, every feed walked  … of … feeds equal  (all)  ok
//	skeleton.2  …
//	$ go run ./internal/show -only 2 cache
//
// Details are indented below their point. It exits with 1 if a point is short
// of its aim. -only 3,5 runs these points alone; FRESHET_SOAK=1 takes the full
// counts instead of a test's; FRESHET_REALDATA names the folder of the real data.
//
// Invariants: every figure is measured in this run, by driving the freshet
// binary from outside (processes, HTTP, CSV files), which is built first, or, for
// cache and store, by programs and tests on real servers; aims stand beside their
// point's code and nowhere else, and what is not built is short. What is expected of feeds comes from
// package naive or from a ledger of what was acknowledged, and what is expected of
// a cache from the simulated source, never from what is measured. Data lies on a
// disk, not in memory.
//
// It is not a benchmark to compare machines with: absolute times are printed
// beside the time of a fixed piece of work.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitDone  = 0
	exitShort = 1
	exitUsage = 2
)

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) > 0 {
		if helper := helperNamed(args[0]); helper != nil {
			return helper(ctx, args[1:], os.Stdin, out, progress)
		}
	}
	flags := flag.NewFlagSet("show", flag.ContinueOnError)
	flags.SetOutput(progress)
	only := flags.String("only", "", "points to run, as 1,3; default all")
	keep := flags.Bool("keep", false, "leave the data folders in place")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	points := pointsOf(flags.Arg(0))
	chosen, err := choose(points, *only)
	if err != nil || flags.NArg() != 1 || len(points) == 0 {
		fmt.Fprintf(progress, "show: %s\nusage: show [-only 1,3] [-keep] %s\n", reason(err), strings.Join(names(), "|"))
		return exitUsage
	}
	return show(ctx, flags.Arg(0), chosen, *keep, out, progress)
}

func reason(err error) string {
	if err != nil {
		return err.Error()
	}
	return "name what is to be shown"
}

// show runs points one after the other, so that none disturbs another's figures.
func show(ctx context.Context, name string, points []point, keep bool, out, progress io.Writer) int {
	l, err := openLab(ctx, keep, progress)
	if err != nil {
		fmt.Fprintf(progress, "show: %v\n", err)
		return exitShort
	}
	defer l.Close()
	code := exitDone
	for _, p := range points {
		began := time.Now()
		o := l.run(ctx, p)
		if ctx.Err() != nil {
			fmt.Fprintf(progress, "show: interrupted in point %d\n", p.n)
			return exitShort
		}
		verdict := "ok"
		if !o.ok {
			verdict, code = "short", exitShort
		}
		fmt.Fprintf(out, "%s.%d  %s  %s  (%s)  %s\n", name, p.n, p.what, o.figure, p.aim, verdict)
		for _, d := range l.takeDetails() {
			fmt.Fprintf(out, "    %s\n", d)
		}
		fmt.Fprintf(out, "    took %s\n", time.Since(began).Round(100*time.Millisecond))
	}
	return code
}

func choose(points []point, only string) ([]point, error) {
	if only == "" {
		return points, nil
	}
	var chosen []point
	for text := range strings.SplitSeq(only, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		i := slices.IndexFunc(points, func(p point) bool { return p.n == n })
		if err != nil || i < 0 {
			return nil, fmt.Errorf("there is no point %q", text)
		}
		chosen = append(chosen, points[i])
	}
	return chosen, nil
}

func names() []string { return []string{"skeleton", "cache", "store", "feed"} }

// pointsOf gives the points of an issue, nil for one that is not known.
func pointsOf(name string) []point {
	switch name {
	case "skeleton":
		return skeleton()
	case "cache":
		return cachePoints()
	case "store":
		return storePoints()
	case "feed":
		return feedPoints()
	}
	return nil
}

// helper is a part of show that runs as a process of its own.
type helper func(ctx context.Context, args []string, in io.Reader, out, log io.Writer) int

func helperNamed(name string) helper {
	switch name {
	case bareServer:
		return serveBare
	case postWorker:
		return writePosts
	case cacheWorker:
		return serveCacheWorker
	case feedLab:
		return serveFeedLab
	}
	return nil
}
