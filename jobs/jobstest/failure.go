package jobstest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

func delaysGrow(t *testing.T, open Open) {
	const base = 40 * time.Millisecond
	times := make(chan time.Time, 4)
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		times <- time.Now()
		if r.Job().Attempt < 3 {
			return errors.New("not yet")
		}
		return nil
	}), jobs.Options{BackoffBase: base, BackoffMax: time.Hour}))
	enqueue(t, e, freshet.Effect{Kind: "k"})
	last := receive(t, "the first attempt", times)
	for i := range 3 {
		at := receive(t, "a repeated attempt", times)
		if least := base << i * 3 / 4; at.Sub(last) < least {
			t.Errorf("attempt %d came after %v, want at least %v", i+1, at.Sub(last), least)
		}
		last = at
	}
	settle(t, e)
}

func delaysAreJittered(t *testing.T, open Open) {
	const n, base = 16, time.Hour
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error { return errors.New("no") }),
		jobs.Options{BackoffBase: base, BackoffMax: base}))
	for range n {
		enqueue(t, e, freshet.Effect{Kind: "k"})
	}
	settle(t, e)
	var first, last time.Time
	for _, j := range list(t, e, false) {
		if first.IsZero() || j.RunAt.Before(first) {
			first = j.RunAt
		}
		if j.RunAt.After(last) {
			last = j.RunAt
		}
	}
	if spread := last.Sub(first); spread < base/20 {
		t.Errorf("%d jobs that failed together come back within %v of each other, want %v or more", n, spread, base/20)
	}
}

func finalIsDeadAtOnce(t *testing.T, open Open) {
	cause := errors.New("gone for good")
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error { return jobs.Final(cause) }), quick))
	enqueue(t, e, freshet.Effect{Kind: "k"})
	settle(t, e)
	dead := list(t, e, true)
	if len(dead) != 1 || !dead[0].Dead || dead[0].Attempt != 1 || dead[0].Error != cause.Error() {
		t.Errorf("dead jobs are %+v, want one after one attempt with its error", dead)
	}
}

func deadIsListedAndRetried(t *testing.T, open Open) {
	var did journal
	o := quick
	o.MaxAttempts = 3
	mended := make(chan struct{})
	e := start(t, open(t, handle(func(ctx context.Context, r jobs.Run) error {
		did.add("%d after %q", r.Job().Attempt, r.Checkpoint())
		select {
		case <-mended:
			return nil
		default:
		}
		if err := r.Save(ctx, append(r.Checkpoint(), 'x')); err != nil {
			t.Errorf("Save: %v", err)
		}
		return errors.New("broken")
	}), o))
	enqueue(t, e, freshet.Effect{Kind: "k", Args: []byte("args")})
	await(t, "a dead job", func() bool { return len(list(t, e, true)) == 1 })
	d := list(t, e, true)[0]
	if !d.Dead || d.Attempt != 3 || d.Error != "broken" || string(d.Args) != "args" {
		t.Errorf("the dead job is %+v", d)
	}
	if len(list(t, e, false)) != 0 {
		t.Error("the dead job is listed among those that wait")
	}
	if err := e.Retry(t.Context(), d.ID+1); !errors.Is(err, freshet.ErrNotFound) {
		t.Errorf("Retry of no job: %v, want not found", err)
	}
	close(mended)
	if err := e.Retry(t.Context(), d.ID); err != nil {
		t.Fatalf("Retry: %v", err)
	}
	settle(t, e)
	did.want(t, `0 after ""`, `1 after "x"`, `2 after "xx"`, `0 after "xxx"`)
	if err := e.Retry(t.Context(), d.ID); !errors.Is(err, freshet.ErrNotFound) {
		t.Errorf("Retry of a job that is done: %v, want not found", err)
	}
}

func panicIsAFailure(t *testing.T, open Open) {
	o := quick
	o.MaxAttempts = 2
	o.Workers = 1 // which must survive
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		if r.Job().Key == "bad" {
			panic("the sky fell")
		}
		return nil
	}), o))
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "bad"}, freshet.Effect{Kind: "k", Key: "good"})
	await(t, "a dead job", func() bool { return len(list(t, e, true)) == 1 })
	settle(t, e)
	d := list(t, e, true)[0]
	if d.Attempt != 2 || !strings.Contains(d.Error, "the sky fell") || !strings.Contains(d.Error, "goroutine") {
		t.Errorf("the dead job is %+v, want its panic and the start of its stack", d)
	}
	if got := e.Stats().Done; got != 1 {
		t.Errorf("%d jobs are done, want the other one", got)
	}
}

func timeoutEndsAnAttempt(t *testing.T, open Open) {
	o := quick
	o.Timeout = 20 * time.Millisecond
	var once sync.Once
	e := start(t, open(t, handle(func(ctx context.Context, r jobs.Run) (err error) {
		once.Do(func() {
			<-ctx.Done()
			err = ctx.Err()
		})
		return err
	}), o))
	enqueue(t, e, freshet.Effect{Kind: "k"})
	await(t, "the second attempt", func() bool { return e.Stats().Done == 1 })
	if got := e.Stats().Failed; got != 1 {
		t.Errorf("%d attempts failed, want 1", got)
	}
}
