package jobstest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

func cancelWaiting(t *testing.T, open Open) {
	var did journal
	s := open(t, handle(func(_ context.Context, r jobs.Run) error {
		did.add("%s", r.Job().Args)
		return nil
	}), quick)
	enqueue(t, s.Engine,
		freshet.Effect{Kind: "k", Key: "x", Args: []byte("a")},
		freshet.Effect{Kind: "k", Key: "x", Args: []byte("b"), RunAt: time.Now().Add(time.Hour)},
		freshet.Effect{Kind: "other", Args: []byte("c")})
	e := start(t, s)
	settle(t, e)
	left := list(t, e, false)
	if len(left) != 2 {
		t.Fatalf("%d jobs wait, want the scheduled one and the one without a handler", len(left))
	}
	for _, j := range left {
		if err := e.Cancel(t.Context(), j.ID); err != nil {
			t.Errorf("Cancel %s: %v", j.Args, err)
		}
		if err := e.Cancel(t.Context(), j.ID); !errors.Is(err, freshet.ErrNotFound) {
			t.Errorf("Cancel again: %v, want not found", err)
		}
	}
	if left := list(t, e, false); len(left) != 0 || e.Stats().Waiting != 0 {
		t.Errorf("%d jobs are left, stats count %d", len(left), e.Stats().Waiting)
	}
	did.want(t, "a")
}

func cancelRunning(t *testing.T, open Open) {
	began, leave := make(chan struct{}), make(chan struct{})
	var did journal
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		did.add("%s", r.Job().Args)
		began <- struct{}{}
		<-leave
		return nil
	}), quick))
	for _, a := range []string{"runs", "cancelled", "next"} {
		enqueue(t, e, freshet.Effect{Kind: "k", Key: "x", Args: []byte(a)})
	}
	receive(t, "the first job", began)
	all := list(t, e, false)
	if len(all) != 3 {
		t.Fatalf("%d jobs are listed, want the running one and two that wait", len(all))
	}
	for _, j := range all {
		switch err := e.Cancel(t.Context(), j.ID); string(j.Args) {
		case "runs":
			if !errors.Is(err, freshet.ErrNotFound) {
				t.Errorf("Cancel of a running job: %v, want not found", err)
			}
		case "cancelled":
			if err != nil {
				t.Errorf("Cancel: %v", err)
			}
		}
		if string(j.Args) == "cancelled" {
			break
		}
	}
	close(leave)
	receive(t, "the job after it", began)
	settle(t, e)
	did.want(t, "runs", "next")
}

func listPages(t *testing.T, open Open) {
	s := open(t, nil, quick)
	for range 7 {
		enqueue(t, s.Engine, freshet.Effect{Kind: "k"})
	}
	var after freshet.ID
	for _, want := range []int{3, 3, 1, 0} {
		page, err := s.Engine.List(t.Context(), false, after, 3)
		if err != nil || len(page) != want {
			t.Fatalf("a page after %d: %d jobs, %v; want %d", after, len(page), err, want)
		}
		for _, j := range page {
			if j.ID <= after {
				t.Errorf("id %d follows %d", j.ID, after)
			}
			after = j.ID
		}
	}
}

func purgeDead(t *testing.T, open Open) {
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error { return jobs.Final(errors.New("no")) }), quick))
	enqueue(t, e, freshet.Effect{Kind: "k"}, freshet.Effect{Kind: "k"})
	settle(t, e)
	for _, c := range []struct {
		before time.Time
		want   int
	}{{time.Now().Add(-time.Hour), 0}, {time.Now().Add(time.Hour), 2}, {time.Now().Add(time.Hour), 0}} {
		if n, err := e.PurgeDead(t.Context(), c.before); err != nil || n != c.want {
			t.Errorf("PurgeDead removed %d, %v; want %d", n, err, c.want)
		}
	}
	if got := e.Stats().Dead; got != 0 {
		t.Errorf("%d dead jobs are counted, want none", got)
	}
}

func uniqueWaiting(t *testing.T, open Open) {
	var ran atomic.Int64
	s := open(t, handle(func(context.Context, jobs.Run) error { ran.Add(1); return nil }), quick)
	same := freshet.Effect{Kind: "k", Unique: "u"}
	enqueue(t, s.Engine, same, same, freshet.Effect{Kind: "k", Unique: "other"})
	enqueue(t, s.Engine, same)
	if got := list(t, s.Engine, false); len(got) != 2 {
		t.Fatalf("%d jobs wait, want 2: a name makes one", len(got))
	}
	e := start(t, s)
	settle(t, e)
	if got := ran.Load(); got != 2 {
		t.Errorf("%d attempts, want 2", got)
	}
	enqueue(t, e, same)
	settle(t, e)
	if got := ran.Load(); got != 3 {
		t.Errorf("%d attempts after the name was free again, want 3", got)
	}
}

// uniqueRunning asks for a name while its job runs: what was asked for came
// after what the attempt had read, so the job must run once more, and only once.
func uniqueRunning(t *testing.T, open Open) {
	for _, fail := range []bool{false, true} {
		began, leave := make(chan struct{}), make(chan struct{})
		var ran atomic.Int64
		e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
			if ran.Add(1) > 1 {
				if r.Checkpoint() != nil || r.Job().Attempt != 0 {
					t.Errorf("it did not begin anew: attempt %d, checkpoint %q", r.Job().Attempt, r.Checkpoint())
				}
				return nil
			}
			if err := r.Save(context.Background(), []byte("far")); err != nil {
				t.Errorf("Save: %v", err)
			}
			began <- struct{}{}
			<-leave
			if fail {
				return jobs.Final(errors.New("no"))
			}
			return nil
		}), quick))
		same := freshet.Effect{Kind: "k", Key: "x", Unique: "u"}
		enqueue(t, e, same)
		receive(t, "the job", began)
		enqueue(t, e, same)
		enqueue(t, e, same)
		close(leave)
		await(t, "the job to run again", func() bool { return ran.Load() == 2 })
		settle(t, e)
		if left := list(t, e, false); len(left) != 0 || ran.Load() != 2 {
			t.Errorf("%d attempts and %d jobs left, want 2 and none", ran.Load(), len(left))
		}
	}
}

func uniqueDead(t *testing.T, open Open) {
	var mended atomic.Bool
	hold := make(chan struct{})
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error {
		if !mended.Load() {
			return jobs.Final(errors.New("no"))
		}
		<-hold
		return nil
	}), quick))
	same := freshet.Effect{Kind: "k", Unique: "u"}
	enqueue(t, e, same)
	settle(t, e)
	mended.Store(true)
	enqueue(t, e, same)
	if got := len(list(t, e, false)); got != 1 {
		t.Errorf("%d jobs wait, want 1: a dead job holds no name", got)
	}
	dead := list(t, e, true)
	if len(dead) != 1 {
		t.Fatalf("%d dead jobs, want 1", len(dead))
	}
	if err := e.Retry(t.Context(), dead[0].ID); !errors.Is(err, freshet.ErrConflict) {
		t.Errorf("Retry while another job has the name: %v, want a conflict", err)
	}
	close(hold)
	settle(t, e)
	if err := e.Retry(t.Context(), dead[0].ID); err != nil {
		t.Errorf("Retry: %v", err)
	}
	settle(t, e)
}
