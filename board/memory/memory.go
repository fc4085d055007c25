// Package memory keeps boards in the memory of one process, and in a file between two.
//
//	b := memory.New(memory.Options{})
//	err := b.Load(file)
//
// A list and window is a map of scores; what [Board.Top] reads is a sorted copy that is made when it is asked for, once a second
// at most, so that observing costs some microseconds at most and reading a page a binary search.
package memory

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
)

// Options says how much a [Board] keeps. The zero value works.
type Options struct {
	Keep  int              // of each list and window; default 10,000
	Stale time.Duration    // how old what Top shows may be; default 1 s, negative: not at all
	Now   func() time.Time // default time.Now
}

// Board implements [board.Board].
type Board struct {
	options Options

	mu    sync.Mutex
	known map[board.List]map[freshet.ID]int64 // the last value told of what is in a window
	lists map[key]*list
}

type key struct {
	List   board.List
	Window board.Window
}

type list struct {
	window board.Window
	scores map[freshet.ID]float64
	ranked []board.Rank // a sorted copy
	made   time.Time
	dirty  bool
}

var _ board.Board = (*Board)(nil)

// New makes an empty board.
func New(o Options) *Board {
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Stale == 0 {
		o.Stale = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Board{options: o, known: make(map[board.List]map[freshet.ID]int64), lists: make(map[key]*list)}
	for _, l := range board.Lists {
		b.known[l] = make(map[freshet.ID]int64)
		for _, w := range board.Windows {
			b.lists[key{l, w}] = &list{window: w, scores: make(map[freshet.ID]float64), dirty: true}
		}
	}
	return b
}

// Observe implements [board.Board].
func (b *Board) Observe(_ context.Context, at time.Time, seen []board.Seen) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range seen {
		before, known := b.known[s.List][s.ID]
		gain := board.Gain(s, before, known)
		b.known[s.List][s.ID] = s.Value
		b.add(s.List, s.ID, gain, at)
		if s.Author != 0 {
			b.add(board.Authors, s.Author, gain, at)
		}
	}
	return nil
}

// add gives something to one of a list. The lock is held, as in what follows.
func (b *Board) add(of board.List, id freshet.ID, gain int64, at time.Time) {
	for _, w := range board.Windows {
		l := b.lists[key{of, w}]
		score, there := l.scores[id]
		if !there {
			score = board.None
		}
		switch score = w.Add(score, gain, at); {
		case score == board.None && there:
			b.drop(of, w, id)
		case score != board.None:
			l.scores[id], l.dirty = score, true
		}
		if len(l.scores) > b.options.Keep+b.options.Keep/8 {
			b.prune(of, l)
		}
	}
	b.forget(of, id)
}

func (b *Board) drop(of board.List, w board.Window, id freshet.ID) {
	l := b.lists[key{of, w}]
	delete(l.scores, id)
	l.dirty = true
	b.forget(of, id)
}

// forget forgets the value of what is in no window.
func (b *Board) forget(of board.List, id freshet.ID) {
	for _, w := range board.Windows {
		if _, there := b.lists[key{of, w}].scores[id]; there {
			return
		}
	}
	delete(b.known[of], id)
}

// prune sorts a list and lets go of what is too much or worth nothing any more.
func (b *Board) prune(of board.List, l *list) {
	now := b.options.Now()
	l.ranked = make([]board.Rank, 0, len(l.scores)) // whoever reads the last one may go on
	for id, score := range l.scores {
		l.ranked = append(l.ranked, board.Rank{ID: id, Score: score})
	}
	slices.SortFunc(l.ranked, func(x, y board.Rank) int {
		if x.Before(y) {
			return -1
		}
		return 1
	})
	keep, least := min(len(l.ranked), b.options.Keep), l.window.Least(now)
	for keep > 0 && l.ranked[keep-1].Score < least {
		keep--
	}
	for _, r := range l.ranked[keep:] {
		b.drop(of, l.window, r.ID)
	}
	l.ranked, l.made, l.dirty = l.ranked[:keep], now, false
}

// Remove implements [board.Board].
func (b *Board) Remove(_ context.Context, of board.List, ids ...freshet.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		for _, w := range board.Windows {
			b.drop(of, w, id)
		}
	}
	return nil
}

// Top implements [board.Board].
func (b *Board) Top(_ context.Context, of board.List, w board.Window, after board.Rank, n int) ([]board.Rank, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lists[key{of, w}]
	if l == nil {
		return nil, fmt.Errorf("board: no list %s of %s", of, w)
	}
	if l.dirty && b.options.Now().Sub(l.made) > b.options.Stale {
		b.prune(of, l)
	}
	from := 0
	if after.ID != 0 {
		from, _ = slices.BinarySearchFunc(l.ranked, after, func(r, after board.Rank) int {
			if r == after || r.Before(after) {
				return -1
			}
			return 1
		})
	}
	return slices.Clone(l.ranked[from:min(len(l.ranked), from+n)]), nil
}

// snapshot is a board in a file.
type snapshot struct {
	Known  map[board.List]map[freshet.ID]int64
	Scores map[key]map[freshet.ID]float64
}

// Save writes all that the board knows.
func (b *Board) Save(w io.Writer) error {
	b.mu.Lock()
	s := snapshot{Known: make(map[board.List]map[freshet.ID]int64), Scores: make(map[key]map[freshet.ID]float64)}
	for l, known := range b.known {
		s.Known[l] = maps.Clone(known)
	}
	for k, l := range b.lists {
		s.Scores[k] = maps.Clone(l.scores)
	}
	b.mu.Unlock()
	if err := gob.NewEncoder(w).Encode(s); err != nil {
		return fmt.Errorf("save the boards: %w", err)
	}
	return nil
}

// Load reads what Save wrote into a board that is empty. What the feed tells again after that changes nothing.
func (b *Board) Load(r io.Reader) error {
	var s snapshot
	if err := gob.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("load the boards: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for of, known := range s.Known {
		if b.known[of] != nil {
			maps.Copy(b.known[of], known)
		}
	}
	for k, scores := range s.Scores {
		if l := b.lists[k]; l != nil {
			maps.Copy(l.scores, scores)
			l.dirty = true
		}
	}
	return nil
}
