package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// Joined is one engine of several, one for each part of a store that is split: a job lies where the write lies that made it. What
// Enqueue makes lies on the first. Keys and Unique names hold within a part.
type Joined []Engine

var _ Engine = Joined(nil)

// each calls all at once and joins their errors.
func (j Joined) each(call func(Engine) error) error {
	errs := make([]error, len(j))
	var calls sync.WaitGroup
	for i, e := range j {
		calls.Go(func() { errs[i] = call(e) })
	}
	calls.Wait()
	return errors.Join(errs...)
}

// Start starts all, or none.
func (j Joined) Start(ctx context.Context) error {
	for i, e := range j {
		if err := e.Start(ctx); err != nil {
			return errors.Join(err, j[:i].Close())
		}
	}
	return nil
}

// Close closes all.
func (j Joined) Close() error { return j.each(Engine.Close) }

// Enqueue makes jobs on the first part.
func (j Joined) Enqueue(ctx context.Context, effects ...freshet.Effect) error {
	return j[0].Enqueue(ctx, effects...)
}

// List merges the lists of all.
func (j Joined) List(ctx context.Context, dead bool, after freshet.ID, limit int) ([]Job, error) {
	var all []Job
	for _, e := range j {
		list, err := e.List(ctx, dead, after, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Job) int { return int(min(max(int64(a.ID-b.ID), -1), 1)) })
	return all[:min(len(all), limit)], nil
}

// find asks one after the other until one knows the job.
func (j Joined) find(call func(Engine) error) error {
	var err error
	for _, e := range j {
		if err = call(e); !errors.Is(err, freshet.ErrNotFound) {
			return err
		}
	}
	return err
}

// Retry runs a dead job again, on its part.
func (j Joined) Retry(ctx context.Context, id freshet.ID) error {
	return j.find(func(e Engine) error { return e.Retry(ctx, id) })
}

// Cancel removes a job that is not running, from its part.
func (j Joined) Cancel(ctx context.Context, id freshet.ID) error {
	return j.find(func(e Engine) error { return e.Cancel(ctx, id) })
}

// PurgeDead removes from all.
func (j Joined) PurgeDead(ctx context.Context, before time.Time) (n int, err error) {
	for _, e := range j {
		gone, failed := e.PurgeDead(ctx, before)
		n, err = n+gone, errors.Join(err, failed)
	}
	return n, err
}

// Idle waits until no part has a job that can run, also after the others' last jobs, which may have made some.
func (j Joined) Idle(ctx context.Context) error {
	for {
		before := j.Stats()
		if err := j.each(func(e Engine) error { return e.Idle(ctx) }); err != nil {
			return err
		}
		if after := j.Stats(); after.Done == before.Done && after.Failed == before.Failed && after.Running == 0 {
			return nil
		}
	}
}

// Stats adds up, and takes the oldest.
func (j Joined) Stats() (s Stats) {
	for _, e := range j {
		one := e.Stats()
		s.Waiting, s.Running, s.Dead = s.Waiting+one.Waiting, s.Running+one.Running, s.Dead+one.Dead
		s.Done, s.Failed = s.Done+one.Done, s.Failed+one.Failed
		if s.Oldest.IsZero() || !one.Oldest.IsZero() && one.Oldest.Before(s.Oldest) {
			s.Oldest = one.Oldest
		}
	}
	return s
}
