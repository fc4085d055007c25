package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	// fenceLease is for how long a source waits for its mover before it takes writes again.
	fenceLease = 2 * time.Second
	// erasureLease is for how long a target holds erasures: until it has the buckets, also where a mover dies after the source has left and
	// another goes on. What comes later passes over the rows between the two parts, and is made for them when the target takes them.
	erasureLease = 10 * time.Minute
	// fewChanges is how many a source may have left over when it is fenced, so that the pause is short.
	fewChanges = 100
	// catchUpRounds bounds how often is looked for that few.
	catchUpRounds = 1000
	// maxSkew is how far the clocks of two parts may be apart: ids of a bucket rise over its moves.
	maxSkew = 250 * time.Millisecond
)

var errAborted = errors.New("the move was aborted")

// change has another part own the leg's buckets. Before the source has given them away an error leaves all as it was; after that it is
// tried again until it is done.
func (d *driver) change(ctx context.Context, from, to int) error {
	source, target := d.s.mover(from), d.s.mover(to)
	left, err := d.elsewhere(ctx, from)
	if err != nil {
		return err
	}
	began := time.Now()
	if !left {
		if d.m.Abort && from == d.m.leg().From {
			return errAborted
		}
		if err := d.catchUp(ctx, source, target); err != nil {
			return err
		}
		if began, err = d.leave(ctx, source, target); err != nil {
			return errors.Join(err, d.lift(ctx, from, source, target))
		}
	} else if away, err := d.elsewhere(ctx, to); err != nil {
		return err
	} else if away { // whoever had the source leave may not have taken all over
		if err := d.drainAll(ctx, source, target); err != nil {
			return err
		}
	}
	return d.arrive(ctx, to, began)
}

// elsewhere reports whether a part has given the leg's buckets away, or not got them yet.
func (d *driver) elsewhere(ctx context.Context, part int) (bool, error) {
	b, err := d.s.parts[part].Elsewhere(ctx)
	return b.Has(d.m.leg().Buckets.List()[0]), err
}

// catchUp takes changes over until few are left.
func (d *driver) catchUp(ctx context.Context, source, target store.BucketMover) error {
	for range catchUpRounds {
		n, err := d.drain(ctx, source, target)
		if err != nil || n <= fewChanges {
			return err
		}
		if err := d.alive(ctx); err != nil {
			return err
		}
	}
	return errors.New("changes come sooner than they can be copied")
}

// lift ends both fences, unless the source has left, whatever it has answered: then the target is to hold erasures until it has the
// buckets.
func (d *driver) lift(ctx context.Context, from int, source, target store.BucketMover) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fenceLease)
	defer cancel()
	if left, err := d.elsewhere(ctx, from); err != nil || left {
		return err
	}
	_, err := source.Fence(ctx, d.m.term(), 0)
	_, err2 := target.Fence(ctx, d.m.term(), 0)
	return errors.Join(err, err2)
}

// leave stops writes on the source, takes the last changes over, and has the source give the buckets away. The pause began when it says.
func (d *driver) leave(ctx context.Context, source, target store.BucketMover) (began time.Time, err error) {
	asked := time.Now()
	there, err := target.Fence(ctx, d.m.term(), erasureLease)
	if err != nil {
		return began, fmt.Errorf("fence the target: %w", err)
	}
	told := time.Now()
	if err := d.erasuresAgree(ctx, target); err != nil {
		return began, err
	}
	began = time.Now()
	here, err := source.Fence(ctx, d.m.term(), fenceLease)
	if err != nil {
		return began, fmt.Errorf("fence the source: %w", err)
	}
	fenced := time.Now()
	// Each clock was read while it was asked, so the source's is ahead by that at least.
	if ahead := here.Sub(there) - fenced.Sub(asked); ahead > maxSkew {
		return began, fmt.Errorf("the clock of shard %d is %v ahead of shard %d's: ids would go back. Set the clocks", d.m.leg().From, ahead.Round(time.Millisecond), d.m.To)
	}
	if err := d.drainAll(ctx, source, target); err != nil {
		return began, err
	}
	// What the target draws when it has the buckets comes after what the source drew.
	if ahead := here.Sub(there) - time.Since(told); ahead > 0 {
		time.Sleep(ahead)
	}
	if _, err := source.Leave(ctx, d.m.term()); err != nil {
		return began, fmt.Errorf("give the buckets away: %w", err)
	}
	return began, nil
}

// erasuresAgree fails where the target, which is fenced, knows of an erasure that is still on its way to the source.
func (d *driver) erasuresAgree(ctx context.Context, target store.BucketMover) error {
	ended := make(map[freshet.ID]bool)
	for after := int64(0); ; {
		noted, err := target.Noted(ctx, after, drainPage)
		if err != nil {
			return err
		}
		for _, c := range noted.Changes {
			for _, row := range slices.Concat(c.Rows, c.Gone) {
				if c.Table == store.EndedTable {
					ended[freshet.ID(row[0].(int64))] = true
				}
			}
		}
		if len(noted.Notes) < drainPage {
			break
		}
		after = noted.Notes[len(noted.Notes)-1]
	}
	if len(ended) == 0 {
		return nil
	}
	open, err := d.s.openErasures(ctx)
	if err != nil {
		return err
	}
	for _, user := range open {
		if ended[user] {
			return fmt.Errorf("the erasure of user %s is on its way to other shards", user)
		}
	}
	return nil
}

// drainAll takes over all that is noted on a source that stands still.
func (d *driver) drainAll(ctx context.Context, source, target store.BucketMover) error {
	for after := int64(0); ; {
		noted, err := source.Noted(ctx, after, drainPage)
		if err != nil || len(noted.Notes) == 0 {
			return err
		}
		if err := d.put(ctx, target, noted); err != nil {
			return err
		}
		if len(noted.Notes) < drainPage {
			return nil
		}
		after = noted.Notes[len(noted.Notes)-1]
	}
}

// arrive goes on where the source has left and all has gone over: the target takes the buckets, and the directory says so.
func (d *driver) arrive(ctx context.Context, to int, began time.Time) error {
	target := d.s.mover(to)
	at, err := target.Join(ctx, d.m.term())
	if err != nil {
		return fmt.Errorf("take the buckets: %w", err)
	}
	if err := d.direct(ctx, to, at); err != nil {
		return fmt.Errorf("say in the directory where the buckets are: %w", err)
	}
	d.m.Pause = max(d.m.Pause, time.Since(began))
	return nil
}

// direct has the directory say that a part owns the leg's buckets, and where that must have come to be read.
func (d *driver) direct(ctx context.Context, to int, at position.Token) error {
	for round := 0; ; round++ {
		old := d.s.dir.Load()
		if round > 0 { // the directory knows no terms: whoever was overtaken hears of it here
			if _, err := d.s.mover(to).Join(ctx, d.m.term()); err != nil {
				return err
			}
		}
		next := old.Directory
		next.Epoch++
		moved := false
		for _, bucket := range d.m.leg().Buckets.List() {
			moved = moved || int(next.Owners[bucket]) != to
			next.Owners[bucket] = uint16(to)
		}
		if !moved {
			return d.followHome(ctx)
		}
		next.Since = make([]position.Position, len(next.Parts))
		copy(next.Since, old.Since)
		if p := at.At(next.Parts[to]); !p.IsZero() {
			next.Since[to] = p
		}
		if old.Home() != next.Home() {
			if err := d.bring(ctx, next.Home()); err != nil {
				return err
			}
		}
		err := d.s.parts[old.Home()].SetDirectory(ctx, next)
		if freshet.CodeOf(err) == freshet.CodeConflict { // somebody else has changed it
			if err := d.s.refresh(ctx, old); err != nil {
				return err
			}
			if d.s.dir.Load() == old {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		d.s.replace(old, next)
		return d.followHome(ctx)
	}
}

// Where home moves, the plan is brought to the next home, then the directory of the last says where that is, then the next has it too.
// The second decides for all processes at once, those that have just been started too: before it they find the plan at the last home,
// after it at the next, whose own directory, if it was home before, is older and counts no more.

// bring has the next home know the plan, unless it knows one of who has come in this driver's place.
func (d *driver) bring(ctx context.Context, part int) error {
	for {
		there, version, err := planOf(ctx, d.s.parts[part])
		if err != nil {
			return err
		}
		if there != nil && there.term() > d.m.term() {
			return errDriven
		}
		err = d.s.mover(part).SetMovePlan(ctx, d.m.encode(), version+1)
		if freshet.CodeOf(err) != freshet.CodeConflict {
			return err
		}
	}
}

// followHome goes on where the directory says that the buckets have moved. Where home is one of them it has the directory itself from
// here on, and hears of an end that was asked for at the last home after the plan was brought.
func (d *driver) followHome(ctx context.Context) error {
	dir := d.s.dir.Load()
	if !d.m.leg().Buckets.Has(0) {
		return nil
	}
	home := d.s.parts[dir.Home()]
	there, err := home.Directory(ctx)
	if err != nil {
		return err
	}
	if there.Epoch < dir.Epoch {
		if err := home.SetDirectory(ctx, dir.Directory); err != nil && freshet.CodeOf(err) != freshet.CodeConflict { // another did it
			return err
		}
	}
	last := d.m.leg().From + d.m.To - dir.Home()
	plan, _, err := planOf(ctx, d.s.parts[last])
	if err == nil && plan != nil && plan.Abort && plan.Began.Equal(d.m.Began) {
		d.mu.Lock()
		d.aborted = true
		d.mu.Unlock()
	}
	return err
}
