package litedb

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestViewsEndWithTheirContext(t *testing.T) {
	db := open(t, Options{Readers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := db.View(ctx, func(c *Conn) error {
		return c.Each("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n", nil, func(*Rows) {
			if n++; n == 1000 {
				cancel()
			}
		})
	})
	if err != context.Canceled || n > 2000 {
		t.Errorf("%v after %d rows", err, n)
	}
	if err := db.View(ctx, func(*Conn) error { return nil }); err != nil && err != context.Canceled {
		t.Error(err)
	}
	if got := count(t, db, "SELECT 1"); got != 1 {
		t.Error("the connection is of no more use")
	}
}

func TestASnapshotStandsStill(t *testing.T) {
	db := open(t, Options{Readers: 1})
	for range 2 { // the connection is used again
		before := count(t, db, "SELECT count(*) FROM items")
		if err := db.Snapshot(t.Context(), func(c *Conn) error {
			for range 3 {
				var n int64
				if _, err := c.One("SELECT count(*) FROM items", nil, func(r *Rows) { n = r.Int(0) }); err != nil {
					return err
				}
				if n != before {
					t.Errorf("%d rows, want %d throughout", n, before)
				}
				id := int(before + 100*n + time.Now().UnixNano()%1e9)
				mustWrite(t, db, insert(id, fmt.Sprint(id)))
				before = n
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.View(t.Context(), func(c *Conn) error {
			return c.Each("INSERT INTO items VALUES (1, '', '')", nil, func(*Rows) {})
		}); err == nil {
			t.Error("a reader wrote")
		}
	}
}
