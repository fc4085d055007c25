package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) shard() *cobra.Command {
	cmd := &cobra.Command{Use: "shard", Short: "Look at the parts that the store is split into, and move data between them"}
	cmd.AddCommand(x.shardList(), x.shardMove())
	return cmd
}

func (x *cli) shardList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Show which shard has which buckets, and whether it can be used",
		Long: "list shows the shards of store.shards by their number, the buckets that lie on each of them, whether they can be read and written, and the move that is under way.",
		Args: cobra.NoArgs,
	}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, _ []string) error {
		shards, err := a.Shards(ctx)
		if err != nil {
			return err
		}
		return x.print(shards, func(w io.Writer) {
			t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "SHARD\tBUCKETS\tCOUNT\tREPLICAS\tSTATE\tPRIMARY")
			for _, s := range shards.Shards {
				fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%s\t%s\n", s.Shard, cmp.Or(s.Buckets, "none"), s.Count, len(s.Replicas), cmp.Or(s.Error, "ready"), s.Primary)
			}
			t.Flush()
			if shards.Move != nil {
				fmt.Fprintln(w, progressOf(shards.Move))
			}
		})
	})
}
