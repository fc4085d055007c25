package litedb

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/freshet/freshet"
)

// drawn is what must rise from id to id.
func drawn(id freshet.ID) int64 { return id.Millis()*freshet.Sequences + int64(id.Sequence()) }

// TestIDsNeverGoBack draws with a clock that stands still, jumps and goes back,
// closes and opens the file in between, and places ids by hand.
func TestIDsNeverGoBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := Options{Now: func() time.Time { return now }}
	db := openAt(t, path, opts)
	var last freshet.ID
	seen := map[freshet.ID]bool{}
	for range 300 {
		switch rand.IntN(10) {
		case 0:
			now = now.Add(-time.Duration(rand.IntN(1e9)))
		case 1:
			now = now.Add(time.Duration(rand.IntN(1e8)))
		case 2:
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openAt(t, path, opts)
		case 3:
			placed := freshet.NewID(max(last.Millis(), freshet.Millis(now))+rand.Int64N(20)-10, 7, rand.IntN(freshet.Sequences))
			mustWrite(t, db, func(tx *Tx) error {
				tx.PassID(placed)
				_, err := tx.Exec("INSERT OR REPLACE INTO totals VALUES (1, 0)")
				return err
			})
			if drawn(placed) > drawn(last) {
				last = placed
			}
		}
		mustWrite(t, db, func(tx *Tx) error {
			for range rand.IntN(2 * freshet.Sequences) {
				id := tx.NextID(rand.IntN(freshet.Buckets))
				if drawn(id) <= drawn(last) || seen[id] {
					t.Fatalf("drew %d (%d) after %d (%d)", id, drawn(id), last, drawn(last))
				}
				last, seen[id] = id, true
			}
			_, err := tx.Exec("INSERT OR REPLACE INTO totals VALUES (1, 0)")
			return err
		})
		if len(seen) > 1e5 {
			clear(seen)
		}
	}
}

func TestIDsBearTheClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	db := open(t, Options{Now: func() time.Time { return now }})
	mustWrite(t, db, func(tx *Tx) error {
		id := tx.NextID(77)
		if !id.Time().Equal(now) || id.Bucket() != 77 || id.Sequence() != 0 {
			t.Errorf("drew %v in bucket %d with sequence %d", id.Time(), id.Bucket(), id.Sequence())
		}
		if !tx.Now().Equal(now) {
			t.Errorf("now is %v", tx.Now())
		}
		return nil
	})
}
