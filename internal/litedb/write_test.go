package litedb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
)

func TestAFailedWriteFailsNobodyElse(t *testing.T) {
	db := open(t, Options{})
	boom := errors.New("boom")
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range 400 {
		wg.Go(func() {
			_, err := db.Write(t.Context(), func(tx *Tx) error {
				if i%10 == 5 {
					return boom // before it wrote
				}
				if err := insert(i+1, fmt.Sprint(i))(tx); err != nil {
					return err
				}
				switch i % 10 {
				case 3:
					return boom
				case 7:
					panic("oh")
				}
				return tx.Emit(freshet.Effect{Kind: "k"}, 1)
			})
			if err != nil {
				failed.Add(1)
			}
			if (i%10 == 3 || i%10 == 5) && err != boom {
				t.Errorf("write %d: got %v, want its own error", i, err)
			}
			if i%10 == 7 && !strings.Contains(err.Error(), "panicked: oh") {
				t.Errorf("write %d: got %v, want its panic", i, err)
			}
		})
	}
	wg.Wait()
	if got := failed.Load(); got != 120 {
		t.Errorf("%d writes failed, want 120", got)
	}
	if got := count(t, db, "SELECT count(*) FROM items"); got != 280 {
		t.Errorf("%d rows, want 280", got)
	}
	if got := count(t, db, "SELECT count(*) FROM jobs"); got != 280 {
		t.Errorf("%d effects, want 280", got)
	}
	if _, writes := db.Counts(); writes != 280 {
		t.Errorf("%d writes are counted, want 280", writes)
	}
}

// together runs ops as one group: it holds the writer until all are queued.
// It must run inside a synctest bubble.
func together(t *testing.T, db *DB, ops ...func(*Tx) error) []error {
	t.Helper()
	hold := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { db.Write(t.Context(), func(*Tx) error { <-hold; return nil }) })
	synctest.Wait()
	errs := make([]error, len(ops))
	for i, op := range ops {
		wg.Go(func() { _, errs[i] = db.Write(t.Context(), op) })
		synctest.Wait() // one after the other
	}
	close(hold)
	wg.Wait()
	return errs
}

// bubble runs a test whose goroutines must all have ended when it ends.
func bubble(t *testing.T, opts Options, test func(*testing.T, *DB)) {
	synctest.Test(t, func(t *testing.T) { test(t, open(t, opts)) })
}

func TestARunAgainLeavesNoTraceOfTheFirst(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		var heard []Outboxed
		db.OnCommit(func(o []Outboxed) { heard = append(heard, o...) })
		emit := func(tx *Tx) error { return tx.Emit(freshet.Effect{Kind: "k"}, 1) }
		boom := errors.New("boom")
		before := db.Position()
		errs := together(t, db, emit, func(tx *Tx) error { return errors.Join(emit(tx), boom) }, emit)
		if errs[0] != nil || !errors.Is(errs[1], boom) || errs[2] != nil {
			t.Errorf("got %v", errs)
		}
		if len(heard) != 2 || count(t, db, "SELECT count(*) FROM jobs") != 2 {
			t.Errorf("%d effects were heard of, want 2", len(heard))
		}
		if got := db.Position().Offset - before.Offset; got != 1 {
			t.Errorf("the position moved by %d, want 1", got)
		}
	})
}

func TestPositionsRiseWithChangesAlone(t *testing.T) {
	db := open(t, Options{})
	last := db.Position()
	for i := range 5 {
		at, err := db.Write(t.Context(), insert(i+1, fmt.Sprint(i)))
		if err != nil || at.Offset != last.Offset+1 || at.System != last.System || at != db.Position() {
			t.Fatalf("position %v after %v, %v", at, last, err)
		}
		last = at
		at, err = db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.One("\n\tSELECT 1 FROM items", nil, func(*Rows) {})
			return err
		})
		if err != nil || at != last {
			t.Fatalf("a write that only read stands at %v, %v; want %v", at, err, last)
		}
	}
}

// TestAQueryThatWritesIsAWrite: RETURNING makes rows, but it is no read.
func TestAQueryThatWritesIsAWrite(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		boom := errors.New("boom")
		returning := func(name string, err error) func(*Tx) error {
			return func(tx *Tx) error {
				_, qerr := tx.One("INSERT INTO items (name) VALUES (?) RETURNING id", []any{name}, func(*Rows) {})
				return errors.Join(qerr, err)
			}
		}
		before := db.Position()
		errs := together(t, db, returning("a", nil), returning("b", boom))
		if errs[0] != nil || !errors.Is(errs[1], boom) {
			t.Fatalf("got %v", errs)
		}
		if got := count(t, db, "SELECT count(*) FROM items"); got != 1 {
			t.Errorf("%d rows, want 1", got)
		}
		if db.Position() == before {
			t.Error("the position did not move")
		}
	})
}

func TestRowsLeftOpenAreClosed(t *testing.T) {
	db := open(t, Options{Readers: 1})
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(insert(1, "a")(tx), insert(2, "b")(tx)) })
	leave := func(c *Conn) error { c.Query("SELECT id FROM items").Next(); return nil }
	mustWrite(t, db, func(tx *Tx) error { return leave(tx.Conn) })
	if err := db.View(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, db, insert(3, "c"))
	if got := count(t, db, "SELECT count(*) FROM items"); got != 3 {
		t.Errorf("a reader sees %d rows, want 3: its old snapshot is still held", got)
	}
}

func TestAContextTakesBackWhatIsQueued(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		hold := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		claimed, queued := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := db.Write(ctx, func(tx *Tx) error { <-hold; return insert(1, "claimed")(tx) })
			claimed <- err
		}()
		synctest.Wait()
		go func() { _, err := db.Write(ctx, insert(2, "queued")); queued <- err }()
		synctest.Wait()
		cancel()
		if err := <-queued; err != context.Canceled {
			t.Errorf("a queued write: %v, want %v", err, context.Canceled)
		}
		close(hold)
		if err := <-claimed; err != nil {
			t.Errorf("a write that had begun: %v", err)
		}
		if _, err := db.Write(ctx, insert(3, "late")); err != context.Canceled {
			t.Errorf("a write with an ended context: %v", err)
		}
		mustWrite(t, db, insert(4, "after"))
		if got := count(t, db, "SELECT sum(id) FROM items"); got != 1+4 {
			t.Errorf("the sum of ids is %d, want 5", got)
		}
	})
}

func TestAFullQueueBlocks(t *testing.T) {
	bubble(t, Options{QueueMax: 2}, func(t *testing.T, db *DB) {
		hold := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { db.Write(t.Context(), func(*Tx) error { <-hold; return nil }) })
		synctest.Wait()
		for i := range 2 {
			wg.Go(func() { mustWrite(t, db, insert(i+1, fmt.Sprint(i))) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := db.Write(ctx, insert(9, "x")); err != context.DeadlineExceeded {
			t.Errorf("a write above the bound: %v, want it to wait", err)
		}
		close(hold)
		wg.Wait()
		if got := count(t, db, "SELECT sum(id) FROM items"); got != 3 {
			t.Errorf("the sum of ids is %d, want 3", got)
		}
	})
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/test.db"
		db := openAt(t, path, Options{GroupMax: 1})
		hold := make(chan struct{})
		errs := make([]error, 40) // a select that prefers the queue 39 times by chance is out of the question
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = db.Write(t.Context(), func(tx *Tx) error { <-hold; return insert(i+1, fmt.Sprint(i))(tx) })
			})
		}
		synctest.Wait()
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		synctest.Wait()
		close(hold)
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("queued writes: %v", err)
		}
		if _, err := db.Write(t.Context(), insert(99, "x")); err != ErrClosed {
			t.Errorf("Write after Close: %v", err)
		}
		if err := db.View(t.Context(), func(*Conn) error { return nil }); err != ErrClosed {
			t.Errorf("View after Close: %v", err)
		}
		if got := count(t, openAt(t, path, Options{}), "SELECT count(*) FROM items"); got != 40 {
			t.Errorf("%d rows, want 40", got)
		}
	})
}

// TestAcknowledgedMeansCommitted: when Write returns, every connection sees it,
// and OnCommit has heard of it.
func TestAcknowledgedMeansCommitted(t *testing.T) {
	db := open(t, Options{})
	var mu sync.Mutex
	var heard []freshet.ID
	db.OnCommit(func(o []Outboxed) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range o {
			heard = append(heard, e.ID)
		}
	})
	other, err := openConn(db.path, "", "query_only = ON")
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				id := g*1000 + i + 1
				if _, err := db.Write(t.Context(), func(tx *Tx) error {
					return errors.Join(insert(id, fmt.Sprint(id))(tx), tx.Emit(freshet.Effect{Kind: "k"}, freshet.ID(id)))
				}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				found, err := other.One("SELECT id FROM jobs WHERE subject = ?", []any{id}, func(r *Rows) {
					if !slices.Contains(heard, r.ID(0)) {
						t.Errorf("write %d was acknowledged before its effect was heard of", id)
					}
				})
				mu.Unlock()
				if err != nil || !found {
					t.Errorf("write %d was acknowledged but is not there: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
}
