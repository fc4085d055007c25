package sqlite_test

import (
	"testing"

	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/storetest"
)

func TestMoveContract(t *testing.T) {
	storetest.RunMoves(t, func(t *testing.T) (from, to store.Part) { return open(t), open(t) })
}
