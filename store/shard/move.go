package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// A move gives buckets to another part while they are in use. It is planned at home, so that it outlives the process that drives it:
// whichever process of those that share the store sees that a plan does not go on takes it over, under a higher term.
//
//	copying ──▶ switching ──▶ checking ──▶ keeping ──▶ dropping ──▶ done
//	   │             │            │            │
//	   └── undoing ◀─┘            └─ returning ◀┘
//
// copying: rows go over page by page, and what changes meanwhile after them. switching: the source is fenced, the last changes go
// over, the source gives the buckets away (from here on there is only forward), the target takes them, the directory says so.
// checking: every row of the source, which stands still, is compared with the target's, but for those that changed there since.
// keeping: changes go the other way, so that the source can have the buckets back. dropping: the source forgets them.

// Step says how far a move has come.
type Step string

// The steps of a move. The last three are ends.
const (
	Copying   Step = "copying"
	Switching Step = "switching"
	Checking  Step = "checking"
	Keeping   Step = "keeping"
	Dropping  Step = "dropping"
	Undoing   Step = "undoing"   // before the switch: the target forgets what it has
	Returning Step = "returning" // after it: the source has the buckets back
	Done      Step = "done"
	Undone    Step = "undone" // all is as it was before
)

// ended reports whether a step is an end.
func (s Step) ended() bool { return s == Done || s == Undone || s == "" }

// Leg is what a move takes from one part. Bucket 0, and home with it, is the last leg of those that take it.
type Leg struct {
	From    int           `json:"from"`
	Buckets store.Buckets `json:"-"`
	Text    string        `json:"buckets"` // Buckets as they are written
}

// Move is a move of buckets, as far as it has come.
type Move struct {
	To      int           `json:"to"`
	Legs    []Leg         `json:"legs"`
	Leg     int           `json:"leg"` // the one under way
	Keep    time.Duration `json:"keep"`
	Step    Step          `json:"step"`
	Abort   bool          `json:"abort,omitempty"` // somebody wants it undone
	Began   time.Time     `json:"began"`
	Table   string        `json:"table,omitempty"` // that is being copied or checked
	Copied  int64         `json:"copied"`          // rows, of all legs
	Changed int64         `json:"changed"`         // rows that went over because they changed meanwhile
	Checked int64         `json:"checked"`         // rows of the leg that were compared
	Wrong   int64         `json:"wrong"`           // of these, rows that differ: then the source keeps what it has until the move is aborted
	Pause   time.Duration `json:"pause"`           // the longest for which the buckets took no writes
	Until   time.Time     `json:"until,omitzero"`  // while keeping: until when
	Waits   string        `json:"waits,omitempty"` // what it is waiting for, or why it tries again

	Term   uint64 `json:"term"`   // how often somebody took it over, all moves before it included
	Driver uint32 `json:"driver"` // who drives it: drawn when a process opens the store
}

// term is the one that parts are told. No two processes ever have the same one, also where they take over from plans on two parts,
// because one has not heard that home has moved.
func (m *Move) term() uint64 { return m.Term<<32 | uint64(m.Driver) }

// leg is the one under way.
func (m *Move) leg() *Leg { return &m.Legs[m.Leg] }

// encode writes a plan.
func (m *Move) encode() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is made of numbers and texts
	}
	return text
}

func decodeMove(text []byte) (*Move, error) {
	m := new(Move)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read the plan of a move: %w", err)
	}
	for i := range m.Legs {
		var err error
		if m.Legs[i].Buckets, err = store.ParseBuckets(m.Legs[i].Text); err != nil {
			return nil, fmt.Errorf("read the plan of a move: %w", err)
		}
	}
	return m, nil
}

// ErrNoMove says that no move is under way.
var ErrNoMove = errors.New("no move of buckets is under way")

// Move begins to move buckets to a part, those that are there already aside. keep is for how long the way back stays open after each
// switch. It returns when that is planned; [Store.Moving] tells how it goes. While a move is under way another is a conflict.
func (s *Store) Move(ctx context.Context, b store.Buckets, to int, keep time.Duration) (*Move, error) {
	if to < 0 || to >= len(s.parts) {
		return nil, freshet.Invalid("to", "is not a shard: there are 0 to %d", len(s.parts)-1)
	}
	for i, p := range s.parts {
		if _, ok := p.(store.BucketMover); !ok {
			return nil, fmt.Errorf("move buckets: part %d can't take part in it", i)
		}
	}
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	m := &Move{To: to, Keep: keep, Step: Copying, Began: time.Now().UTC(), Legs: s.legs(b, to)}
	if len(m.Legs) == 0 {
		return nil, freshet.Invalid("buckets", "are on shard %d already", to)
	}
	last, version, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	if last != nil && !last.Step.ended() {
		return nil, freshet.Conflict("buckets", "can't be moved while another move is under way (%s to shard %d: %s)", last.leg().Text, last.To, last.Step)
	}
	if last != nil {
		m.Term = last.Term
	}
	m.Term++
	m.Driver = s.id
	if err := s.home().SetMovePlan(ctx, m.encode(), version+1); err != nil {
		if freshet.CodeOf(err) == freshet.CodeConflict {
			err = freshet.Conflict("buckets", "can't be moved while another move is under way")
		}
		return nil, err
	}
	begun := *m // the driver's changes
	s.drive(m, version+1)
	return &begun, nil
}

// legs splits what is to be moved by where it is: home last, because the plan is there.
func (s *Store) legs(b store.Buckets, to int) (legs []Leg) {
	dir := s.dir.Load()
	add := func(from int, b store.Buckets) {
		if b.Len() > 0 {
			legs = append(legs, Leg{From: from, Buckets: b, Text: b.String()})
		}
	}
	for from := range s.parts {
		var mine store.Buckets
		for _, bucket := range b.List() {
			if from != to && bucket > 0 && int(dir.Owners[bucket]) == from {
				mine.Add(bucket)
			}
		}
		add(from, mine)
	}
	if home := dir.Home(); b.Has(0) && home != to {
		var zero store.Buckets
		zero.Add(0)
		add(home, zero)
	}
	return legs
}

// Moving is the last move, or the one under way. [ErrNoMove]: there was none.
func (s *Store) Moving(ctx context.Context) (*Move, error) {
	if err := s.Refresh(ctx); err != nil { // home may have moved
		return nil, err
	}
	m, _, err := s.plan(ctx)
	if err == nil && m == nil {
		err = ErrNoMove
	}
	return m, err
}

// AbortMove has all undone that the leg under way did: before its switch the target forgets what it has, after it, while the way back
// is open, the source has its buckets again. Legs that are done stay so. It returns when that is planned.
func (s *Store) AbortMove(ctx context.Context) error {
	for {
		if err := s.Refresh(ctx); err != nil {
			return err
		}
		m, version, err := s.plan(ctx)
		if err != nil {
			return err
		}
		if m == nil || m.Step.ended() {
			return ErrNoMove
		}
		if m.Step == Dropping {
			return freshet.Conflict("move", "is over: shard %d is forgetting what has left it. Move the buckets back instead", m.leg().From)
		}
		m.Abort = true
		home := s.dir.Load().Home()
		err = s.mover(home).SetMovePlan(ctx, m.encode(), version+1)
		if err == nil {
			err = s.Refresh(ctx)
		}
		if freshet.CodeOf(err) != freshet.CodeConflict && (err != nil || s.dir.Load().Home() == home) { // else the plan is elsewhere by now
			return err
		}
	}
}

// home is where the directory and the plan are.
func (s *Store) home() store.BucketMover { return s.mover(s.dir.Load().Home()) }

func (s *Store) mover(part int) store.BucketMover { return s.parts[part].(store.BucketMover) }

// plan reads the last plan; nil: there is none.
func (s *Store) plan(ctx context.Context) (*Move, uint64, error) {
	return planOf(ctx, s.parts[s.dir.Load().Home()])
}

func planOf(ctx context.Context, home store.Part) (*Move, uint64, error) {
	mover, ok := home.(store.BucketMover)
	if !ok {
		return nil, 0, nil
	}
	text, version, err := mover.MovePlan(ctx)
	if err != nil || version == 0 {
		return nil, 0, err
	}
	m, err := decodeMove(text)
	return m, version, err
}
