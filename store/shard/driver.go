package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/store"
)

const (
	// copyPage is how many rows go over at once, drainPage how many changes.
	copyPage, drainPage = 1000, 1000
	// keepPause is how long the way back waits between two looks.
	keepPause = 100 * time.Millisecond
	// moverPatience is after how many sweeps without a sign of life a move is taken over. One is given every half sweep.
	moverPatience = 3
	// signTimeout bounds the call that gives one.
	signTimeout = 5 * time.Second
	// callMost bounds how long a step may be at one call, such as a page, or taking the buckets: then it is given up and made again.
	callMost = 30 * time.Minute
)

var (
	// errDriven ends a driver in whose place another has come.
	errDriven = errors.New("another process drives the move now")
	errStuck  = fmt.Errorf("a call of the mover took longer than %v", callMost)
)

// driver is a process's hold on the move under way. One goroutine has it, and beside it, while it makes a step, one that gives signs
// of life.
type driver struct {
	s *Store
	m *Move

	table int // of store.Tables, that is being copied
	after store.Row

	mu      sync.Mutex // of the plan as it is at home
	version uint64
	kept    []byte    // as it was kept last
	saved   time.Time // when that was
	aborted bool      // somebody has asked for an end
	went    time.Time // when the step under way went on last
}

// drive goes on with a move: at once, or where this process is just done with another, or about to hear that it has lost it, after that.
func (s *Store) drive(m *Move, version uint64) {
	d := &driver{s: s, m: m, version: version, kept: m.encode(), saved: time.Now()}
	s.driver.Lock()
	defer s.driver.Unlock()
	s.driver.next = d
	if !s.driver.at {
		s.driver.at = s.start(s.driveAll)
	}
}

// driveAll drives until nothing is left to be driven.
func (s *Store) driveAll() {
	for {
		s.driver.Lock()
		d := s.driver.next
		s.driver.next, s.driver.at = nil, d != nil
		s.driver.Unlock()
		if d == nil {
			return
		}
		d.run(s.ctx)
	}
}

// drives reports whether this process drives a move.
func (s *Store) drives() bool {
	s.driver.Lock()
	defer s.driver.Unlock()
	return s.driver.at
}

// watchMove takes a move over whose driver gives no sign of life. seen is the version of the plan that was looked at last, and since
// when that has stood still.
func (s *Store) watchMove(ctx context.Context, seen *uint64, since *time.Time) error {
	m, version, err := s.plan(ctx)
	if err != nil || m == nil || m.Step.ended() || s.drives() || version != *seen {
		*seen, *since = version, time.Now()
		return err
	}
	if time.Since(*since) < moverPatience*s.options.Sweep {
		return nil
	}
	m.Term++
	m.Driver = s.id
	if err := s.home().SetMovePlan(ctx, m.encode(), version+1); err != nil {
		return err
	}
	s.options.Log.InfoContext(ctx, "goes on with the move of buckets that another process has left", "buckets", m.leg().Text, "to", m.To, "step", m.Step)
	s.drive(m, version+1)
	return nil
}

// run takes steps until the move has ended, or somebody else drives it.
func (d *driver) run(ctx context.Context) {
	begun := false
	for !d.m.Step.ended() {
		err := d.living(ctx, func(ctx context.Context) error {
			if !begun {
				if err := d.begin(ctx); err != nil {
					return err
				}
				begun = true
			}
			return d.step(ctx)
		})
		switch {
		case err == nil:
			d.m.Waits = ""
			if err = d.keepStep(ctx); err == nil {
				d.s.options.Log.InfoContext(ctx, "moves buckets", "buckets", d.m.leg().Text, "to", d.m.To, "step", d.m.Step, "copied", d.m.Copied, "pause", d.m.Pause)
				begun = begun && d.m.Step != Copying // the next leg
				continue
			}
		case ctx.Err() != nil:
			return
		}
		if errors.Is(err, store.ErrTerm) || errors.Is(err, errDriven) {
			d.s.options.Log.InfoContext(ctx, "leaves the move of buckets to another process")
			return
		}
		d.m.Waits, begun = err.Error(), false
		d.s.options.Log.WarnContext(ctx, "the move of buckets waits", "step", d.m.Step, "error", err)
		if err := d.save(ctx); errors.Is(err, errDriven) {
			return
		}
		select {
		case <-time.After(d.s.options.Sweep):
		case <-ctx.Done():
			return
		}
	}
}

// keepStep keeps the plan before anything is done that follows from it, however long that takes: who comes next goes by the plan.
func (d *driver) keepStep(ctx context.Context) error {
	for {
		err := d.save(ctx)
		if err == nil || errors.Is(err, errDriven) || ctx.Err() != nil {
			return err
		}
		d.s.options.Log.WarnContext(ctx, "the plan of the move of buckets can't be kept", "step", d.m.Step, "error", err)
		select {
		case <-time.After(d.s.options.Sweep):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// step does what the plan says is to be done, and says what comes then. Done again it does no harm.
func (d *driver) step(ctx context.Context) error {
	if d.m.Abort {
		switch d.m.Step {
		case Copying:
			d.m.Step = Undoing
		case Checking, Keeping:
			d.m.Step = Returning
		}
	}
	leg := d.m.leg()
	switch d.m.Step {
	case Copying:
		return d.then(Switching, d.copy(ctx))
	case Switching:
		err := d.change(ctx, leg.From, d.m.To)
		if errors.Is(err, errAborted) {
			return d.then(Undoing, nil)
		}
		return d.then(Checking, err)
	case Checking:
		if err := d.check(ctx); err != nil {
			return err
		}
		d.m.Until = time.Now().Add(d.m.Keep).UTC()
		return d.then(Keeping, nil)
	case Keeping:
		if err := d.keep(ctx); err != nil || d.m.Abort {
			return err
		}
		return d.then(Dropping, nil)
	case Dropping:
		if err := d.outlast(ctx, min(directoryTrust, 5*d.s.options.Sweep)-d.m.Keep); err != nil {
			return err
		}
		if err := d.forget(ctx, leg.From); err != nil {
			return err
		}
		d.table, d.after = 0, nil
		if d.m.Leg+1 == len(d.m.Legs) {
			return d.then(Done, nil)
		}
		d.m.Leg++
		return d.then(Copying, nil)
	case Undoing:
		return d.then(Undone, d.forget(ctx, d.m.To))
	case Returning:
		if err := d.change(ctx, d.m.To, leg.From); err != nil {
			return err
		}
		if err := d.outlast(ctx, min(directoryTrust, 5*d.s.options.Sweep)); err != nil {
			return err
		}
		return d.then(Undone, d.forget(ctx, d.m.To))
	}
	return fmt.Errorf("move buckets: unknown step %q", d.m.Step)
}

// then is the next step, unless this one failed.
func (d *driver) then(next Step, err error) error {
	if err == nil {
		d.m.Step = next
	}
	return err
}

func (d *driver) from() store.BucketMover { return d.s.mover(d.m.leg().From) }
func (d *driver) to() store.BucketMover   { return d.s.mover(d.m.To) }

// begin has both parts guard the buckets. Only this driver's calls are heard from here on.
func (d *driver) begin(ctx context.Context) error {
	for _, p := range []store.BucketMover{d.to(), d.from()} {
		if _, err := p.BeginMove(ctx, d.m.term(), d.m.leg().Buckets); err != nil {
			return fmt.Errorf("guard buckets: %w", err)
		}
	}
	return nil
}

// copy takes all rows over, from where it was, and after each page what has changed meanwhile.
func (d *driver) copy(ctx context.Context) error {
	if err := d.erasuresCarried(ctx); err != nil || d.m.Abort {
		return err
	}
	for tables := store.Tables(); d.table < len(tables); d.table, d.after = d.table+1, nil {
		t := tables[d.table]
		d.m.Table = t.String()
		for whole := false; !whole; {
			rows, err := d.from().Rows(ctx, t, d.after, copyPage)
			if err != nil {
				return fmt.Errorf("read %s: %w", t, err)
			}
			whole = len(rows) < copyPage
			if len(rows) > 0 {
				if err := d.to().PutRows(ctx, d.m.term(), []store.TableRows{{Table: t, Rows: rows}}); err != nil {
					return fmt.Errorf("copy %s: %w", t, err)
				}
				d.after = rows[len(rows)-1][:t.KeyLen()]
				d.m.Copied += int64(len(rows))
			}
			if _, err := d.drain(ctx, d.from(), d.to()); err != nil {
				return err
			}
			if err := d.alive(ctx); err != nil || d.m.Abort {
				return err
			}
		}
	}
	d.m.Table = ""
	return nil
}

// drain takes one page of changes over, and tells how many there were.
func (d *driver) drain(ctx context.Context, from, to store.BucketMover) (int, error) {
	noted, err := from.Noted(ctx, 0, drainPage)
	if err != nil || len(noted.Notes) == 0 {
		return 0, err
	}
	if err := d.put(ctx, to, noted); err != nil {
		return 0, err
	}
	return len(noted.Notes), from.ForgetNotes(ctx, d.m.term(), noted.Notes)
}

func (d *driver) put(ctx context.Context, to store.BucketMover, noted store.Noted) error {
	for _, c := range noted.Changes {
		d.m.Changed += int64(len(c.Gone) + len(c.Rows))
	}
	if err := to.PutRows(ctx, d.m.term(), noted.Changes); err != nil {
		return fmt.Errorf("copy changes: %w", err)
	}
	return nil
}

// keep has the source follow the target until its time is over.
func (d *driver) keep(ctx context.Context) error {
	for d.m.Wrong > 0 || time.Now().Before(d.m.Until) {
		n, err := d.drain(ctx, d.to(), d.from())
		if err != nil {
			return err
		}
		if err := d.alive(ctx); err != nil || d.m.Abort {
			return err
		}
		if n == drainPage {
			continue
		}
		select {
		case <-time.After(keepPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// outlast waits until no process reads by the directory as it was before the last switch, so that the rows there may go.
func (d *driver) outlast(ctx context.Context, trust time.Duration) error {
	for until := time.Now().Add(trust); time.Now().Before(until); {
		select {
		case <-time.After(min(keepPause, time.Until(until))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := d.alive(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forget has a part that does not have the buckets forget their rows, and ends the move on both.
func (d *driver) forget(ctx context.Context, part int) error {
	for {
		n, err := d.s.mover(part).DropRows(ctx, d.m.term(), copyPage)
		if err != nil {
			return fmt.Errorf("forget what has left: %w", err)
		}
		if n == 0 {
			break
		}
		if err := d.alive(ctx); err != nil {
			return err
		}
	}
	for _, p := range []store.BucketMover{d.from(), d.to()} {
		if err := p.EndMove(ctx, d.m.term()); err != nil {
			return fmt.Errorf("end the move: %w", err)
		}
	}
	return nil
}
