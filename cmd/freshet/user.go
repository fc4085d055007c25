package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

func (x *cli) user() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Make and list users, set passwords"}
	cmd.AddCommand(x.userCreate(), x.userPasswd(), x.userList())
	return cmd
}

func (x *cli) userCreate() *cobra.Command {
	in := app.NewAccount{}
	cmd := &cobra.Command{
		Use: "create HANDLE", Short: "Make a user; the password is read from the terminal or standard input",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&in.Admin, "admin", false, "make an administrator")
	cmd.Flags().StringVar(&in.Name, "name", "", "name to show (default: the handle)")
	cmd.Flags().StringVar(&in.Email, "email", "", "e-mail address")
	return x.onData(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) (err error) {
		in.Handle = args[0]
		if in.Name == "" {
			in.Name = in.Handle
		}
		if in.Password, err = x.readPassword(); err != nil {
			return err
		}
		u, err := a.CreateUser(ctx, in)
		if err != nil {
			return err
		}
		return x.print(u, func(w io.Writer) { fmt.Fprintf(w, "%s\n", u.ID) })
	})
}

func (x *cli) userPasswd() *cobra.Command {
	var admin bool
	cmd := &cobra.Command{
		Use: "passwd HANDLE", Short: "Set a user's password and end the user's sessions",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "also make the user an administrator")
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		password, err := x.readPassword()
		if err != nil {
			return err
		}
		if err := a.SetPassword(ctx, args[0], password, admin); err != nil {
			return err
		}
		return x.print(struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "the password is set; the user's sessions have ended") })
	})
}

func (x *cli) userList() *cobra.Command {
	var after int64
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List users, oldest first", Args: cobra.NoArgs}
	cmd.Flags().Int64Var(&after, "after", 0, "start behind this id")
	cmd.Flags().IntVar(&limit, "limit", 100, "most users to list")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if limit < 1 || limit > 100_000 {
			return usageError{errors.New("--limit must be 1 to 100000"), "list the next ones with --after ID"}
		}
		return nil
	}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, _ []string) error {
		users, err := a.Users(ctx, freshet.ID(after), limit)
		if err != nil {
			return err
		}
		return x.print(users, func(w io.Writer) {
			t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tHANDLE\tNAME\tFOLLOWERS\tFOLLOWING\tPOSTS")
			for _, u := range users {
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\n", u.ID, u.Handle, u.Name, u.Followers, u.Following, u.Posts)
			}
			t.Flush()
		})
	})
}

// readPassword asks on a terminal, without echo; elsewhere it takes the first
// line of standard input.
func (x *cli) readPassword() (string, error) {
	if f, ok := x.In.(*os.File); ok && isTerminal(f) {
		fmt.Fprint(x.Err, "password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(x.Err)
		return string(b), err
	}
	line, err := bufio.NewReader(io.LimitReader(x.In, 4096)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usageError{errors.New("no password"), "give it on standard input: echo PASSWORD | freshet user …"}
	}
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return line, nil
}
