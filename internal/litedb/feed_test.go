package litedb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// change is an op of n changes about a subject.
func change(subject freshet.ID, n int) func(*Tx) error {
	return func(tx *Tx) error {
		for i := range n {
			if err := tx.Change(3, subject, freshet.ID(i), []freshet.ID{subject, 1, 1 << 60, 5}); err != nil {
				return err
			}
		}
		return nil
	}
}

func subscribe(t *testing.T, db *DB, consumer string) {
	t.Helper()
	if _, err := db.subscribe(t.Context(), consumer, true); err != nil {
		t.Fatal(err)
	}
}

func changes(t *testing.T, db *DB, consumer string, after position.Position, limit int) []Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := db.Changes(ctx, consumer, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheFeedStartsAtThePresent(t *testing.T) {
	db := open(t, Options{})
	mustWrite(t, db, change(1, 2))
	if got := count(t, db, "SELECT count(*) FROM changes"); got != 0 {
		t.Errorf("%d changes are kept for nobody", got)
	}
	subscribe(t, db, "a")
	mustWrite(t, db, change(2, 1))
	subscribe(t, db, "b")
	mustWrite(t, db, change(3, 1))
	for consumer, want := range map[string][]freshet.ID{"a": {2, 3}, "b": {3}} {
		var got []freshet.ID
		for _, c := range changes(t, db, consumer, position.Position{}, 100) {
			got = append(got, c.Subject)
			if c.Kind != 3 || !slices.Equal(c.Also, []freshet.ID{c.Subject, 1, 1 << 60, 5}) {
				t.Errorf("the change is %+v", c)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", consumer, got, want)
		}
	}
}

func TestTheFeedNeverSplitsAPosition(t *testing.T) {
	db := open(t, Options{})
	subscribe(t, db, "a")
	var want []string
	for i := range 40 {
		n := 1 + rand.IntN(6)
		mustWrite(t, db, change(freshet.ID(i+1), n))
		for j := range n {
			want = append(want, fmt.Sprint(i+1, ".", j))
		}
	}
	for _, limit := range []int{-1, 1, 2, 5, 1000} {
		var got []string
		var after position.Position
		for len(got) < len(want) {
			page := changes(t, db, "a", after, limit)
			for _, c := range page {
				got = append(got, fmt.Sprint(int64(c.Subject), ".", int64(c.Object)))
			}
			if at := db.at(page[len(page)-1].Offset); at.Offset <= after.Offset {
				t.Fatalf("position %d after %d", at.Offset, after.Offset)
			} else {
				after = at
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d came %v, want %v", limit, got, want)
		}
	}
}

func TestConfirmedChangesAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, Options{})
	subscribe(t, db, "a")
	subscribe(t, db, "b")
	for i := range 4 {
		mustWrite(t, db, change(freshet.ID(i+1), 1))
	}
	kept := func(want int64) {
		t.Helper()
		if got := count(t, db, "SELECT count(*) FROM changes"); got != want {
			t.Errorf("%d changes are kept, want %d", got, want)
		}
	}
	confirm := func(consumer string, back int64) {
		t.Helper()
		if err := db.Confirm(t.Context(), consumer, db.at(db.offset.Load()-back)); err != nil {
			t.Fatal(err)
		}
	}
	last := db.offset.Load()
	confirm("a", 0)
	kept(4)
	confirm("b", db.offset.Load()-last+2) // all but two
	kept(2)
	confirm("b", db.offset.Load()) // back: ignored
	kept(2)

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path, Options{})
	if got := changes(t, db, "b", position.Position{}, 9); len(got) != 2 || got[0].Subject != 3 {
		t.Errorf("after it was opened again come %v, want what was not confirmed", got)
	}
	elsewhere := db.Position()
	elsewhere.Timeline++
	if err := db.Confirm(t.Context(), "a", elsewhere); err == nil {
		t.Error("a position of another timeline was confirmed")
	}
	mustWrite(t, db, change(9, 1))
	if got := changes(t, db, "a", elsewhere, 9); len(got) != 1 {
		t.Errorf("after a position of another timeline come %v, want all that is not confirmed", got)
	}
}

// TestTheFeedSaysThatItIsLost: a consumer that was removed is not begun anew
// behind the back of who has followed it, as if nothing were missing.
func TestTheFeedSaysThatItIsLost(t *testing.T) {
	db := open(t, Options{})
	subscribe(t, db, "a")
	mustWrite(t, db, change(1, 1))
	at := db.Position()
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.Exec("DELETE FROM consumers")
		return err
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 2 {
		if _, err := db.Changes(ctx, "a", at, 10); !errors.Is(err, ErrFeedLost) {
			t.Fatalf("a consumer that is gone: %v", err)
		}
	}
	subscribe(t, db, "a")
	mustWrite(t, db, change(2, 1))
	if got := changes(t, db, "a", position.Position{}, 10); len(got) != 1 || got[0].Subject != 2 {
		t.Errorf("begun anew it tells %v", got)
	}
}

// TestTheFeedWaitsWithoutPolling: in a bubble time moves on only when everybody
// waits for it.
func TestTheFeedWaitsWithoutPolling(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, db *DB) {
		subscribe(t, db, "a")
		began := time.Now()
		got := make(chan []Change, 1)
		go func() {
			c, err := db.Changes(t.Context(), "a", position.Position{}, 10)
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		synctest.Wait()
		mustWrite(t, db, insert(1, "no change of the feed"))
		synctest.Wait()
		mustWrite(t, db, change(5, 1))
		if c := <-got; len(c) != 1 || c[0].Subject != 5 || time.Since(began) != 0 {
			t.Errorf("got %v after %v", c, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := db.Changes(ctx, "a", db.Position(), 10); got != nil || err != nil {
			t.Errorf("without changes: %v, %v", got, err)
		}
		ended := make(chan error, 1)
		go func() { _, err := db.Changes(t.Context(), "a", db.Position(), 10); ended <- err }()
		synctest.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != ErrClosed {
			t.Errorf("at Close: %v", err)
		}
	})
}

// TestTheFeedMissesNoWakeup commits a change after the feed began to look and
// before it waits. The one reader goes from hand to hand, inside a transaction
// of before the commit:
//
//	test: BEGIN ─▶ feed: is it subscribed? ─▶ holder: until the commit ─▶ feed: changes? none ─▶ test: ROLLBACK
func TestTheFeedMissesNoWakeup(t *testing.T) {
	bubble(t, Options{Readers: 1}, func(t *testing.T, db *DB) {
		subscribe(t, db, "a")
		got, committed := make(chan []Change, 1), make(chan struct{})
		view := func(read func(*Conn) error) {
			if err := db.View(t.Context(), read); err != nil {
				t.Error(err)
			}
		}
		view(func(c *Conn) error {
			if err := c.run("BEGIN"); err != nil {
				return err
			}
			_, err := c.One("SELECT count(*) FROM changes", nil, func(*Rows) {})
			go func() {
				out, err := db.Changes(t.Context(), "a", position.Position{}, 10)
				if err != nil {
					t.Error(err)
				}
				got <- out
			}()
			synctest.Wait()
			go view(func(*Conn) error { <-committed; return nil })
			synctest.Wait()
			return err
		})
		synctest.Wait()
		mustWrite(t, db, change(5, 1))
		close(committed)
		view(func(c *Conn) error { return c.run("ROLLBACK") })
		synctest.Wait()
		select {
		case <-got:
		default:
			t.Error("the feed sleeps beside a change")
		}
	})
}
