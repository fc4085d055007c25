package postgres_test

import (
	"testing"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/storetest"
)

func TestMoveContract(t *testing.T) {
	storetest.RunMoves(t, func(t *testing.T) (from, to store.Part) {
		from, _ = openAt(t, server.CreateDatabase(t), pgdb.Options{})
		to, _ = openAt(t, server.CreateDatabase(t), pgdb.Options{})
		return from, to
	})
}
