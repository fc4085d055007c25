package litedb

import (
	"path/filepath"
	"testing"
	"testing/fstest"
)

var items = []Migrations{{Owner: "items", Files: fstest.MapFS{"00001_items.sql": {Data: []byte(`-- +goose Up
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, text TEXT);
CREATE TABLE totals (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE parts (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items DEFERRABLE INITIALLY DEFERRED);
-- +goose Down
DROP TABLE items;
`)}}}}

func open(t testing.TB, opts Options) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), opts)
}

func openAt(t testing.TB, path string, opts Options) *DB {
	t.Helper()
	opts.Migrations = items
	db, err := Open(t.Context(), path, opts)
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

func count(t testing.TB, db *DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.View(t.Context(), func(c *Conn) error {
		_, err := c.One(query, args, func(r *Rows) { n = r.Int(0) })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// insert is an op that adds an item.
func insert(id int, name string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO items VALUES (?, ?, '')", id, name)
		return err
	}
}

func mustWrite(t testing.TB, db *DB, op func(*Tx) error) {
	t.Helper()
	if _, err := db.Write(t.Context(), op); err != nil {
		t.Fatal(err)
	}
}
