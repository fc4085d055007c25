package board_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/freshet/freshet/board"
)

// Scores stay exact as long as ids last.
func TestScoresIn2069(t *testing.T) {
	at := time.Date(2069, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, w := range board.Windows {
		score := board.None
		for range 1000 {
			score = w.Add(score, 1, at)
		}
		score = w.Add(score, -400, at)
		if got := w.Points(score, at.Add(w.HalfLife())); math.Abs(got-300) > 1e-4 {
			t.Errorf("%s: %v points, want 300", w, got)
		}
	}
}

func ExampleWindow_Points() {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	score := board.Day.Add(board.None, 8, noon) // eight likes
	fmt.Printf("%.1f %.1f\n", board.Day.Points(score, noon), board.Day.Points(score, noon.Add(24*time.Hour)))
	// Output: 8.0 0.5
}
