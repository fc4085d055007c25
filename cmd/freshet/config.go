package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/config"
)

func (x *cli) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show and check the settings"}
	show := &cobra.Command{Use: "show", Short: "Print each setting with its value and where it comes from", Args: cobra.NoArgs}
	show.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := x.load(cmd)
		if err != nil {
			return err
		}
		rows := cfg.Show()
		return x.print(rows, func(w io.Writer) {
			t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
			for _, r := range rows {
				fmt.Fprintf(t, "%s\t%s\t%s\n", r.Key, r.Value, r.Source)
			}
			t.Flush()
		})
	}
	check := &cobra.Command{Use: "check", Short: "Check the settings and say nothing if they are right", Args: cobra.NoArgs}
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := x.load(cmd)
		return err
	}
	example := &cobra.Command{Use: "example", Short: "Print a commented YAML file with every setting", Args: cobra.NoArgs}
	example.RunE = func(*cobra.Command, []string) error {
		_, err := io.WriteString(x.Out, config.Example())
		return err
	}
	config.BindFlags(show.Flags())
	config.BindFlags(check.Flags())
	cmd.AddCommand(show, check, example)
	return cmd
}

func (x *cli) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return x.print(map[string]string{"version": versionText()}, func(w io.Writer) { fmt.Fprintf(w, "freshet %s\n", versionText()) })
		},
	}
}
