package jobstest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

func restartTakesUp(t *testing.T, open Open) {
	s := open(t, handle(func(ctx context.Context, _ jobs.Run) error {
		<-ctx.Done()
		return ctx.Err()
	}), quick)
	n := size(500, 100)
	for i := range n {
		enqueue(t, s.Engine, freshet.Effect{Kind: "k", Key: fmt.Sprint(i % 7)})
		if i == n/2 {
			start(t, s) // some come before Start and some after
		}
	}
	ran := make(chan freshet.ID, 2*n)
	s = s.Restart(t, handle(func(_ context.Context, r jobs.Run) error {
		if r.Job().Attempt != 0 {
			t.Errorf("an interrupted attempt counted: %+v", r.Job())
		}
		ran <- r.Job().ID
		return nil
	}), quick)
	settle(t, start(t, s))
	seen := map[freshet.ID]bool{}
	for range len(ran) {
		seen[<-ran] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d jobs ran after the restart", len(seen), n)
	}
}

func restartKeepsOrder(t *testing.T, open Open) {
	s := open(t, nil, quick)
	const n = 40
	for i := range n {
		enqueue(t, s.Engine, freshet.Effect{
			Kind: "k", Key: "x", Args: fmt.Append(nil, i),
			Subject: freshet.NewID(1, (i*397)%freshet.Buckets, i),
		})
	}
	var did journal
	s = s.Restart(t, handle(func(_ context.Context, r jobs.Run) error {
		did.add("%s", r.Job().Args)
		return nil
	}), quick)
	settle(t, start(t, s))
	wantInOrder(t, 0, did.all(), n)
}

func restartKeepsDelays(t *testing.T, open Open) {
	slow := jobs.Options{BackoffBase: time.Hour}
	s := open(t, handle(func(context.Context, jobs.Run) error { return errors.New("not yet") }), slow)
	e := start(t, s)
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "x"}, freshet.Effect{Kind: "k", Key: "x"})
	settle(t, e)
	s = s.Restart(t, handle(func(_ context.Context, r jobs.Run) error {
		t.Errorf("ran before its time: %+v", r.Job())
		return nil
	}), slow)
	e = start(t, s)
	settle(t, e)
	all := list(t, e, false)
	if len(all) != 2 || all[0].Attempt != 1 || all[0].Error != "not yet" || time.Until(all[0].RunAt) < 30*time.Minute {
		t.Errorf("after the restart wait %+v", all)
	}
}

func interruptedResumes(t *testing.T, open Open) {
	saved := make(chan struct{})
	s := open(t, handle(func(ctx context.Context, r jobs.Run) error {
		for i := range 3 {
			if err := r.Save(ctx, fmt.Append(nil, i)); err != nil {
				t.Errorf("Save: %v", err)
			}
		}
		close(saved)
		<-ctx.Done()
		return ctx.Err()
	}), jobs.Options{MaxAttempts: 1})
	e := start(t, s)
	enqueue(t, e, freshet.Effect{Kind: "k"})
	receive(t, "the checkpoint", saved)
	var did journal
	s = s.Restart(t, handle(func(_ context.Context, r jobs.Run) error {
		did.add("attempt %d from %s", r.Job().Attempt, r.Checkpoint())
		return nil
	}), jobs.Options{MaxAttempts: 1})
	e = start(t, s)
	settle(t, e)
	did.want(t, "attempt 0 from 2")
	if got := len(list(t, e, true)); got != 0 {
		t.Errorf("%d jobs are dead, want none", got)
	}
}

func kindWithoutHandler(t *testing.T, open Open) {
	var did journal
	note := func(_ context.Context, r jobs.Run) error {
		did.add("%s", r.Job().Kind)
		return nil
	}
	s := open(t, handlers{"known": note}, quick)
	e := start(t, s)
	enqueue(t, e, freshet.Effect{Kind: "unknown", Key: "x"}, freshet.Effect{Kind: "known", Key: "x"})
	settle(t, e)
	did.want(t, "known")
	if left := list(t, e, false); len(left) != 1 || left[0].Kind != "unknown" {
		t.Fatalf("there wait %+v, want the job without a handler", left)
	}
	s = s.Restart(t, handlers{"unknown": note}, quick)
	settle(t, start(t, s))
	did.want(t, "known", "unknown")
}

func saveAfterTheEnd(t *testing.T, open Open) {
	runs := make(chan jobs.Run, 2)
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		runs <- r
		return nil
	}), quick))
	enqueue(t, e, freshet.Effect{Kind: "k"})
	settle(t, e)
	if err := receive(t, "the run", runs).Save(t.Context(), []byte("late")); err == nil {
		t.Error("Save after the attempt ended succeeded")
	}
}

func closeTwice(t *testing.T, open Open) {
	s := open(t, nil, quick)
	if err := s.Engine.Close(); err != nil {
		t.Errorf("Close before Start: %v", err)
	}
	if err := s.Engine.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if err := s.Engine.Start(t.Context()); err == nil {
		t.Error("Start after Close succeeded")
	}
}
