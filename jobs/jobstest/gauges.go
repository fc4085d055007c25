package jobstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/jobs"
)

func idle(t *testing.T, open Open) {
	leave := make(chan struct{})
	e := start(t, open(t, handle(func(context.Context, jobs.Run) error { <-leave; return nil }), quick))
	settle(t, e) // nothing was ever there
	enqueue(t, e, freshet.Effect{Kind: "k"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := e.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Idle while a job runs: %v, want the end of its context", err)
	}
	close(leave)
	settle(t, e)
	enqueue(t, e, freshet.Effect{Kind: "k", RunAt: time.Now().Add(time.Hour)})
	settle(t, e) // a scheduled job is not due
}

func statsCount(t *testing.T, open Open) {
	began, leave := make(chan struct{}, 1), make(chan struct{})
	e := start(t, open(t, handlers{
		"slow": func(context.Context, jobs.Run) error { began <- struct{}{}; <-leave; return nil },
		"bad":  func(context.Context, jobs.Run) error { return jobs.Final(errors.New("no")) },
	}, jobs.Options{Workers: 1}))
	before := time.Now().Add(-time.Second)
	enqueue(t, e, freshet.Effect{Kind: "slow", Key: "a"})
	receive(t, "the slow job", began)
	enqueue(t, e, freshet.Effect{Kind: "bad", Key: "b"}, freshet.Effect{Kind: "bad", RunAt: time.Now().Add(time.Hour)})
	s := e.Stats()
	if s.Running != 1 || s.Waiting != 2 || s.Dead != 0 || s.Done != 0 || s.Failed != 0 {
		t.Errorf("while one runs and two wait: %+v", s)
	}
	if s.Oldest.Before(before) || s.Oldest.After(time.Now().Add(time.Second)) {
		t.Errorf("the oldest due job is of %v, want just now", s.Oldest)
	}
	close(leave)
	settle(t, e)
	s = e.Stats()
	if s.Running != 0 || s.Waiting != 1 || s.Dead != 1 || s.Done != 1 || s.Failed != 1 || !s.Oldest.IsZero() {
		t.Errorf("after one was done and one died: %+v", s)
	}
}

type observer chan string

func (o observer) Ran(kind string, waited, took time.Duration, err error) {
	if waited < 0 || took <= 0 {
		kind = "with impossible times"
	}
	if err != nil {
		kind += ": " + err.Error()
	}
	o <- kind
}

func observerHears(t *testing.T, open Open) {
	heard := make(observer, 4)
	o := quick
	o.Observer = heard
	e := start(t, open(t, handle(func(_ context.Context, r jobs.Run) error {
		if r.Job().Attempt == 0 {
			return errors.New("once")
		}
		return nil
	}), o))
	enqueue(t, e, freshet.Effect{Kind: "k"})
	for _, want := range []string{"k: once", "k"} {
		if got := receive(t, "the observer", heard); got != want {
			t.Errorf("the observer heard %q, want %q", got, want)
		}
	}
}
