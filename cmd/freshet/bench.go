package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/load"
)

// bench is one call of the command.
type bench struct {
	*cli
	modes                 []string
	url, key, redis       string
	users, posts, workers int
	follows, rate         float64
	duration, warmup      time.Duration
	mix, svg              string
	seed                  uint64
	keep                  bool
	net                   *load.Network
	prepared              *load.Target // has the ids of the network's users
	dir                   string       // of the nodes' data
	share                 *shared      // nil: there is no Redis
}

func (x *cli) bench() *cobra.Command {
	b := &bench{cli: x}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure feed modes side by side under an open-loop load",
		Long: `bench makes a synthetic network and has its users post and read at a fixed rate,
whether answers come or not, and counts latencies from when a request was due.
For each mode it runs a node of its own, in a process and a temporary folder,
which all hold the same network and get the same requests. With --url it drives
a freshet that runs already, and makes the network's users there.`,
		Example: "  freshet bench\n  freshet bench --mode push,adaptive --mix write-heavy --rate 1000 --svg modes.svg\n  FRESHET_API_KEY=fk_… freshet bench --url https://staging.example.com",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringSliceVar(&b.modes, "mode", feedModes, "modes to compare")
	f.StringVar(&b.url, "url", "", "drive this freshet instead of nodes of our own")
	f.StringVar(&b.key, "api-key", "", "API key for --url (better: FRESHET_API_KEY)")
	f.StringVar(&b.redis, "redis", "", "an empty database of Redis that the nodes use as cache.remote, redis://HOST:PORT/DB; it is emptied again")
	f.IntVar(&b.users, "users", 2_000, "users in the network")
	f.Float64Var(&b.follows, "follows", 50, "how many a user follows, on average")
	f.IntVar(&b.posts, "posts", 5, "posts of each user before it begins")
	f.Float64Var(&b.rate, "rate", 500, "requests per second")
	f.DurationVar(&b.duration, "duration", 20*time.Second, "how long to measure")
	f.DurationVar(&b.warmup, "warmup", 5*time.Second, "how long to run before")
	f.StringVar(&b.mix, "mix", "balanced", "read-heavy, balanced or write-heavy")
	f.IntVar(&b.workers, "workers", 256, "requests in flight, at most")
	f.Uint64Var(&b.seed, "seed", 1, "equal seeds give equal networks and requests")
	f.StringVar(&b.svg, "svg", "", "also draw bars into this file")
	f.BoolVar(&b.keep, "keep", false, "leave the nodes' data in place")
	config.BindFlags(f, "config")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return errors.Join(b.settings(cmd), b.check()) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := b.run(cmd.Context())
		if errors.Is(err, context.Canceled) {
			return withHint(errors.New("it was interrupted"), "its nodes have ended; figures come only from runs that end")
		}
		return err
	}
	return cmd
}

// feedModes are what the setting feed.mode allows.
var feedModes = []string{"push", "pull", "hybrid", "adaptive"}

// benchKey is the environment's variable with the key of the freshet at --url.
const benchKey = "FRESHET_API_KEY"

// settings takes what the environment and the file of settings say.
func (b *bench) settings(cmd *cobra.Command) error {
	b.Env = slices.DeleteFunc(slices.Clone(b.Env), func(e string) bool {
		value, ours := strings.CutPrefix(e, benchKey+"=")
		if ours && b.key == "" {
			b.key = value
		}
		return ours // it is none of a node's settings
	})
	cfg, err := b.load(cmd)
	if err != nil {
		return err
	}
	remote := string(cfg.Cache.Remote)
	if b.redis == "" && b.url == "" && remote != "" {
		if !strings.HasPrefix(remote, "redis") {
			return usageError{errors.New("cache.remote is no Redis"), "bench runs its nodes without a remote layer or on Redis: leave cache.remote out"}
		}
		b.redis = remote
	}
	return nil
}

func (b *bench) check() error {
	wrong := func(hint, format string, args ...any) error {
		return usageError{fmt.Errorf(format, args...), hint}
	}
	for _, m := range b.modes {
		if !slices.Contains(feedModes, m) {
			hint := "there are " + strings.Join(feedModes, ", ")
			if near := config.Nearest(m, feedModes); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return wrong(hint, "there is no mode %q", m)
		}
	}
	switch {
	case len(b.modes) == 0:
		return wrong("name some with --mode push,pull", "no mode to measure")
	case !(b.rate > 0 && b.rate <= 1e6):
		return wrong("--rate 500", "--rate is requests per second, from above 0 to a million")
	case b.duration < 100*time.Millisecond || b.warmup < 0:
		return wrong("--duration 20s --warmup 5s", "--duration is at least 100ms, and --warmup not negative")
	case b.posts < 0 || b.posts > 1000 || b.workers < 1 || b.workers > 10_000:
		return wrong("--posts 0 to 1000, --workers 1 to 10000", "--posts or --workers is out of range")
	case b.url == "":
		return nil
	}
	if u, err := url.Parse(b.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return wrong("--url http://127.0.0.1:8080", "--url %q is no address", b.url)
	}
	if b.key == "" {
		return wrong("make one there with freshet apikey create bench, and set "+benchKey, "--url needs an API key")
	}
	return nil
}

// run prepares the network and measures one mode after the other, so that none
// disturbs another.
func (b *bench) run(ctx context.Context) (err error) {
	o := load.Options{Users: b.users, Follows: b.follows, Seed: b.seed}
	for _, m := range load.Mixes() {
		if m.Name == b.mix {
			o.Mix = m
		}
	}
	if o.Mix.Name == "" {
		return usageError{fmt.Errorf("there is no mix %q", b.mix), "there are read-heavy, balanced, write-heavy"}
	}
	if b.net, err = load.New(o); err != nil {
		return usageError{err, "change --users or --follows"}
	}
	if b.svg != "" { // an error at the end would cost minutes
		f, err := os.OpenFile(b.svg, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	if b.redis != "" {
		if b.share, err = openShared(ctx, b.redis); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.share.close()) }()
	}
	measure := b.ours
	if b.url != "" {
		measure = b.theirs
	}
	out := benchOutput{
		Users: b.net.Users(), Follows: b.net.Edges(), Mix: b.mix, Seed: b.seed,
		Rate: b.rate, Seconds: b.duration.Seconds(),
	}
	if out.Runs, err = measure(ctx); err != nil {
		return err
	}
	if b.svg != "" {
		if err := writeBars(b.svg, out); err != nil {
			return err
		}
	}
	return b.print(out, out.table)
}

// ours measures nodes of our own.
func (b *bench) ours(ctx context.Context) (runs []benchRun, err error) {
	if b.dir, err = os.MkdirTemp("", "freshet-bench-"); err != nil {
		return nil, err
	}
	if b.keep {
		fmt.Fprintf(b.Err, "data stays in %s\n", b.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	for _, mode := range b.modes {
		r, err := b.inMode(ctx, mode)
		if err != nil {
			return nil, fmt.Errorf("mode %s: %w", mode, err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// theirs measures the freshet at --url, in the mode that it is in.
func (b *bench) theirs(ctx context.Context) ([]benchRun, error) {
	t := load.NewTarget(b.url, b.key, b.net)
	defer t.Close()
	if err := b.setUp(ctx, t); err != nil {
		return nil, err
	}
	r, err := b.measure(ctx, b.url, t)
	return []benchRun{r}, err
}

// setUp makes the network at t. Its name says all that it follows from, so that
// another network is other users.
func (b *bench) setUp(ctx context.Context, t *load.Target) error {
	bar := newProgress(b.Err)
	started := false
	defer bar.end()
	name := fmt.Sprintf("bench-%d-%v-%d-%s", b.users, b.follows, b.seed, b.mix)
	return t.SetUp(ctx, name, b.posts, func(done, total int) {
		if !started {
			bar.start(total, "writes of the network")
			started = true
		}
		bar.reach(done)
	})
}
