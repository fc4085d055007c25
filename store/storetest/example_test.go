package storetest_test

import (
	"path/filepath"
	"testing"

	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

// The test of an engine opens an empty store for each part of the contract.
func Example() {
	TestContract := func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "freshet.db"), sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return db
		}, storetest.Options{})
	}
	_ = TestContract
}
