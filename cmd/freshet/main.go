// Command freshet is an activity feed in one binary: `freshet serve` runs it,
// the other commands work on its data, beside a running node or without one.
//
//	freshet serve
//	freshet import --follows follows.csv.gz --posts posts.csv.gz
//	freshet apikey create backend
//
// Errors are one line and a hint. Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	code := run(ctx, command{Args: os.Args[1:], Env: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
