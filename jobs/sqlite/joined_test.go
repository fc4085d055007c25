package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

// Parts of a store have an engine each, and work as one: jobs are found wherever they lie, and it is idle when all are.
func TestJoined(t *testing.T) {
	ctx := t.Context()
	var first jobs.Engine
	fails := errors.New("fails")
	ran := make(chan freshet.ID, 10)
	handlers := map[string]jobs.Handler{
		"again": func(ctx context.Context, r jobs.Run) error { // makes work elsewhere
			return first.Enqueue(ctx, freshet.Effect{Kind: "run"})
		},
		"run":  func(_ context.Context, r jobs.Run) error { ran <- r.Job().ID; return nil },
		"fail": func(context.Context, jobs.Run) error { return jobs.Final(fails) },
	}
	var joined jobs.Joined
	for _, name := range []string{"a.db", "b.db"} {
		_, e, _ := openSystem(t, filepath.Join(t.TempDir(), name), handlers, jobs.Options{})
		joined = append(joined, e)
	}
	first = joined[0]
	if err := joined.Start(ctx); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	for _, e := range joined {
		time.Sleep(2 * time.Millisecond) // so that ids differ: each engine draws its own
		if err := e.Enqueue(ctx, freshet.Effect{Kind: "fail"}, freshet.Effect{Kind: "run", RunAt: later}); err != nil {
			t.Fatal(err)
		}
	}
	if err := joined[1].Enqueue(ctx, freshet.Effect{Kind: "again"}); err != nil {
		t.Fatal(err)
	}
	if err := joined.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	if len(ran) != 1 {
		t.Errorf("idle after %d of 1 jobs that another one made", len(ran))
	}
	if s := joined.Stats(); s.Dead != 2 || s.Waiting != 2 || s.Done != 2 {
		t.Errorf("%+v", s)
	}
	dead, err := joined.List(ctx, true, 0, 10)
	if err != nil || len(dead) != 2 || dead[0].ID >= dead[1].ID {
		t.Fatalf("dead: %+v, %v", dead, err)
	}
	if page, err := joined.List(ctx, true, dead[0].ID, 10); err != nil || len(page) != 1 || page[0].ID != dead[1].ID {
		t.Errorf("after the first: %+v, %v", page, err)
	}
	for _, j := range dead {
		if err := joined.Retry(ctx, j.ID); err != nil {
			t.Error(err)
		}
	}
	waiting, err := joined.List(ctx, false, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range waiting {
		if j.Kind == "run" {
			if err := joined.Cancel(ctx, j.ID); err != nil {
				t.Error(err)
			}
		}
	}
	if err := joined.Cancel(ctx, 42); !errors.Is(err, freshet.ErrNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
	if err := joined.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := joined.PurgeDead(ctx, later); err != nil || n != 2 {
		t.Errorf("%d dead ones were removed, %v", n, err)
	}
	if s := joined.Stats(); s.Dead != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}
