package litedb

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"modernc.org/sqlite"
)

// maxPages bounds the file, as a full disk would.
func maxPages(t *testing.T, db *DB, n int) {
	t.Helper()
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.One(fmt.Sprintf("PRAGMA max_page_count = %d", n), nil, func(*Rows) {})
		return err
	})
}

func TestAFullDiskFailsTheGroup(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for name, swallow := range map[string]bool{"told": false, "swallowed": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, db *DB) {
				var heard int
				db.OnCommit(func(o []Outboxed) { heard += len(o) })
				maxPages(t, db, int(count(t, db, "PRAGMA page_count"))+20)
				before := db.Position()
				small := func(id int) func(*Tx) error {
					return func(tx *Tx) error {
						return errors.Join(insert(id, fmt.Sprint(id))(tx), tx.Emit(freshet.Effect{Kind: "k"}, 1))
					}
				}
				errs := together(t, db, small(1), func(tx *Tx) error {
					_, err := tx.Exec("INSERT INTO items VALUES (2, 'b', ?)", big)
					if err == nil {
						t.Error("the disk was not full")
					}
					if swallow { // and go on as if in a transaction
						return insert(4, "d")(tx)
					}
					return err
				}, small(3))
				for i, err := range errs {
					if !errors.Is(err, ErrUnwritable) || !strings.HasPrefix(err.Error(), "commit: ") {
						t.Errorf("write %d: %v, want the group to fail", i, err)
					}
					if !swallow && !strings.Contains(err.Error(), "full") {
						t.Errorf("write %d: %v, want the reason", i, err)
					}
				}
				if got := count(t, db, "SELECT count(*) FROM items"); got != 0 || heard != 0 || db.Position() != before {
					t.Errorf("%d rows and %d effects are left of the group, position %v", got, heard, db.Position())
				}
				mustWrite(t, db, func(tx *Tx) error { _, err := tx.One("SELECT 1", nil, func(*Rows) {}); return err })
				if err := db.Unwritable(); !errors.Is(err, ErrUnwritable) {
					t.Errorf("after a write that writes nothing the file is %v, want what failed before it", err)
				}
				mustWrite(t, db, small(5))
				if err := db.Unwritable(); err != nil {
					t.Errorf("after a commit: %v", err)
				}
				if got := count(t, db, "SELECT sum(id) FROM items"); got != 5 {
					t.Errorf("the sum of ids is %d after a later write, want 5", got)
				}
			})
		})
	}
}

// Where SQLite undoes one statement alone (one of several rows), its op fails and
// nobody else; the caller hears of the disk all the same.
func TestAFullDiskFailsAStatement(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		maxPages(t, db, int(count(t, db, "PRAGMA page_count"))+20)
		errs := together(t, db, insert(1, "a"), func(tx *Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i+1 FROM n WHERE i < 1000)
				INSERT INTO items SELECT i, i, hex(zeroblob(4000)) FROM n`)
			return err
		}, insert(2, "b"))
		if errs[0] != nil || !errors.Is(errs[1], ErrUnwritable) || errs[2] != nil {
			t.Errorf("the group ends with %v", errs)
		}
		if got := count(t, db, "SELECT sum(id) FROM items"); got != 3 {
			t.Errorf("the sum of ids is %d, want 3", got)
		}
	})
}

// TestAFailedCommitFailsTheGroup has COMMIT fail in both ways: with the
// transaction still open, and rolled back.
func TestAFailedCommitFailsTheGroup(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		heard := 0
		db.OnCommit(func([]Outboxed) { heard++ })
		emit := func(tx *Tx) error { return tx.Emit(freshet.Effect{Kind: "k"}, 1) }
		refuse := true
		hooks := db.tx.dc.(sqlite.HookRegisterer)
		before := db.Position()
		fails := func(what string, ops ...func(*Tx) error) {
			for _, err := range together(t, db, ops...) {
				if !errors.Is(err, ErrUnwritable) || !strings.HasPrefix(err.Error(), "commit: ") {
					t.Errorf("%s: %v, want the commit's error", what, err)
				}
			}
			if db.Position() != before || heard != 0 || count(t, db, "SELECT count(*) FROM jobs") != 0 {
				t.Errorf("%s: the group left something", what)
			}
		}
		hooks.RegisterCommitHook(func() int32 {
			if refuse {
				return 1
			}
			return 0
		})
		fails("rolled back", emit, emit)
		refuse = false
		if err := db.tx.script(t.Context(), "PRAGMA foreign_keys = ON"); err != nil {
			t.Fatal(err)
		}
		fails("still open", emit, func(tx *Tx) error { _, err := tx.Exec("INSERT INTO parts VALUES (1, 999)"); return err })
		mustWrite(t, db, emit)
		if heard != 1 {
			t.Errorf("%d commits were heard of, want 1", heard)
		}
	})
}
