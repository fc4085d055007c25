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

const (
	movePoll = 100 * time.Millisecond
	moveLine = 10 * time.Second // between two lines of a step that takes long
)

// mover is a call of shard move.
type mover struct {
	*cli
	admin  *app.Admin
	to     int
	keep   time.Duration
	abort  bool
	detach bool
}

func (x *cli) shardMove() *cobra.Command {
	m := mover{cli: x}
	cmd := &cobra.Command{
		Use:   "move [BUCKETS --to SHARD]",
		Short: "Move buckets to another shard while they are in use",
		Long: `move copies buckets to another shard, hands them over in a pause of milliseconds
in which writes to them wait, and compares every row. From then on the way back
is kept open for a while (--keep): shard move --abort gives the buckets back with
all that was written since. After that the shard that they came from forgets them.

BUCKETS are numbers and ranges between commas, or all. The node that serves the
data drives the move; where none does, this command does, until it is done.
Without BUCKETS it shows the move that is under way.`,
		Example: "  freshet shard move 0-255 --to 1\n  freshet shard move all --to 1 --keep 1h\n  freshet shard move --abort",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().IntVar(&m.to, "to", -1, "shard that is to have the buckets, by its number in store.shards")
	cmd.Flags().DurationVar(&m.keep, "keep", time.Minute, "how long the way back stays open")
	cmd.Flags().BoolVar(&m.abort, "abort", false, "undo the move that is under way")
	cmd.Flags().BoolVar(&m.detach, "detach", false, "return at once, and let the move go on")
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		to := cmd.Flags().Changed("to")
		switch {
		case m.abort && (len(args) > 0 || to):
			return usageError{errors.New("--abort undoes the move that is under way, whatever its buckets"), "freshet shard move --abort"}
		case len(args) > 0 && !to:
			return usageError{errors.New("no shard to move to"), "name it with --to; freshet shard list shows their numbers"}
		case len(args) == 0 && to:
			return usageError{errors.New("no buckets to move"), "freshet shard move BUCKETS --to " + fmt.Sprint(m.to) + "; freshet shard list shows them"}
		}
		return nil
	}
	return x.onExisting(cmd, func(ctx context.Context, _ *config.Config, a *app.Admin, args []string) error {
		m.admin = a
		return m.run(ctx, args)
	})
}

func (m *mover) run(ctx context.Context, args []string) error {
	switch {
	case m.abort:
		if err := m.admin.AbortMove(ctx); err != nil {
			return err
		}
	case len(args) > 0:
		if _, err := m.admin.Move(ctx, args[0], m.to, m.keep); err != nil {
			return err
		}
	}
	if m.detach {
		return m.print(struct{}{}, func(w io.Writer) { fmt.Fprintln(w, m.goesOn()) })
	}
	err := m.watch(ctx)
	if ctx.Err() != nil {
		return withHint(errors.New("interrupted: "+m.goesOn()), "freshet shard move shows it again, freshet shard move --abort undoes it")
	}
	return err
}

// goesOn says what becomes of a move that is not watched any more.
func (m *mover) goesOn() string {
	if m.admin.Remote() {
		return "the move goes on; freshet shard list shows it"
	}
	return "the move goes on as soon as a node serves this data, or where one does already"
}

// watch prints a line for each step until the move has ended, or, beside a node that goes on with it, until only the way back is open.
func (m *mover) watch(ctx context.Context) error {
	var shown app.Move
	var at time.Time
	for {
		now, err := m.admin.Moving(ctx)
		if err != nil {
			return err
		}
		if now == nil {
			return m.print(struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "there was no move yet") })
		}
		if now.Leg != shown.Leg || now.Step != shown.Step || now.Waits != shown.Waits || now.Table != shown.Table || time.Since(at) > moveLine {
			shown, at = *now, time.Now()
			if err := m.print(now, func(w io.Writer) { fmt.Fprintln(w, progressOf(now)) }); err != nil {
				return err
			}
		}
		if over, err := m.over(now); over {
			return err
		}
		select {
		case <-time.After(movePoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// over reports whether there is nothing more to wait for.
func (m *mover) over(now *app.Move) (bool, error) {
	switch {
	case now.Step == "keeping" && now.Wrong > 0 && !now.Abort:
		return true, withHint(fmt.Errorf("%d rows differ: shard %d keeps what it has", now.Wrong, now.Legs[now.Leg].From),
			"the node's log names one of them; freshet shard move --abort gives the buckets back")
	case now.Step == "keeping" && now.Last() && !now.Abort:
		return m.admin.Remote(), nil
	case now.Step == "undone" && !m.abort:
		return true, errSilent
	}
	return now.Ended(), nil
}

// progressOf is a line that says how far a move has come.
func progressOf(m *app.Move) string {
	leg := m.Legs[m.Leg]
	what := fmt.Sprintf("buckets %s, shard %d to %d", leg.Buckets, leg.From, m.To)
	line := fmt.Sprintf("%s: %s", what, m.Step)
	switch m.Step {
	case "copying":
		line = fmt.Sprintf("%s: copying %s, %d rows so far and %d changes of them", what, m.Table, m.Copied, m.Changed)
		if m.Table == "" {
			line = what + ": copying"
		}
	case "switching":
		line = what + ": copied, and handed over now"
	case "checking":
		line = fmt.Sprintf("%s: in use there after a pause of %d ms; comparing %s, %d rows so far", what, m.PauseMS, m.Table, m.Checked)
	case "keeping":
		line = fmt.Sprintf("%s: in use there after a pause of %d ms; %d rows compared, %d differ; can be undone until %s (freshet shard move --abort)",
			what, m.PauseMS, m.Checked, m.Wrong, m.Until.Local().Format(time.DateTime))
	case "dropping":
		line = fmt.Sprintf("%s: shard %d forgets them", what, leg.From)
	case "undoing":
		line = fmt.Sprintf("%s: aborted, shard %d forgets what it has of them", what, m.To)
	case "returning":
		line = fmt.Sprintf("%s: aborted, shard %d takes them back", what, leg.From)
	case "done":
		line = fmt.Sprintf("%s: done; %d rows copied, longest pause %d ms", what, m.Copied, m.PauseMS)
	case "undone":
		line = what + ": undone, they are where they were"
	}
	if m.Waits != "" {
		line += "; waits: " + m.Waits
	}
	return line
}
