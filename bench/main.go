// Command bench measures freshet beside its peers, in one run on one machine, and prints ratios:
//
//	$ cd bench && go run . cache
//
// It is a module of its own, so that the peers stay out of freshet's dependencies. What is compared takes turns in short
// rounds, so that a busy machine slows all of it alike. -json adds a last line with the figures and their aims, for whoever
// runs it from a program. -redis takes a server that runs already; else redis-server is started, and ends with this program.
//
// Exit codes: 0 all aims reached, 1 short of one, 2 it could not be measured.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	var o options
	asJSON := flags.Bool("json", false, "end with a line of JSON")
	flags.StringVar(&o.redis, "redis", "", "host:port of a Redis to use; it is written to")
	flags.StringVar(&o.only, "only", "", "hits, remote or batch: one part alone")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of what is ours to this file")
	flags.DurationVar(&o.flush, "flush", flush, "MaxFlushDelay of ours")
	flags.IntVar(&o.rounds, "rounds", 15, "of everything that is compared")
	if len(args) == 0 || args[0] != "cache" {
		fmt.Fprintln(errs, "usage: bench cache [flags]")
		flags.PrintDefaults()
		return 2
	}
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	figures, err := benchCache(ctx, o, out)
	if err != nil {
		fmt.Fprintln(errs, "bench:", err)
		return 2
	}
	if *asJSON {
		if err := json.NewEncoder(out).Encode(figures); err != nil {
			fmt.Fprintln(errs, "bench:", err)
			return 2
		}
	}
	for _, f := range figures {
		if !f.OK {
			return 1
		}
	}
	return 0
}

type options struct {
	redis, only, profile string
	flush                time.Duration
	rounds               int
}

// A figure is one result. Without an aim it is there to compare with.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Aim   string  `json:"aim,omitempty"`
	OK    bool    `json:"ok"`
}

// table prints figures as they come.
type table struct {
	out     io.Writer
	figures []figure
}

func (t *table) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func (t *table) add(name string, value float64, aim string, ok bool) {
	t.figures = append(t.figures, figure{name, value, aim, ok})
	verdict := ""
	if aim != "" {
		verdict = "aim " + aim + "  ok"
		if !ok {
			verdict = "aim " + aim + "  SHORT"
		}
	}
	t.say("  %-66s %10.3f  %s", name, value, verdict)
}

func (t *table) plain(name string, v float64) { t.add(name, v, "", true) }
func (t *table) atMost(name string, v, aim float64) {
	t.add(name, v, fmt.Sprintf("<= %v", aim), v <= aim)
}

func (t *table) atLeast(name string, v, aim float64) {
	t.add(name, v, fmt.Sprintf(">= %v", aim), v >= aim)
}

func (t *table) exactly(name string, v, aim float64) {
	t.add(name, v, fmt.Sprintf("= %v", aim), v == aim)
}
