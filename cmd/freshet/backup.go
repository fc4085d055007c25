package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) backup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the data into a new file, also while it is in use",
		Args: cobra.ExactArgs(1),
	}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if err := a.Backup(ctx, file); err != nil {
			return err
		}
		return x.print(map[string]string{"file": file}, func(w io.Writer) { fmt.Fprintf(w, "wrote %s\n", file) })
	})
}

func (x *cli) restore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the data; no node may be running",
		Args: cobra.ExactArgs(1),
	}
	config.BindFlags(cmd.Flags(), "data", "config")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := x.load(cmd)
		if err != nil {
			return err
		}
		kept, err := app.Restore(cmd.Context(), cfg, args[0])
		if err != nil {
			return err
		}
		return x.print(map[string]string{"replaced": kept}, func(w io.Writer) {
			fmt.Fprintf(w, "restored %s\n", args[0])
			if kept != "" {
				fmt.Fprintf(w, "the data that was there is kept in %s\n", kept)
			}
		})
	}
	return cmd
}

func (x *cli) migrate() *cobra.Command {
	var plan bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the data's schema up to date, after a backup",
		Long:  "migrate does what serve does at its start, with a backup first and a line for each step. --plan only lists the steps.",
		Args:  cobra.NoArgs,
	}
	config.BindFlags(cmd.Flags(), "data", "config")
	cmd.Flags().BoolVar(&plan, "plan", false, "list the steps and change nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := x.load(cmd)
		if err != nil {
			return err
		}
		if plan {
			steps, err := app.PendingMigrations(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return x.print(steps, func(w io.Writer) {
				for _, s := range steps {
					fmt.Fprintln(w, s)
				}
				fmt.Fprintf(w, "%d steps to run\n", len(steps))
			})
		}
		done, err := app.Migrate(cmd.Context(), cfg, func(step string) { fmt.Fprintf(x.Err, "ran %s\n", step) })
		if err != nil {
			if len(done.Backup) > 0 {
				err = withHint(err, "the data as it was is in "+strings.Join(done.Backup, ", "))
			}
			return err
		}
		return x.print(done, func(w io.Writer) {
			fmt.Fprintf(w, "%d steps were run", done.Steps)
			if len(done.Backup) > 0 {
				fmt.Fprintf(w, "; the data as it was is in %s", strings.Join(done.Backup, ", "))
			}
			fmt.Fprintln(w)
		})
	}
	return cmd
}
