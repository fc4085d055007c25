package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/app"
	"github.com/freshet/freshet/config"
)

// version is set by the linker.
var version = ""

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one call of the program.
type command struct {
	Args     []string
	Env      []string
	In       io.Reader
	Out, Err io.Writer
}

// cli is what every command shares.
type cli struct {
	command
	json bool
}

// usageError is a mistake in how a command was called.
type usageError struct {
	err  error
	hint string
}

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Hint() string  { return u.hint }

// errSilent is a failure whose command has said all there is to say.
var errSilent = errors.New("failed")

// run carries out one call and gives its exit code.
func run(ctx context.Context, c command) int {
	x := &cli{command: c}
	root := x.root()
	root.SetArgs(c.Args)
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return x.report(called, err)
}

func (x *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "freshet",
		Short:         "An activity feed in one binary",
		Long:          "freshet adds users, follows, posts, likes, comments and home feeds to a product.\n`freshet serve` runs it; nothing needs to be set.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       versionText(),
	}
	root.SetVersionTemplate("freshet {{.Version}}\n")
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolVar(&x.json, "json", false, "print JSON instead of text")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return x.flagError(cmd, err) })
	root.AddCommand(
		x.serve(), x.imports(), x.user(), x.apikey(), x.cache(), x.shard(), x.verify(), x.bench(),
		x.backup(), x.restore(), x.migrate(), x.config(), x.version(),
	)
	strictArgs(root)
	return root
}

// strictArgs makes wrong arguments a mistake of usage, and a command with
// sub-commands refuse unknown ones.
func strictArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
	if !c.HasSubCommands() {
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError{err, "usage: " + cmd.UseLine()}
				}
				return nil
			}
		}
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		u := usageError{err: fmt.Errorf("unknown command %q", cmd.CommandPath()+" "+args[0])}
		names := make([]string, 0, len(cmd.Commands()))
		for _, s := range cmd.Commands() {
			names = append(names, s.Name())
		}
		if near := config.Nearest(args[0], names); near != "" {
			u.hint = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near)
		} else {
			u.hint = fmt.Sprintf("%s --help lists them", cmd.CommandPath())
		}
		return u
	}
}

func (x *cli) flagError(cmd *cobra.Command, err error) error {
	u := usageError{err: err, hint: cmd.CommandPath() + " --help lists the flags"}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return u
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		u.hint = fmt.Sprintf("did you mean --%s?", near)
	}
	return u
}

// report prints an error with its hint and gives the exit code.
func (x *cli) report(called *cobra.Command, err error) int {
	code := exitFailed
	var usage usageError
	var cfg config.Errors
	if errors.As(err, &usage) || errors.As(err, &cfg) {
		code = exitUsage
	}
	if errors.Is(err, errSilent) {
		return code
	}
	hint := hintFor(err)
	if hint == "" {
		hint = called.CommandPath() + " --help says how it is used"
	}
	if x.json {
		json.NewEncoder(x.Err).Encode(map[string]string{"error": err.Error(), "hint": hint})
		return code
	}
	fmt.Fprintf(x.Err, "freshet: %v\nhint: %s\n", err, hint)
	return code
}

// hintFor says what to do about an error.
func hintFor(err error) string {
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &hinted):
		return hinted.Hint()
	case app.Locked(err):
		return "stop the other freshet, or choose another folder with --data"
	case errors.Is(err, freshet.ErrNotFound):
		return "the list command shows what there is"
	case errors.Is(err, context.Canceled):
		return "it was interrupted; running it again goes on where it stood"
	case errors.Is(err, app.ErrNoData):
		return "is --data right? freshet serve and freshet import make new data"
	case errors.Is(err, fs.ErrNotExist):
		return "is the path right?"
	case errors.Is(err, fs.ErrExist):
		return "choose another name, or move what is there away"
	case errors.Is(err, fs.ErrPermission):
		return "may this user read and write there?"
	case errors.Is(err, syscall.ENOSPC):
		return "make room on the disk; nothing that was acknowledged is lost"
	}
	return ""
}

// load reads the settings for a command whose flags were bound by config.BindFlags.
func (x *cli) load(cmd *cobra.Command) (*config.Config, error) {
	cfg, warnings, err := config.Load(config.Sources{Flags: cmd.Flags(), Env: x.Env})
	for _, w := range warnings {
		fmt.Fprintf(x.Err, "warning: %s\n", w.Message)
		if w.Hint != "" {
			fmt.Fprintf(x.Err, "hint: %s\n", w.Hint)
		}
	}
	return cfg, err
}

// onData makes a command that works on a data folder, through the process that
// serves it where there is one. The folder is made if there is none.
func (x *cli) onData(cmd *cobra.Command, do work) *cobra.Command { return x.connected(cmd, false, do) }

// onExisting is onData for a command that makes no sense without data.
func (x *cli) onExisting(cmd *cobra.Command, do work) *cobra.Command {
	return x.connected(cmd, true, do)
}

// work is what a command does on a data folder.
type work func(ctx context.Context, cfg *config.Config, a *app.Admin, args []string) error

func (x *cli) connected(cmd *cobra.Command, existing bool, do work) *cobra.Command {
	config.BindFlags(cmd.Flags(), "data", "config")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		cfg, err := x.load(cmd)
		if err != nil {
			return err
		}
		a, err := app.Connect(cmd.Context(), cfg, app.Options{Log: x.logger(cfg), Version: versionText(), Existing: existing})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		return do(cmd.Context(), cfg, a, args)
	}
	return cmd
}

func (x *cli) logger(cfg *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" || cfg.Log.Format == "auto" && !isTerminal(x.Err) {
		return slog.New(slog.NewJSONHandler(x.Err, opts))
	}
	return slog.New(slog.NewTextHandler(x.Err, opts))
}

// print writes a command's result: v as JSON with --json, else by text.
func (x *cli) print(v any, text func(w io.Writer)) error {
	if !x.json {
		text(x.Out)
		return nil
	}
	return json.NewEncoder(x.Out).Encode(v)
}

func isTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
