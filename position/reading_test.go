package position_test

import (
	"context"
	"testing"

	"github.com/freshet/freshet/position"
)

func TestReadingSpansItsParts(t *testing.T) {
	at := func(system, offset uint64) position.Position {
		return position.Position{System: system, Timeline: 1, Offset: offset}
	}
	ctx, reading := position.WithReading(context.Background(), position.Token{at(1, 5)})
	r := position.ReadingOf(ctx)
	if r != reading || r.Need().At(1) != at(1, 5) {
		t.Fatalf("the context bears %+v", r)
	}
	if _, reported := r.Low(); reported {
		t.Fatal("nothing was reported")
	}
	r.Report(nil, position.Token{at(3, 1)})
	if _, reported := r.Low(); reported || r.Need().At(3) != at(3, 1) || r.NeedAt(3) != at(3, 1) || r.NeedAt(1) != at(1, 5) {
		t.Fatal("a write is no read, and is needed by what follows")
	}
	r.Report(position.Token{at(1, 7)}, position.Token{at(1, 9)})
	r.Report(position.Token{at(1, 6), at(2, 3)}, position.Token{at(1, 8), at(2, 4)})
	r.Report(position.Token{at(1, 8)}, position.Token{at(1, 8)})
	if r.NeedAt(1) != at(1, 9) || r.NeedAt(2) != at(2, 4) || r.NeedAt(4) != (position.Position{}) {
		t.Fatalf("needed are %v, %v and %v", r.NeedAt(1), r.NeedAt(2), r.NeedAt(4))
	}
	low, reported := r.Low()
	if high := r.High(); !reported || low.At(1) != at(1, 6) || low.At(2) != at(2, 3) || high.At(1) != at(1, 9) || high.At(2) != at(2, 4) {
		t.Fatalf("read between %v and %v", low, high)
	}
}

func TestAFloorIsNoNeed(t *testing.T) {
	at := func(system, offset uint64) position.Position {
		return position.Position{System: system, Timeline: 1, Offset: offset}
	}
	_, r := position.WithReading(context.Background(), position.Token{at(1, 5), at(2, 5), at(3, 5)})
	r.Floor(position.Token{at(1, 4), at(2, 5)})
	r.Floor(position.Token{at(2, 3), at(4, 1)})
	need, floor := r.Wants()
	if need.At(1) != at(1, 5) || !need.At(2).IsZero() || need.At(3) != at(3, 5) || !need.At(4).IsZero() {
		t.Errorf("needed is %v: a floor stands for what is not above it", need)
	}
	if floor.At(1) != at(1, 4) || floor.At(2) != at(2, 5) || floor.At(4) != at(4, 1) {
		t.Errorf("the floors are %v", floor)
	}
	if r.NeedAt(2) != at(2, 5) || len(r.Need()) != 3 || r.High() != nil {
		t.Errorf("a floor has become a need: %v, or was seen: %v", r.Need(), r.High())
	}
}

func TestNoReadingTakesPartInNothing(t *testing.T) {
	r := position.ReadingOf(context.Background())
	r.Report(position.Token{{System: 1}}, nil)
	r.Floor(position.Token{{System: 1}})
	if need, floor := r.Wants(); need != nil || floor != nil {
		t.Fatal("a nil reading wants something")
	}
	if _, reported := r.Low(); reported || r.Need() != nil || r.High() != nil || !r.NeedAt(1).IsZero() {
		t.Fatal("a nil reading says something")
	}
}
