package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

// shownBroken is how many broken lines are printed one by one.
const shownBroken = 20

func (x *cli) imports() *cobra.Command {
	in := app.Import{}
	cmd := &cobra.Command{
		Use:   "import --follows FILE --posts FILE",
		Short: "Load users, follows and posts from CSV files",
		Long: `import loads CSV files, also gzipped ones. Columns are found by name:
follower,followee for follows and author,created_at,text for posts. Users are
made as their handles are met. It can be interrupted and run again; what is
there already stays as it is.`,
		Example: "  freshet import --follows follows.csv.gz --posts posts.csv.gz",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&in.Follows, "follows", "", "CSV file with the columns follower, followee")
	cmd.Flags().StringVar(&in.Posts, "posts", "", "CSV file with the columns author, created_at, text")
	cmd.Flags().BoolVar(&in.Strict, "strict", false, "stop at the first broken line instead of passing it over")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if in.Follows == "" && in.Posts == "" {
			return usageError{errors.New("nothing to import"), "name a file with --follows or --posts"}
		}
		return nil
	}
	return x.onData(cmd, func(ctx context.Context, cfg *config.Config, a *app.Admin, _ []string) error {
		in.MaxText, in.Now = cfg.Limits.Text, time.Now()
		bar := newProgress(x.Err)
		in.Total = func(follows, posts int) { bar.start(follows+posts, "rows") }
		in.Loaded = bar.reach
		broken := 0
		in.Report = func(b app.BrokenLine) {
			if broken++; broken <= shownBroken {
				fmt.Fprintf(x.Err, "%v: passed over\n", b)
			}
		}
		res, err := app.RunImport(ctx, a, in)
		bar.end()
		if broken > shownBroken {
			fmt.Fprintf(x.Err, "and %d more broken lines\n", broken-shownBroken)
		}
		if b, ok := errors.AsType[app.BrokenLine](err); ok {
			return withHint(b, "mend the line, or leave out --strict to pass over broken lines; nothing was loaded")
		}
		if err != nil {
			return err
		}
		return x.print(res, func(w io.Writer) {
			fmt.Fprintf(w, "read %d follows and %d posts, %d broken lines; new: %d users, %d follows, %d posts\n",
				res.Follows, res.Posts, res.Broken, res.New.Users, res.New.Follows, res.New.Posts)
		})
	})
}
