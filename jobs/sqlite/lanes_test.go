package sqlite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/freshet/freshet"
)

func idOf(n int) freshet.ID {
	return freshet.NewID(int64(1+n/freshet.Sequences), rand.IntN(freshet.Buckets), n%freshet.Sequences)
}

func TestLaneKeepsTheOrderOfMaking(t *testing.T) {
	var l lane
	var model []int64
	for n := range 20_000 {
		switch rand.IntN(5) {
		case 0, 1: // the usual end
			id := idOf(2*n + 100_000)
			l.insert(ref{id: id})
			model = append(model, made(id))
		case 2: // anywhere
			id := idOf(2*rand.IntN(50_000) + 1)
			l.insert(ref{id: id})
			model = append(model, made(id))
		default:
			if l.len() > 0 {
				slices.Sort(model)
				if got := made(l.pop().id); got != model[0] {
					t.Fatalf("got %d, want %d", got, model[0])
				}
				model = model[1:]
			}
		}
		if l.len() != len(model) {
			t.Fatalf("holds %d, want %d", l.len(), len(model))
		}
	}
}

func TestTurnsGoRound(t *testing.T) {
	s := lanes{byKey: map[string]*lane{}}
	next := 0
	add := func(key string, n int) {
		for range n {
			l := s.of(key)
			next++
			l.insert(ref{id: idOf(next)})
			s.settle(l)
		}
	}
	add("a", 1000)
	add("", 3)
	add("b", 2)
	add("c", 1)
	var got []string
	for range 10 {
		l, _, ok := s.turn()
		if !ok {
			t.Fatal("no turn")
		}
		got = append(got, l.key)
		s.done(l)
	}
	if want := []string{"a", "", "b", "c", "a", "", "b", "a", "", "a"}; !slices.Equal(got, want) {
		t.Errorf("turns %q, want %q", got, want)
	}
	if len(s.byKey) != 1 {
		t.Errorf("%d lanes are kept, want the one with work", len(s.byKey))
	}
}

func TestABusyOrHeldLaneHasNoTurn(t *testing.T) {
	s := lanes{byKey: map[string]*lane{}}
	for n := range 3 {
		s.of("a").insert(ref{id: idOf(n + 1)})
	}
	a := s.of("a")
	s.settle(a)
	if _, _, ok := s.turn(); !ok {
		t.Fatal("no turn")
	}
	if _, _, ok := s.turn(); ok || s.settle(a) {
		t.Error("a busy lane had a turn")
	}
	a.until = 1
	if s.done(a) {
		t.Error("a held lane had a turn")
	}
	a.until = 0
	if !s.settle(a) {
		t.Error("the lane did not come back")
	}
}

func BenchmarkTurn(b *testing.B) {
	s := lanes{byKey: map[string]*lane{}}
	for n := range 100_000 {
		l := s.of(fmt.Sprint(n % 1000))
		l.insert(ref{id: idOf(n + 1)})
		s.settle(l)
	}
	b.ReportAllocs()
	for b.Loop() {
		l, r, _ := s.turn()
		l.insert(r)
		s.done(l)
	}
}
