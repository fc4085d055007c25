package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// The plan's version is a driver's sign of life: whoever sees it stand still takes the move over. It is kept anew while a step is made,
// because a single call of one may take longer than others wait.

// living makes a step and gives signs of life as long as that takes. Where it hears that another process drives the move, it ends the
// step.
func (d *driver) living(ctx context.Context, step func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	d.goesOn()
	var signs sync.WaitGroup
	signs.Go(func() { d.giveSigns(ctx, end) })
	err := step(ctx)
	end(nil)
	signs.Wait()
	if cause := context.Cause(ctx); err != nil && (cause == errDriven || cause == errStuck) {
		return cause
	}
	return err
}

// giveSigns gives signs of life until the step has ended.
func (d *driver) giveSigns(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(d.s.options.Sweep / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := d.sign(ctx); errors.Is(err, errDriven) || errors.Is(err, errStuck) {
			end(err)
			return
		}
	}
}

// sign keeps the plan anew as it is at home, where that was not done for half a sweep.
func (d *driver) sign(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.went) > callMost {
		return errStuck
	}
	for again := time.Since(d.saved) >= d.s.options.Sweep/2; again; {
		var err error
		if again, err = d.replan(ctx, d.kept); err != nil {
			return err
		}
	}
	return nil
}

// goesOn notes that a step is not stuck.
func (d *driver) goesOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.went = time.Now()
}

// alive is called by a step wherever it goes on: it keeps what has come of it when that is due, and hears whether somebody has asked
// for an end.
func (d *driver) alive(ctx context.Context) error {
	d.goesOn()
	d.mu.Lock()
	due := time.Since(d.saved) >= d.s.options.Sweep/2
	d.heed()
	d.mu.Unlock()
	if !due {
		return nil
	}
	return d.save(ctx)
}

// save keeps the plan. Where somebody has asked for an end meanwhile it hears of it.
func (d *driver) save(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for again := true; again; {
		d.heed()
		var err error
		if again, err = d.replan(ctx, d.m.encode()); err != nil {
			return err
		}
	}
	return nil
}

// heed has an end that somebody has asked for in the plan.
func (d *driver) heed() {
	if !d.aborted {
		return
	}
	d.m.Abort = true
	if d.m.Step == Dropping { // it was asked for while the way back was open, and nothing is dropped yet
		d.m.Step = Returning
	}
}

// replan keeps a plan at home, or says that it has read another one, which is this driver's too, and that it is to be tried again.
func (d *driver) replan(ctx context.Context, plan []byte) (again bool, err error) {
	err = d.s.home().SetMovePlan(ctx, plan, d.version+1)
	if err == nil {
		d.version++
		d.kept, d.saved = plan, time.Now()
		return false, nil
	}
	if freshet.CodeOf(err) != freshet.CodeConflict {
		return false, fmt.Errorf("keep the plan of the move: %w", err)
	}
	other, version, err := d.s.plan(ctx)
	switch {
	case err != nil:
		return false, err
	case other == nil || other.term() != d.m.term():
		return false, errDriven
	}
	d.version, d.kept = version, other.encode()
	d.aborted = d.aborted || other.Abort
	return true, nil
}
