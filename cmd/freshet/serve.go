package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long:  "serve runs a node until it gets SIGTERM or SIGINT, then lets requests in progress end and exits with 0.",
		Args:  cobra.NoArgs,
	}
	config.BindFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		began := time.Now()
		cfg, err := x.load(cmd)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		node, err := app.Open(ctx, cfg, app.Options{Log: x.logger(cfg), Version: versionText()})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, node.Close()) }()
		ln, err := node.Listen(ctx)
		if err != nil {
			return withHint(err, "is another program on this address? choose one with --addr")
		}
		return node.Serve(ctx, ln, func() {
			ready := time.Since(began).Milliseconds()
			x.print(map[string]any{"url": "http://" + ln.Addr().String(), "data": cfg.Data, "ready_ms": ready}, func(w io.Writer) {
				fmt.Fprintf(w, "freshet listens on http://%s (data in %s, ready in %d ms)\n", ln.Addr(), cfg.Data, ready)
			})
		})
	}
	return cmd
}

// hinted adds a hint to an error that is no mistake of usage.
type hinted struct {
	error
	hint string
}

func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return hinted{err, hint} }
