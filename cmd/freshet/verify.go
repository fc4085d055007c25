package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) verify() *cobra.Command {
	var sample int
	var fix bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the invariants on live data",
		Long: `verify compares counters with the facts they count, mirrored rows with their
originals, and caches and home feeds with the store. It lists what is broken
and exits with 1 if anything is.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().IntVar(&sample, "sample", 0, "check about this many users instead of all")
	cmd.Flags().BoolVar(&fix, "fix", false, "mend counters and mirrors that are wrong")
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, _ []string) error {
		v, err := a.Verify(ctx, sample, fix)
		if err != nil {
			return err
		}
		err = x.print(v, func(w io.Writer) {
			for _, f := range v.Found {
				fmt.Fprintf(w, "%s: %s: %s\n", f.Subject, f.Invariant, f.Detail)
			}
			fmt.Fprintf(w, "checked %d things, found %d violations\n", v.Checked, len(v.Found))
			if v.Fixed && len(v.Found) > 0 {
				fmt.Fprintln(w, "counters and mirrors were mended; run verify again")
			}
		})
		if err == nil && len(v.Found) > 0 {
			err = errSilent
		}
		return err
	})
}
