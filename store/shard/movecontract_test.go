package shard_test

import (
	"testing"

	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/storetest"
)

// A move is of rows in a form that every engine reads and writes, so what one keeps of it holds between two engines.
func TestMoveContractBetweenEngines(t *testing.T) {
	t.Run("FileToDatabase", func(t *testing.T) {
		t.Parallel()
		storetest.RunMovesBetween(t, func(t *testing.T) (from, to store.Part) {
			return openFiles(t, 1, nil).parts[0], openDatabases(t, 1, nil).parts[0]
		})
	})
	if testing.Short() { // the form of rows has nothing to do with what runs beside it
		return
	}
	t.Run("DatabaseToFile", func(t *testing.T) {
		t.Parallel()
		storetest.RunMovesBetween(t, func(t *testing.T) (from, to store.Part) {
			return openDatabases(t, 1, nil).parts[0], openFiles(t, 1, nil).parts[0]
		})
	})
}
