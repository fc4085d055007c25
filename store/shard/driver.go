package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

const (
	// copyPage is how many rows go over at once, drainPage how many changes.
	copyPage, drainPage = 1000, 1000
	// keepPause is how long the way back waits between two looks.
	keepPause = 100 * time.Millisecond
	// moverPatience is after how many sweeps without a sign of life a move is taken over.
	moverPatience = 3
)

// errDriven ends a driver in whose place another has come.
var errDriven = errors.New("another process drives the move now")

// driver is a process's hold on the move under way. One goroutine has it.
type driver struct {
	s       *Store
	m       *Move
	version uint64    // of the plan
	saved   time.Time // when it was kept last

	table int // of store.Tables, that is being copied
	after store.Row
}

// drive goes on with a move, unless this process does so already.
func (s *Store) drive(m *Move, version uint64) {
	if !s.driving.CompareAndSwap(false, true) {
		return
	}
	d := &driver{s: s, m: m, version: version, saved: time.Now()}
	if !s.start(func() {
		defer s.driving.Store(false)
		d.run(s.ctx)
	}) {
		s.driving.Store(false)
	}
}

// watchMove takes a move over whose driver gives no sign of life. seen is the version of the plan that was looked at last, and since
// when that has stood still.
func (s *Store) watchMove(ctx context.Context, seen *uint64, since *time.Time) error {
	m, version, err := s.plan(ctx)
	if err != nil || m == nil || m.Step.ended() || s.driving.Load() || version != *seen {
		*seen, *since = version, time.Now()
		return err
	}
	if time.Since(*since) < moverPatience*s.options.Sweep {
		return nil
	}
	m.Term++
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
		err := error(nil)
		if !begun {
			err = d.begin(ctx)
			begun = err == nil
		}
		if err == nil {
			err = d.step(ctx)
		}
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
		if _, err := p.BeginMove(ctx, d.m.Term, d.m.leg().Buckets); err != nil {
			return fmt.Errorf("guard buckets: %w", err)
		}
	}
	return nil
}

// save keeps the plan. Where somebody has asked for an end meanwhile it hears of it.
func (d *driver) save(ctx context.Context) error {
	for {
		err := d.s.home().SetMovePlan(ctx, d.m.encode(), d.version+1)
		if err == nil {
			d.version++
			d.saved = time.Now()
			return nil
		}
		if freshet.CodeOf(err) != freshet.CodeConflict {
			return fmt.Errorf("keep the plan of the move: %w", err)
		}
		other, version, err := d.s.plan(ctx)
		switch {
		case err != nil:
			return err
		case other == nil || other.Term != d.m.Term:
			return errDriven
		}
		d.m.Abort, d.version = other.Abort, version
		if d.m.Abort && d.m.Step == Dropping { // it was asked for while the way back was open, and nothing is dropped yet
			d.m.Step = Returning
		}
	}
}

// alive gives a sign of life when one is due.
func (d *driver) alive(ctx context.Context) error {
	if time.Since(d.saved) < d.s.options.Sweep/2 {
		return nil
	}
	return d.save(ctx)
}

// copy takes all rows over, from where it was, and after each page what has changed meanwhile.
func (d *driver) copy(ctx context.Context) error {
	if err := d.s.erasuresCarried(ctx); err != nil {
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
				if err := d.to().PutRows(ctx, d.m.Term, []store.TableRows{{Table: t, Rows: rows}}); err != nil {
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
	return len(noted.Notes), from.ForgetNotes(ctx, d.m.Term, noted.Notes)
}

func (d *driver) put(ctx context.Context, to store.BucketMover, noted store.Noted) error {
	for _, c := range noted.Changes {
		d.m.Changed += int64(len(c.Gone) + len(c.Rows))
	}
	if err := to.PutRows(ctx, d.m.Term, noted.Changes); err != nil {
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
		n, err := d.s.mover(part).DropRows(ctx, d.m.Term, copyPage)
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
		if err := p.EndMove(ctx, d.m.Term); err != nil {
			return fmt.Errorf("end the move: %w", err)
		}
	}
	return nil
}

// erasuresCarried waits until the erasures that are on their way have reached all parts: rows are copied as the source has them, so
// none of them may be known to the target alone. Those that come later are noted.
func (s *Store) erasuresCarried(ctx context.Context) error {
	open, err := s.openErasures(ctx)
	for pause := keepPause; err == nil && len(open) > 0; {
		if err := s.deliver(ctx); err != nil {
			return err
		}
		var still map[freshet.ID]freshet.ID
		if still, err = s.openErasures(ctx); err != nil {
			return err
		}
		for id := range open {
			if _, ok := still[id]; !ok {
				delete(open, id)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// openErasures are the erasures that not all parts have: by mirror, who was erased.
func (s *Store) openErasures(ctx context.Context) (map[freshet.ID]freshet.ID, error) {
	open := make(map[freshet.ID]freshet.ID)
	for _, p := range s.parts {
		pending, err := p.Pending(ctx, store.Buckets{}, openErasuresMost)
		if err != nil {
			return nil, err
		}
		for _, m := range pending {
			open[m.ID] = m.Actor
		}
	}
	return open, nil
}

// openErasuresMost bounds how many erasures of one part are looked at; while there are more none of the later ones is seen.
const openErasuresMost = 100_000
