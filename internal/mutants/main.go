// Command mutants takes guards out of the code, one at a time, and sees the
// tests that watch them go red.
//
//	go run ./internal/mutants [-run REGEXP] [-parallel N] [-dir testdata/mutants]
//
// A mutant is a patch whose first lines say what it takes out and who notices:
//
//	# guard: a fill that began before its key changed is dropped
//	# test: ./cache -run ^TestFillBegunBeforeChangeIsDropped$
//	--- a/cache/memory.go
//	+++ b/cache/memory.go
//	…
//
// "# test:" has the arguments of go test: a package, -run, and flags if need be.
// With a line "# hang-ok" a test that does not end within 60 s counts as red.
//
// The tests run in copies of the tree, first as they are, when all must be green,
// then against each patch:
//
//	red       the test failed: the guard is watched
//	SURVIVED  the test passed: the guard could be lost unnoticed
//	BROKEN    the patch does not apply or compile, or the test hung
//
// It exits with 0 if all are red. It is no random mutation: each patch is a
// mistake that somebody could make, written by hand.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	dir      string         // of the patches, below the root of the tree
	only     *regexp.Regexp // names of mutants; nil is all
	parallel int            // copies of the tree that are worked in at once
	timeout  time.Duration  // for one test
}

func main() {
	dir := flag.String("dir", "testdata/mutants", "folder of the patches")
	only := flag.String("run", "", "only the mutants whose name this `regexp` matches")
	parallel := flag.Int("parallel", 2, "copies of the tree to work in at once")
	timeout := flag.Duration("timeout", time.Minute, "for one test")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "mutants: -run takes a regular expression, and nothing else is taken")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, os.Stdout, ".", options{dir: *dir, only: match, parallel: *parallel, timeout: *timeout})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// run judges the mutants of the tree at root, prints the list, and tells whether
// all are red.
func run(ctx context.Context, out io.Writer, root string, o options) (ok bool, err error) {
	mutants, err := readMutants(root, o.dir, o.only)
	if err != nil {
		return false, err
	}
	copies, err := copyTree(ctx, root, max(1, min(o.parallel, len(mutants))))
	defer copies.remove()
	if err != nil {
		return false, err
	}
	if err := copies.baseline(ctx, mutants, o.timeout); err != nil {
		return false, err
	}
	judged := judgeAll(ctx, copies, mutants, o.timeout)
	verdicts := list(out, mutants, judged)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return summary(out, mutants, verdicts), nil
}

// judgeAll hands the mutants to the copies as they become free. Each verdict
// arrives in the channel of its mutant.
func judgeAll(ctx context.Context, copies copies, mutants []mutant, timeout time.Duration) []chan verdict {
	judged := make([]chan verdict, len(mutants))
	for i := range judged {
		judged[i] = make(chan verdict, 1)
	}
	go copies.spread(len(mutants), func(t tree, i int) { // ends with the last mutant, whose verdict list waits for
		judged[i] <- t.judge(ctx, mutants[i], timeout)
	})
	return judged
}

// list prints a row for each mutant, in order, as soon as it can.
func list(out io.Writer, mutants []mutant, judged []chan verdict) []verdict {
	name, guard, test := len("mutant"), len("guard"), len("test")
	for _, m := range mutants {
		name, guard, test = max(name, len(m.name)), max(guard, len(m.guard)), max(test, len(m.test))
	}
	row := func(cells ...any) { fmt.Fprintf(out, "%-*s  %-*s  %-*s  %s\n", cells...) }
	row(name, "mutant", guard, "guard", test, "test", "")
	verdicts := make([]verdict, len(mutants))
	for i, m := range mutants {
		verdicts[i] = <-judged[i]
		row(name, m.name, guard, m.guard, test, m.test, verdicts[i].status)
	}
	return verdicts
}

// summary prints what is wrong with those that are not red, and counts. It tells
// whether all are.
func summary(out io.Writer, mutants []mutant, verdicts []verdict) (ok bool) {
	counts := make(map[status]int)
	for i, v := range verdicts {
		counts[v.status]++
		if v.status != red {
			fmt.Fprintf(out, "\n%s: %s\n%s\n", mutants[i].name, v.status, v.detail)
		}
	}
	fmt.Fprintf(out, "\n%d mutants: %d red, %d survived, %d broken\n", len(mutants), counts[red], counts[survived], counts[broken])
	return counts[red] == len(mutants)
}
