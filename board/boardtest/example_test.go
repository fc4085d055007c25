package boardtest_test

import (
	"testing"
	"time"

	"github.com/freshet/freshet/board"
	"github.com/freshet/freshet/board/boardtest"
)

// newBoard stands for the constructor of the backend under test.
var newBoard func(keep int, now func() time.Time) board.Board

// A backend's test makes an empty board each time it is asked.
func ExampleRun() {
	_ = func(t *testing.T) { // TestContract
		boardtest.Run(t, func(_ *testing.T, keep int, now func() time.Time) board.Board { return newBoard(keep, now) })
	}
	// Output:
}
