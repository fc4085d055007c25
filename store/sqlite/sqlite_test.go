package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

// open makes an empty file that is closed with the test.
func open(t testing.TB) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), emptyFile(t), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

var empty testenv.Prepared

// emptyFile is the path of a migrated file without rows.
func emptyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "freshet.db")
	empty.Put(t, path, func(path string) error {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			return err
		}
		return db.Close()
	})
	return path
}

// exec changes the file behind the store's back.
func exec(t testing.TB, db *sqlite.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.File().Write(t.Context(), func(tx *litedb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) }, storetest.Options{
		Effects: func(t testing.TB, s store.Store) (effects []freshet.Effect) {
			if err := s.(*sqlite.DB).File().View(t.Context(), func(c *litedb.Conn) error {
				return c.Each("SELECT kind, key, subject, args, run_at FROM jobs ORDER BY created_at, id", nil, func(r *litedb.Rows) {
					effects = append(effects, freshet.Effect{Kind: r.Text(0), Key: r.Text(1), Subject: r.ID(2), Args: r.Blob(3), RunAt: r.Time(4)})
				})
			}); err != nil {
				t.Fatal(err)
			}
			return effects
		},
		Drift: func(t testing.TB, s store.Store, user, post freshet.ID) {
			exec(t, s.(*sqlite.DB), "UPDATE users SET followers_count = followers_count + 1 WHERE id = ?", user)
			exec(t, s.(*sqlite.DB), "UPDATE posts SET likes = likes - 1 WHERE id = ?", post)
		},
	})
}
