package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
)

// KeepLeast and KeepMost bound for how long the way back of a move stays open after its switch. The least is twice what a node may go by a
// directory that it can't look at; while it is open the shard that buckets have left is written too.
const (
	KeepLeast = 10 * time.Second
	KeepMost  = 7 * 24 * time.Hour
)

// Move is a move of buckets as the commands show it.
type Move struct {
	To      int        `json:"to"`
	Legs    []MoveLeg  `json:"legs"`
	Leg     int        `json:"leg"`  // the one under way, from 0 on
	Step    shard.Step `json:"step"` // copying, switching, checking, keeping, dropping, undoing, returning, done, undone
	Abort   bool       `json:"abort,omitempty"`
	Began   time.Time  `json:"began"`
	Table   string     `json:"table,omitempty"` // that is being copied or checked
	Copied  int64      `json:"copied"`          // rows, of all legs
	Changed int64      `json:"changed"`         // rows that went over because they changed meanwhile
	Checked int64      `json:"checked"`         // rows of the leg that were compared
	Wrong   int64      `json:"wrong"`           // of these, rows that differ
	PauseMS int64      `json:"pause_ms"`        // the longest for which writes to the buckets waited
	Until   *time.Time `json:"until,omitempty"` // while keeping: when the way back ends
	Waits   string     `json:"waits,omitempty"` // why it does not go on
}

// MoveLeg is what a move takes from one shard.
type MoveLeg struct {
	From    int    `json:"from"`
	Buckets string `json:"buckets"`
}

// Ended reports whether a move is not under way any more.
func (m *Move) Ended() bool { return m.Step == shard.Done || m.Step == shard.Undone }

// Last reports whether the last leg is under way.
func (m *Move) Last() bool { return m.Leg == len(m.Legs)-1 }

func shownMove(m *shard.Move) *Move {
	out := &Move{
		To: m.To, Leg: m.Leg, Step: m.Step, Abort: m.Abort, Began: m.Began, Table: m.Table,
		Copied: m.Copied, Changed: m.Changed, Checked: m.Checked, Wrong: m.Wrong, PauseMS: m.Pause.Milliseconds(), Waits: m.Waits,
	}
	for _, leg := range m.Legs {
		out.Legs = append(out.Legs, MoveLeg{leg.From, leg.Text})
	}
	if m.Step == shard.Keeping {
		out.Until = &m.Until
	}
	return out
}

type newMove struct {
	Buckets string
	To      int
	Keep    time.Duration
}

var (
	beginMoveOp = newOp("shard.move", func(ctx context.Context, n *Node, in newMove) (*Move, error) { return n.beginMove(ctx, in) })
	movingOp    = newOp("shard.moving", func(ctx context.Context, n *Node, _ none) (*Move, error) { return n.moving(ctx) })
	abortMoveOp = newOp("shard.abort", func(ctx context.Context, n *Node, _ none) (none, error) { return none{}, n.abortMove(ctx) })
)

// Move begins to move buckets ("0-511,700", "all") to a shard. It returns when that is planned; the process that serves the data drives
// it, or this Admin until it is closed.
func (a *Admin) Move(ctx context.Context, buckets string, to int, keep time.Duration) (*Move, error) {
	return beginMoveOp.do(ctx, a, newMove{buckets, to, keep})
}

// Moving tells of the move under way, or the last one; nil: there was none.
func (a *Admin) Moving(ctx context.Context) (*Move, error) { return movingOp.do(ctx, a, none{}) }

// AbortMove has the leg under way undone. It returns when that is planned.
func (a *Admin) AbortMove(ctx context.Context) error {
	_, err := abortMoveOp.do(ctx, a, none{})
	return err
}

func (n *Node) beginMove(ctx context.Context, in newMove) (*Move, error) {
	buckets, err := store.ParseBuckets(in.Buckets)
	switch {
	case err != nil:
		return nil, freshet.Invalid("buckets", "%s", strings.TrimPrefix(err.Error(), "buckets: "))
	case in.Keep < KeepLeast || in.Keep > KeepMost:
		return nil, freshet.Invalid("keep", "is not between %v and %v", KeepLeast, KeepMost)
	case n.split == nil:
		return nil, freshet.Conflict("store.shards", "names one shard: add the one to move to at the end, and restart")
	}
	m, err := n.split.Move(ctx, buckets, in.To, in.Keep)
	if err != nil {
		return nil, err
	}
	return shownMove(m), nil
}

func (n *Node) moving(ctx context.Context) (*Move, error) {
	if n.split == nil {
		return nil, nil
	}
	m, err := n.split.Moving(ctx)
	if errors.Is(err, shard.ErrNoMove) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return shownMove(m), nil
}

func (n *Node) abortMove(ctx context.Context) error {
	err := shard.ErrNoMove
	if n.split != nil {
		err = n.split.AbortMove(ctx)
	}
	if errors.Is(err, shard.ErrNoMove) {
		return &freshet.Error{Code: freshet.CodeNotFound, Message: err.Error()}
	}
	return err
}
