// Package boardtest is the contract of [board.Board] as tests, which every backend passes.
//
//	boardtest.Run(t, func(t *testing.T, keep int, now func() time.Time) board.Board { return memory.New(…) })
package boardtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
)

// Open makes an empty board that keeps so many of each list and window, and shows at once what it was told.
type Open func(t *testing.T, keep int, now func() time.Time) board.Board

// Run checks a backend.
func Run(t *testing.T, open Open) {
	t.Run("EqualsTheModel", func(t *testing.T) { equalsTheModel(t, open) })
	t.Run("ToldTwiceCountsOnce", func(t *testing.T) { toldTwice(t, open) })
	t.Run("NobodyGainsByTakingBack", func(t *testing.T) { takingBack(t, open) })
	t.Run("WhatIsNotKnownGainsWhatWasHeard", func(t *testing.T) { unknown(t, open) })
	t.Run("TheHighestAreKept", func(t *testing.T) { highest(t, open) })
	t.Run("WhatIsOldGivesWay", func(t *testing.T) { old(t, open) })
}

type scene struct {
	*testing.T
	board.Board
	at time.Time
}

func newScene(t *testing.T, open Open, keep int) *scene {
	s := &scene{T: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.Board = open(t, keep, func() time.Time { return s.at })
	return s
}

func (s *scene) sees(seen ...board.Seen) {
	s.Helper()
	if err := s.Observe(s.Context(), s.at, seen); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) post(id freshet.ID, value, touched int64) {
	s.Helper()
	s.sees(board.Seen{List: board.Posts, ID: id, Author: 1000 + id%3, Value: value, Touched: touched})
}

// all reads a list page by page.
func (s *scene) all(list board.List, w board.Window, page int) (all []board.Rank) {
	s.Helper()
	var after board.Rank
	for {
		part, err := s.Top(s.Context(), list, w, after, page)
		if err != nil {
			s.Fatal(err)
		}
		if len(part) == 0 {
			return all
		}
		all, after = append(all, part...), part[len(part)-1]
	}
}

// points are those of one in a list; 0: it is not there.
func (s *scene) points(list board.List, w board.Window, id freshet.ID) float64 {
	for _, r := range s.all(list, w, 100) {
		if r.ID == id {
			return w.Points(r.Score, s.at)
		}
	}
	return 0
}

func (s *scene) wants(list board.List, w board.Window, id freshet.ID, want float64) {
	s.Helper()
	if got := s.points(list, w, id); math.Abs(got-want) > 1e-4*max(1, want) {
		s.Fatalf("%s %s: %d has %v points, want %v", list, w, id, got, want)
	}
}

// model adds up events as they are defined.
type model map[board.Window]map[freshet.ID]float64

func (m model) decay(by time.Duration) {
	for w, all := range m {
		for id := range all {
			all[id] *= math.Exp2(-float64(by) / float64(w.HalfLife()))
		}
	}
}

func (m model) add(id freshet.ID, gain int64) {
	for _, all := range m {
		all[id] = max(0, all[id]+float64(gain))
	}
}

func newModel() model {
	m := make(model)
	for _, w := range board.Windows {
		m[w] = make(map[freshet.ID]float64)
	}
	return m
}

func equalsTheModel(t *testing.T, open Open) {
	s, rng := newScene(t, open, 1000), rand.New(rand.NewPCG(1, 2))
	posts, authors := newModel(), newModel()
	values := make(map[freshet.ID]int64)
	for range 400 {
		step := time.Duration(rng.IntN(600)) * time.Second
		s.at = s.at.Add(step)
		posts.decay(step)
		authors.decay(step)
		id := freshet.ID(1 + rng.IntN(20))
		switch {
		case rng.IntN(40) == 0:
			if err := s.Remove(t.Context(), board.Posts, id); err != nil {
				t.Fatal(err)
			}
			for _, all := range posts {
				delete(all, id)
			}
			delete(values, id)
		case rng.IntN(4) == 0:
			author := 1000 + id%3
			values[author] += 2
			s.sees(board.Seen{List: board.Authors, ID: author, Value: values[author], Touched: 2})
			authors.add(author, 2)
		default:
			gain := int64(1 + rng.IntN(3))
			if values[id] > 3 && posts[board.Hour][id] > 5 && rng.IntN(3) == 0 {
				gain = -1
			}
			values[id] += gain
			s.post(id, values[id], max(gain, 1))
			posts.add(id, gain)
			authors.add(1000+id%3, gain)
		}
	}
	for _, w := range board.Windows {
		for list, m := range map[board.List]model{board.Posts: posts, board.Authors: authors} {
			ranks := s.all(list, w, 1+rng.IntN(7))
			for i, r := range ranks {
				// What was worth less than a hundredth may have been let go meanwhile.
				if got, want := w.Points(r.Score, s.at), m[w][r.ID]; math.Abs(got-want) > 0.01+1e-6*want {
					t.Fatalf("%s %s: %d has %v points, want %v", list, w, r.ID, got, want)
				}
				if i > 0 && !ranks[i-1].Before(r) {
					t.Errorf("%s %s: %v before %v", list, w, ranks[i-1], r)
				}
			}
			for id, points := range m[w] {
				if points > 0.03 && !slices.ContainsFunc(ranks, func(r board.Rank) bool { return r.ID == id }) {
					t.Errorf("%s %s: %d with %v points is not there", list, w, id, points)
				}
			}
		}
	}
}

func toldTwice(t *testing.T, open Open) {
	s := newScene(t, open, 100)
	for range 3 {
		s.post(7, 5, 5)
		s.at = s.at.Add(board.Hour.HalfLife())
	}
	s.at = s.at.Add(-board.Hour.HalfLife())
	s.wants(board.Posts, board.Hour, 7, 5.0/4)
	s.wants(board.Authors, board.Hour, 1001, 5.0/4)
}

func takingBack(t *testing.T, open Open) {
	s := newScene(t, open, 100)
	s.post(7, 10, 10)
	before := s.points(board.Posts, board.Hour, 7)
	for range 20 {
		s.post(7, 11, 1)
		s.at = s.at.Add(time.Minute)
		s.post(7, 10, 1)
	}
	if after := s.points(board.Posts, board.Hour, 7); after > before {
		t.Errorf("a like that comes and goes makes %v of %v points", after, before)
	}
	s.post(7, 0, 10)
	s.wants(board.Posts, board.Hour, 7, 0)
	s.post(7, 1, 1)
	s.wants(board.Posts, board.Hour, 7, 1)
}

func unknown(t *testing.T, open Open) {
	s := newScene(t, open, 100)
	s.post(7, 10_000, 3)
	s.wants(board.Posts, board.Day, 7, 3)
	s.post(8, 1, 2) // a like that came and went, and one that stayed
	s.wants(board.Posts, board.Day, 8, 1)
	s.post(9, 0, 2)
	s.wants(board.Posts, board.Day, 9, 0)
}

func highest(t *testing.T, open Open) {
	const keep = 50
	s := newScene(t, open, keep)
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(500) {
		s.post(freshet.ID(1+i), int64(1+i), int64(1+i))
	}
	ranks := s.all(board.Posts, board.Week, 10)
	if len(ranks) != keep {
		t.Fatalf("%d are kept", len(ranks))
	}
	for i, r := range ranks {
		if r.ID != freshet.ID(500-i) {
			t.Fatalf("place %d has %d", i, r.ID)
		}
	}
}

func old(t *testing.T, open Open) {
	s := newScene(t, open, 100)
	s.post(7, 4, 4)
	s.at = s.at.Add(time.Hour)
	s.post(8, 1, 1)
	for _, w := range board.Windows {
		s.wants(board.Posts, w, 7, 4*math.Exp2(-float64(time.Hour)/float64(w.HalfLife())))
	}
	if ranks := s.all(board.Posts, board.Hour, 10); ranks[0].ID != 8 {
		t.Errorf("%v", ranks)
	}
	if ranks := s.all(board.Posts, board.Day, 10); ranks[0].ID != 7 {
		t.Errorf("%v", ranks)
	}
	s.at = s.at.Add(24 * time.Hour)
	s.post(9, 1, 1)
	if ranks := s.all(board.Posts, board.Hour, 10); len(ranks) != 1 {
		t.Errorf("what is a day old is in the last hour: %v", ranks)
	}
}
