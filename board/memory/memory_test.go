package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
	"github.com/freshet/freshet/board/boardtest"
	"github.com/freshet/freshet/board/memory"
)

func TestContract(t *testing.T) {
	boardtest.Run(t, func(_ *testing.T, keep int, now func() time.Time) board.Board {
		return memory.New(memory.Options{Keep: keep, Stale: -1, Now: now})
	})
}

// What was saved goes on as if nothing had been, and what is told again changes nothing.
func TestSaveAndLoad(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	o := memory.Options{Stale: -1, Now: func() time.Time { return now }}
	one, two := memory.New(o), memory.New(o)
	seen := []board.Seen{{List: board.Posts, ID: 7, Author: 9, Value: 5, Touched: 3}, {List: board.Authors, ID: 9, Value: 8, Touched: 2}}
	if err := one.Observe(ctx, now, seen); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := one.Save(&file); err != nil {
		t.Fatal(err)
	}
	if err := two.Load(bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := two.Observe(ctx, now, seen); err != nil {
		t.Fatal(err)
	}
	for _, list := range board.Lists {
		want, _ := one.Top(ctx, list, board.Day, board.Rank{}, 10)
		got, _ := two.Top(ctx, list, board.Day, board.Rank{}, 10)
		if len(want) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", list, got, want)
		}
	}
	if err := memory.New(o).Load(bytes.NewReader(file.Bytes()[:file.Len()/2])); err == nil {
		t.Error("half a file is loaded")
	}
}

// What is in no window is not remembered, so memory has its bound.
func TestNothingIsRememberedOfWhatIsGone(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b := memory.New(memory.Options{Keep: 10, Now: func() time.Time { return now }})
	for i := range freshet.ID(1000) {
		if err := b.Observe(ctx, now, []board.Seen{{List: board.Posts, ID: i + 1, Author: i + 1, Value: 5, Touched: 1}}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	var file bytes.Buffer
	if err := b.Save(&file); err != nil {
		t.Fatal(err)
	}
	if file.Len() > 4000 {
		t.Errorf("%d bytes of a board of 10", file.Len())
	}
}

func Example() {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b := memory.New(memory.Options{Now: func() time.Time { return now }})
	// Post 42 of user 9 was liked twice and commented on once.
	value := board.PostValue(freshet.Counts{Likes: 2, Comments: 1})
	_ = b.Observe(ctx, now, []board.Seen{{List: board.Posts, ID: 42, Author: 9, Value: value, Touched: value}})

	now = now.Add(6 * time.Hour)
	top, _ := b.Top(ctx, board.Posts, board.Day, board.Rank{}, 10)
	fmt.Printf("%d: %.2f\n", top[0].ID, board.Day.Points(top[0].Score, now))
	// Output: 42: 2.00
}

func BenchmarkObserve(b *testing.B) {
	board9 := memory.New(memory.Options{})
	ctx, now := context.Background(), time.Now()
	seen := make([]board.Seen, 1)
	for i := 0; b.Loop(); i++ {
		seen[0] = board.Seen{List: board.Posts, ID: freshet.ID(i%20_000 + 1), Author: freshet.ID(i%3000 + 1), Value: int64(i), Touched: 1}
		if err := board9.Observe(ctx, now, seen); err != nil {
			b.Fatal(err)
		}
	}
}
