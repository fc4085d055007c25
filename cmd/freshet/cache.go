package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) cache() *cobra.Command {
	cmd := &cobra.Command{Use: "cache", Short: "Look into the caches of a running node, and empty them"}
	cmd.AddCommand(x.cacheGet(), x.cachePurge(), x.cacheStats())
	return cmd
}

func (x *cli) cacheGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get SPACE KEY", Short: "Show what each layer holds under a key",
		Long: "get shows what memory and the remote layer hold under a key, and changes nothing. Keys are what the API calls ids.",
		Args: cobra.ExactArgs(2),
	}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		in, err := a.CacheGet(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		return x.print(in, func(w io.Writer) {
			printLayer(w, "memory", in.Memory)
			if in.Remote != nil {
				printLayer(w, "remote", *in.Remote)
			}
		})
	})
}

func printLayer(w io.Writer, name string, l app.CacheLayer) {
	fmt.Fprintf(w, "%s: %s", name, l.State)
	switch {
	case l.FreshFor > 0:
		fmt.Fprintf(w, ", for another %v", l.FreshFor.Round(time.Millisecond))
	case l.FreshFor < 0:
		fmt.Fprintf(w, ", for %v", -l.FreshFor.Round(time.Millisecond))
	}
	if l.Missing {
		fmt.Fprint(w, ", known to be missing")
	}
	if l.Bytes > 0 {
		fmt.Fprintf(w, ", %d bytes", l.Bytes)
	}
	fmt.Fprintln(w)
	if l.Value != nil {
		fmt.Fprintf(w, "  %s\n", l.Value)
	}
}

func (x *cli) cachePurge() *cobra.Command {
	var tag string
	var all bool
	cmd := &cobra.Command{
		Use: "purge SPACE KEY | SPACE --all | --tag TAG", Short: "End what the caches of all nodes hold",
		Long: "purge ends what is cached under a key, in a space, or under a tag: the next read asks the store.",
		Args: cobra.MaximumNArgs(2),
	}
	cmd.Flags().StringVar(&tag, "tag", "", "end what bears this tag, in all spaces")
	cmd.Flags().BoolVar(&all, "all", false, "end all of the space")
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) (err error) {
		switch {
		case tag != "" && len(args) == 0 && !all:
			err = a.CachePurgeTag(ctx, tag)
		case tag == "" && all && len(args) == 1:
			err = a.CachePurgeSpace(ctx, args[0])
		case tag == "" && !all && len(args) == 2:
			err = a.CachePurge(ctx, args[0], args[1])
		default:
			return usageError{errors.New("what to purge is not clear"), "usage: " + cmd.UseLine() + ": a space and a key, a space with --all, or --tag alone"}
		}
		if err != nil {
			return err
		}
		return x.print(struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "purged") })
	})
}

func (x *cli) cacheStats() *cobra.Command {
	cmd := &cobra.Command{Use: "stats", Short: "Show what each space of the running node has done", Args: cobra.NoArgs}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, _ []string) error {
		stats, err := a.CacheStats(ctx)
		if err != nil {
			return err
		}
		health, err := a.CacheHealth(ctx)
		if err != nil {
			return err
		}
		out := struct {
			Spaces []app.CacheStats `json:"spaces"`
			Layer  app.CacheHealth  `json:"layer"`
		}{stats, health}
		return x.print(out, func(w io.Writer) {
			t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(t, "SPACE\tENTRIES\tBYTES\tHITS\tMISSES\tREMOTE HITS\tLOADS\tMEAN\tERRORS\tSTALE\tEVICTED\tAUDITED\tSTALE READS\t")
			for _, s := range stats {
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t%d\t%d\t%d\t%d\t%d\t\n", s.Name, s.Entries, s.Bytes, s.Hits, s.Misses, s.RemoteHits,
					s.Loads, mean(s), s.LoadErrors, s.StaleServed, s.Evictions, s.Audited, s.StaleReads)
			}
			t.Flush()
			printHealth(w, health)
		})
	})
}

// mean is how long the space's source took on average.
func mean(s app.CacheStats) time.Duration {
	if s.LoadTime.Count == 0 {
		return 0
	}
	return (s.LoadTime.Sum / time.Duration(s.LoadTime.Count)).Round(10 * time.Microsecond)
}

func printHealth(w io.Writer, h app.CacheHealth) {
	if !h.Remote {
		fmt.Fprintln(w, "remote layer: none")
		return
	}
	state := "in use"
	if !h.Usable {
		state = "not in use"
	}
	fmt.Fprintf(w, "remote layer: %s, breaker %s, %d of %d calls failed, %d keys and %d tags owed", state, h.Breaker, h.Failures, h.Calls, h.KeysOwed, h.TagsOwed)
	if h.EverHeard {
		fmt.Fprintf(w, ", channel heard of %v ago", h.ChannelAge.Round(time.Millisecond))
	}
	fmt.Fprintln(w)
}
