package litedb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet"
)

// post is a write of four statements, as one of a feed's posts is.
func post(tx *Tx, i int64) error {
	id := tx.NextID(int(i) % 1024)
	if _, err := tx.Exec("INSERT INTO items VALUES (?, ?, ?)", id, fmt.Sprint(i), "some text of a post that is about this long, or a little longer"); err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO totals VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n+1", i%1000); err != nil {
		return err
	}
	if err := tx.Change(1, id, 0, nil); err != nil {
		return err
	}
	return tx.Emit(freshet.Effect{Kind: "fanout", Key: "x"}, id)
}

func openListened(b *testing.B) *DB {
	db := open(b, Options{})
	if _, err := db.subscribe(b.Context(), "bench", true); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkWrite64 has 64 goroutines that wait for each of their writes.
func BenchmarkWrite64(b *testing.B) {
	db := openListened(b)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			if _, err := db.Write(context.Background(), func(tx *Tx) error { return post(tx, i) }); err != nil {
				b.Fatal(err)
			}
		}
	})
	c, w := db.Counts()
	b.ReportMetric(float64(w)/float64(c), "writes/commit")
}

// BenchmarkOneTransaction is the ceiling: the same statements, one commit.
func BenchmarkOneTransaction(b *testing.B) {
	db := openListened(b)
	b.ResetTimer()
	if _, err := db.Write(context.Background(), func(tx *Tx) error {
		for i := range b.N {
			if err := post(tx, int64(i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func fill(b *testing.B) *DB {
	db := openListened(b)
	mustWrite(b, db, func(tx *Tx) error {
		for i := range 10_000 {
			if _, err := tx.Exec("INSERT INTO items VALUES (?, ?, ?)", i, fmt.Sprint(i), "some text"); err != nil {
				return err
			}
		}
		return nil
	})
	return db
}

// BenchmarkPointRead reads a row by its key, BenchmarkPointReadDriver does so
// with the driver alone.
func BenchmarkPointRead(b *testing.B) {
	db := fill(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		var text string
		if err := db.View(context.Background(), func(c *Conn) error {
			_, err := c.One("SELECT id, name, text FROM items WHERE id = ?", []any{i % 10_000}, func(r *Rows) { text = r.Text(2) })
			return err
		}); err != nil || text == "" {
			b.Fatal(err)
		}
	}
}

func BenchmarkPointReadDriver(b *testing.B) {
	db := fill(b)
	c, err := openConn(db.path, "", "query_only = ON")
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	stmt, err := c.dc.(driver.ConnPrepareContext).PrepareContext(b.Context(), "SELECT id, name, text FROM items WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	defer stmt.Close()
	query := stmt.(driver.StmtQueryContext)
	args, vals := make([]driver.NamedValue, 1), make([]driver.Value, 3)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		args[0] = driver.NamedValue{Ordinal: 1, Value: int64(i % 10_000)}
		rows, err := query.QueryContext(context.Background(), args)
		if err != nil {
			b.Fatal(err)
		}
		if err := rows.Next(vals); err != nil {
			b.Fatal(err)
		}
		rows.Close()
	}
}
