package litedb

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/freshet/freshet/position"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// write is one call of Write on its way through the queue.
type write struct {
	op    func(*Tx) error
	state atomic.Int32 // queued, then claimed by the writer or abandoned by the caller
	err   error
	at    position.Position
	done  chan struct{} // one token when err and at are set
}

const (
	queued = iota
	claimed
	abandoned
)

// newWrite takes one from the pool: of this DB, because a channel that was made
// inside a synctest bubble can't be used outside it.
func (d *DB) newWrite(op func(*Tx) error) *write {
	w, ok := d.pool.Get().(*write)
	if !ok {
		w = &write{done: make(chan struct{}, 1)}
	}
	w.op, w.err, w.at = op, nil, position.Position{}
	w.state.Store(queued)
	return w
}

// Write runs op in a transaction together with the writes that wait at the same
// time and returns after COMMIT. If op fails, its changes alone are undone and
// its error is returned as it is, or with [ErrUnwritable] where the file refused
// it. A ctx that ends while the write still waits
// takes it back; one that ends later does not.
func (d *DB) Write(ctx context.Context, op func(*Tx) error) (position.Position, error) {
	if err := ctx.Err(); err != nil {
		return position.Position{}, err
	}
	select {
	case <-d.closing:
		return position.Position{}, ErrClosed
	default:
	}
	w := d.newWrite(op)
	select {
	case d.queue <- w:
	case <-d.closing:
		return position.Position{}, ErrClosed
	case <-ctx.Done():
		return position.Position{}, ctx.Err()
	}
	select {
	case <-w.done:
	case <-d.stopped: // this write came into the queue behind the last group
		select {
		case <-w.done:
		default:
			return position.Position{}, ErrClosed
		}
	case <-ctx.Done():
		if w.state.CompareAndSwap(queued, abandoned) {
			return position.Position{}, ctx.Err() // the queue still holds w
		}
		<-w.done
	}
	at, err := w.at, w.err
	w.op = nil
	d.pool.Put(w)
	return at, err
}

// run is the writer: it owns d.tx.
func (d *DB) run() {
	defer close(d.stopped)
	batch := make([]*write, 0, d.opts.GroupMax)
	for {
		select {
		case w := <-d.queue:
			d.yield()
			d.commit(d.gather(claim(batch[:0], w)))
		case <-d.closing:
			for {
				rest := d.gather(batch[:0])
				if len(rest) == 0 {
					return
				}
				d.commit(rest)
			}
		}
		clear(batch[:cap(batch)])
	}
}

// yield lets the callers of the last group run for as long as that makes the
// queue longer: those that write again then join the next group instead of the
// one after it. It waits for nobody. With 64 callers it makes groups of 49
// instead of 32 (one yield: 44), and the disk's sync is most of a group's time;
// those that [DB.attempt] lets join while it runs make the rest.
func (d *DB) yield() {
	for n := -1; n < len(d.queue); {
		n = len(d.queue)
		runtime.Gosched()
	}
}

// gather takes what waits already.
func (d *DB) gather(batch []*write) []*write {
	for len(batch) < cap(batch) {
		select {
		case w := <-d.queue:
			batch = claim(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// claim adds a write whose caller has not taken it back.
func claim(batch []*write, w *write) []*write {
	if w.state.CompareAndSwap(queued, claimed) {
		batch = append(batch, w)
	}
	return batch
}

// commit runs a group. The first try goes without savepoints, because almost
// no op fails after it has written; where one does, the group is rolled back
// and runs again with a savepoint around each op.
func (d *DB) commit(batch []*write) {
	if len(batch) == 0 {
		return
	}
	batch, err := d.attempt(batch, d.tx.plain)
	if errors.Is(err, errSpoiled) {
		batch, err = d.attempt(batch, d.tx.guarded)
	}
	for _, w := range batch {
		switch {
		case err != nil:
			w.err, w.at = fmt.Errorf("commit: %w: %w", ErrUnwritable, err), position.Position{}
		case refuses(w.err): // this op's statement alone, say one too big for what is free
			w.err = fmt.Errorf("write: %w: %w", ErrUnwritable, w.err)
		}
		if errors.Is(w.err, ErrUnwritable) {
			why := w.err // w goes back to the pool
			d.refused.Store(&why)
		}
	}
	for _, w := range batch {
		w.done <- struct{}{}
	}
}

// refuses reports whether SQLite could not write for the sake of the file.
func refuses(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // without what an extended code adds
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

// Raised reports whether an error is that of a trigger which refused a statement
// (RAISE): a write that fails with it has been undone.
func Raised(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_TRIGGER
}

// errSpoiled says that an op failed after it had written without a savepoint.
var errSpoiled = errors.New("litedb: an op failed after it had written")

// attempt runs a group in one transaction, and with it what comes into the queue
// while it runs. It returns the group with those; an error means that nothing of
// it is kept.
func (d *DB) attempt(batch []*write, run func(*write) error) (group []*write, err error) {
	t := &d.tx
	t.begin(d.offset.Load() + 1)
	defer func() {
		t.tidy()
		if err != nil && !t.lost {
			t.run("ROLLBACK") // its own error says less than err
		}
	}()
	if err := t.run("BEGIN IMMEDIATE"); err != nil {
		return batch, err
	}
	for done := 0; done < len(batch); batch = d.gather(batch) {
		for ; done < len(batch); done++ {
			if err := run(batch[done]); err != nil {
				return batch, err
			}
		}
	}
	offset := d.offset.Load()
	if t.dirty {
		offset = t.offset
		if _, err := t.Exec("UPDATE meta SET position = ?, millis = ?", offset, t.ids.millis); err != nil {
			return batch, err
		}
	}
	if err := t.run("COMMIT"); err != nil {
		return batch, err
	}
	if t.dirty {
		d.committed()
	}
	for _, w := range batch {
		if w.err == nil {
			w.at = d.at(offset)
			d.writes.Add(1)
		}
	}
	return batch, nil
}

// committed tells the world of a commit, before its callers hear of it.
func (d *DB) committed() {
	t := &d.tx
	d.commits.Add(1)
	d.refused.Store(nil)
	d.offset.Store(t.offset)
	if fn := d.onCommit.Load(); fn != nil && *fn != nil && len(t.effects) > 0 {
		(*fn)(t.effects)
	}
	if t.changes > 0 {
		d.feed.advance(t.offset)
	}
}

// plain runs an op as it is; a failure after a write spoils the group.
func (t *Tx) plain(w *write) error {
	mark := t.mark()
	w.err = t.call(w.op)
	switch {
	case t.lost:
		return errors.Join(errLost, w.err)
	case w.err != nil && t.wrote:
		return errSpoiled
	case w.err != nil:
		t.reset(mark)
	}
	t.dirty = t.dirty || t.wrote
	return nil
}

// guarded runs an op inside a savepoint.
func (t *Tx) guarded(w *write) error {
	if err := t.run("SAVEPOINT op"); err != nil {
		return err
	}
	mark := t.mark()
	w.err = t.call(w.op)
	if t.lost {
		return errors.Join(errLost, w.err)
	}
	if w.err != nil {
		t.reset(mark)
		if err := t.run("ROLLBACK TO op"); err != nil {
			return errors.Join(err, w.err)
		}
	} else {
		t.dirty = t.dirty || t.wrote
	}
	return t.run("RELEASE op")
}

// call turns a panic of op into its error: the writer must survive it.
func (t *Tx) call(op func(*Tx) error) (err error) {
	t.wrote = false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("litedb: write panicked: %v\n%s", p, debug.Stack())
		}
		t.tidy()
	}()
	return op(t)
}
