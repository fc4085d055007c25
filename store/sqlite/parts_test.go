package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

func TestPartContract(t *testing.T) {
	paths := make(map[store.Part]string)
	openFile := func(t *testing.T, path string) store.Part {
		t.Helper()
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		paths[db] = path
		return db
	}
	storetest.RunParts(t, func(t *testing.T, n int) (parts []store.Part) {
		for range n {
			parts = append(parts, openFile(t, filepath.Join(t.TempDir(), "freshet.db")))
		}
		return parts
	}, storetest.PartOptions{
		Reopen: func(t *testing.T, p store.Part) store.Part {
			if err := p.(*sqlite.DB).Close(); err != nil {
				t.Fatal(err)
			}
			return openFile(t, paths[p])
		},
	})
}
