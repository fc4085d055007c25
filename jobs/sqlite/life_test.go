package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/jobstest"
	"github.com/freshet/freshet/jobs/sqlite"
)

// TestConformanceFromDisk holds nothing in memory but the order.
func TestConformanceFromDisk(t *testing.T) {
	var system func(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) jobstest.System
	system = func(t *testing.T, path string, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		s, e, end := openSystem(t, path, h, o)
		e.SetMemory(0)
		s.Restart = func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
			end()
			return system(t, path, h, o)
		}
		return s
	}
	jobstest.Run(t, func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		return system(t, filepath.Join(t.TempDir(), "jobs.db"), h, o)
	})
}

// TestTimesAreExact drives the engine with a clock that jumps to whatever is
// next. The bubble also fails if a goroutine outlives Close.
func TestTimesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openFile(t)
		var ran []time.Duration
		began := time.Now()
		e := sqlite.New(db, jobs.Options{MaxAttempts: 20}, map[string]jobs.Handler{
			"at": func(context.Context, jobs.Run) error {
				ran = append(ran, time.Since(began))
				return nil
			},
			"bad": func(context.Context, jobs.Run) error { return errors.New("no") },
		})
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		const days = 3 * 24 * time.Hour
		if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "at", RunAt: began.Add(days)}, freshet.Effect{Kind: "at"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(days)
		synctest.Wait()
		if len(ran) != 2 || ran[0] != 0 || ran[1] != days {
			t.Errorf("jobs ran after %v, want at once and after %v", ran, days)
		}

		if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "bad", Key: "x"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		// Base 1 s doubled 12 times is 68 min, capped at 1 h: 4,095 s + 7 h.
		dead, err := e.List(t.Context(), true, 0, 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("dead: %v, %v", dead, err)
		}
		took := dead[0].RunAt.Sub(dead[0].CreatedAt)
		middle := 4095*time.Second + 8*time.Hour
		if took < middle*3/4 || took > middle*5/4 {
			t.Errorf("20 attempts took %v, want %v within a quarter", took, middle)
		}
	})
}

// TestOutcomesAreWrittenLater leaves the file no room for a while: nothing is
// lost, and the outcomes follow.
func TestOutcomesAreWrittenLater(t *testing.T) {
	db := openFile(t)
	maxPages := func(n int) error {
		_, err := db.Write(t.Context(), func(tx *litedb.Tx) error {
			_, err := tx.One(fmt.Sprintf("PRAGMA max_page_count = %d", n), nil, func(*litedb.Rows) {})
			return err
		})
		return err
	}
	const n = 30
	leave := make(chan struct{})
	e := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error {
		<-leave
		return jobs.Final(errors.New(strings.Repeat("long ", 800)))
	}})
	if err := e.Enqueue(t.Context(), make([]freshet.Effect, n)...); err == nil {
		t.Error("an effect without a kind was taken")
	}
	for range n {
		if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := maxPages(1); err != nil { // what there is already
		t.Fatal(err)
	}
	close(leave)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.Idle(ctx); err == nil {
		t.Error("idle while outcomes can't be written")
	}
	for maxPages(1<<30) != nil { // it may share its transaction with the outcomes
	}
	if err := e.Idle(t.Context()); err != nil {
		t.Error(err)
	}
	if dead, err := e.List(t.Context(), true, 0, 100); len(dead) != n || err != nil {
		t.Errorf("%d dead jobs, %v; want %d", len(dead), err, n)
	}
}

func TestCloseSaysWhatCouldNotBeWritten(t *testing.T) {
	db := openFile(t)
	leave := make(chan struct{})
	e := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error { <-leave; return nil }})
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "k"}); err != nil {
		t.Fatal(err)
	}
	db.Close() // in the wrong order
	close(leave)
	if err := e.Close(); err != nil && !errors.Is(err, litedb.ErrClosed) {
		t.Errorf("Close: %v, want %v or nothing where the job had not begun", err, litedb.ErrClosed)
	}
}

// TestCancelRacesWithRunning: each job runs or is cancelled, never both and
// never neither.
func TestCancelRacesWithRunning(t *testing.T) {
	db := openFile(t)
	n := 400
	ran := make([]atomic.Int64, n)
	e := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
		time.Sleep(300 * time.Microsecond)
		ran[r.Job().Subject-1].Add(1)
		return nil
	}})
	var effects []freshet.Effect
	for i := range n {
		effects = append(effects, freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 3), Subject: freshet.ID(i + 1)})
	}
	if err := e.Enqueue(t.Context(), effects...); err != nil {
		t.Fatal(err)
	}
	all, err := e.List(t.Context(), false, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	cancelled := make([]bool, n)
	for i, j := range all {
		if i%2 == 0 {
			wg.Go(func() { cancelled[j.Subject-1] = e.Cancel(t.Context(), j.ID) == nil })
		}
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	wg.Wait()
	if err := e.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := 0
	for i := range n {
		if cancelled[i] {
			count++
		}
		if got := ran[i].Load(); got > 1 || (got == 1) == cancelled[i] {
			t.Errorf("job %d ran %d times, cancelled: %v", i, got, cancelled[i])
		}
	}
	if s := e.Stats(); s.Waiting != 0 || s.Running != 0 {
		t.Errorf("stats %+v", s)
	}
	if bytes, lanes, claims, gone := e.Held(); bytes+lanes+claims+gone != 0 {
		t.Errorf("memory is kept: %d bytes, %d lanes, %d claims, %d cancelled", bytes, lanes, claims, gone)
	}
	t.Logf("%d cancelled of %d", count, n)
}

func TestMemoryIsBounded(t *testing.T) {
	db := openFile(t)
	leave := make(chan struct{})
	e := sqlite.New(db, jobs.Options{Workers: 1}, map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error { <-leave; return nil }})
	const limit = 20_000
	e.SetMemory(limit)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 500
	for range n {
		if err := e.Enqueue(t.Context(), freshet.Effect{Kind: "k", Key: "x", Args: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, _, _, _ := e.Held(); bytes < limit/2 || bytes > limit+2000 {
		t.Errorf("%d bytes are held, want about %d", bytes, limit)
	}
	close(leave)
	if err := e.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := e.Stats().Done; got != n {
		t.Errorf("%d jobs are done, want %d", got, n)
	}
}
