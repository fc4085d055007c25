package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) apikey() *cobra.Command {
	cmd := &cobra.Command{Use: "apikey", Short: "Make, list and revoke API keys"}
	cmd.AddCommand(x.apikeyCreate(), x.apikeyList(), x.apikeyRevoke())
	return cmd
}

func (x *cli) apikeyCreate() *cobra.Command {
	var admin bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API key and print it, once",
		Long: "create prints a new key alone on its line. It works at once, also on a running node, and is never shown again.",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "let the key do what administrators may")
	return x.onData(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		k, err := a.CreateKey(ctx, args[0], admin)
		if err != nil {
			return err
		}
		return x.print(k, func(w io.Writer) { fmt.Fprintln(w, k.Plain) })
	})
}

func (x *cli) apikeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List API keys", Args: cobra.NoArgs}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, _ []string) error {
		keys, err := a.Keys(ctx)
		if err != nil {
			return err
		}
		return x.print(keys, func(w io.Writer) {
			t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tADMIN\tCREATED\tREVOKED")
			for _, k := range keys {
				revoked := "-"
				if k.RevokedAt != nil {
					revoked = k.RevokedAt.Format(time.RFC3339)
				}
				fmt.Fprintf(t, "%s\t%t\t%s\t%s\n", k.Name, k.Admin, k.CreatedAt.Format(time.RFC3339), revoked)
			}
			t.Flush()
		})
	})
}

func (x *cli) apikeyRevoke() *cobra.Command {
	cmd := &cobra.Command{Use: "revoke NAME", Short: "End an API key at once", Args: cobra.ExactArgs(1)}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		k, err := a.RevokeKey(ctx, args[0])
		if err != nil {
			return err
		}
		return x.print(k, func(w io.Writer) { fmt.Fprintf(w, "%s is revoked\n", k.Name) })
	})
}
