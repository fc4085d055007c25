package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
)

// result is how an attempt ended.
type result int

const (
	done result = iota
	failed
	dead
	interrupted // by Close: nothing to write
)

// outcome is an attempt that ended and is to be written. It is a copy: the next
// attempt may begin before that.
type outcome struct {
	id      freshet.ID
	key     string
	result  result
	attempt int
	runAt   time.Time
	err     string
	unique  bool
	start   uint64 // of a unique job: the position that the attempt could read at
	again   bool   // found on writing: its Unique name was asked for after start
}

// runFinisher writes outcomes: all that came while it wrote the last ones
// together. It ends when the engine has stopped and all are written.
func (e *Engine) runFinisher() {
	defer close(e.ended)
	var batch []outcome
	for {
		e.mu.Lock()
		for len(e.outcomes) == 0 && e.state < stopped {
			e.finish.Wait()
		}
		clear(batch)
		batch, e.outcomes = e.outcomes, batch[:0]
		e.writing = len(batch)
		e.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := e.write(batch)
		e.mu.Lock()
		e.writing = 0
		if err != nil {
			e.err = fmt.Errorf("write outcomes of %d jobs, which will run again: %w", len(batch), err)
		} else {
			e.written(batch)
		}
		e.settleIdle()
		if len(batch) >= unwritten/2 {
			e.work.Broadcast() // workers may have paused
		}
		e.mu.Unlock()
	}
}

// write commits outcomes and tries again until it can, or the engine closes.
func (e *Engine) write(batch []outcome) error {
	const last = 3 // tries once the engine closes
	wait := 10 * time.Millisecond
	for try := 1; ; try++ {
		_, err := e.db.Write(context.Background(), func(tx *litedb.Tx) error { return apply(tx, batch) })
		if err == nil || errors.Is(err, litedb.ErrClosed) || e.ctx.Err() != nil && try >= last {
			return err
		}
		time.Sleep(wait)
		wait = min(2*wait, time.Second)
	}
}

// apply writes outcomes in one transaction. Deletions come last: an earlier
// outcome in the batch may be of the same job.
func apply(tx *litedb.Tx, batch []outcome) error {
	ids := make([]byte, 1, 20*len(batch)+2)
	ids[0] = '['
	for i := range batch {
		o := &batch[i]
		switch {
		case o.result == failed:
			if err := retry(tx, o); err != nil {
				return err
			}
		case o.unique:
			if err := endUnique(tx, o); err != nil {
				return err
			}
		case o.result == dead:
			if err := bury(tx, o); err != nil {
				return err
			}
		default:
			ids = strconv.AppendInt(ids, int64(o.id), 10)
			ids = append(ids, ',')
		}
	}
	if len(ids) == 1 {
		return nil
	}
	ids[len(ids)-1] = ']'
	_, err := tx.Exec("DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))", string(ids))
	return err
}

func retry(tx *litedb.Tx, o *outcome) error {
	_, err := tx.Exec("UPDATE jobs SET attempt = ?, run_at = ?, error = ? WHERE id = ?", o.attempt, o.runAt, o.err, o.id)
	return err
}

func bury(tx *litedb.Tx, o *outcome) error {
	_, err := tx.Exec("UPDATE jobs SET state = 1, attempt = ?, error = ? WHERE id = ?", o.attempt, o.err, o.id)
	return err
}

// endUnique ends a job that others may have asked for while it ran: then it
// begins anew, because what they wrote may have come too late for the attempt.
func endUnique(tx *litedb.Tx, o *outcome) error {
	n, err := tx.Exec("UPDATE jobs SET attempt = 0, run_at = ?, checkpoint = NULL, again = 0 WHERE id = ? AND again > ?",
		o.runAt, o.id, o.start)
	if o.again = n > 0; o.again || err != nil {
		return err
	}
	if o.result == dead {
		return bury(tx, o)
	}
	_, err = tx.Exec("DELETE FROM jobs WHERE id = ?", o.id)
	return err
}

// written takes in that outcomes have committed.
func (e *Engine) written(batch []outcome) {
	for i := range batch {
		o := &batch[i]
		if o.result == failed {
			continue
		}
		delete(e.claims, o.id)
		switch {
		case o.again:
			e.stats.Waiting++
			e.schedule(date{at: o.runAt.UnixNano(), key: o.key, job: ref{id: o.id}})
		case o.result == dead:
			e.stats.Dead++
		}
	}
}
