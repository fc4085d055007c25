package litedb

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/freshet/freshet"
)

// Tx is the writer's transaction as an op of Write sees it. It must not be kept.
type Tx struct {
	*Conn
	db      *DB
	offset  int64 // of the transaction, once it commits
	dirty   bool  // an op that succeeded has written
	changes int
	effects []Outboxed
	ids     ids
}

// ids draws ids whose (time, sequence) rises in the order of drawing.
type ids struct {
	millis   int64
	sequence int
}

type mark struct {
	changes, effects int
}

func (t *Tx) begin(offset int64) {
	t.offset, t.dirty, t.changes, t.lost = offset, false, 0, false
	clear(t.effects)
	t.effects = t.effects[:0]
}

func (t *Tx) mark() mark { return mark{t.changes, len(t.effects)} }

func (t *Tx) reset(m mark) { t.changes, t.effects = m.changes, t.effects[:m.effects] }

// Now is the clock that ids are drawn from, in whole microseconds: what other
// engines keep of a time, so that one that is handed to them stays the same.
func (t *Tx) Now() time.Time { return t.db.opts.Now().Truncate(time.Microsecond) }

// NextID draws an id in a bucket. Time and sequence together rise from draw to
// draw, also while the clock stands still or goes back: they go on from the
// highest drawn, whatever its bucket. So ids rise within a bucket, and across
// buckets from one millisecond to the next.
func (t *Tx) NextID(bucket int) freshet.ID {
	d := &t.ids
	now := freshet.Millis(t.Now())
	switch {
	case now > d.millis:
		d.millis, d.sequence = now, 0
	case d.sequence+1 < freshet.Sequences:
		d.sequence++
	default:
		d.millis, d.sequence = d.millis+1, 0
	}
	return freshet.NewID(d.millis, bucket, d.sequence)
}

// PassID tells the clock of ids that an id was placed by hand, so that none
// drawn later can be equal or lower within its millisecond.
func (t *Tx) PassID(id freshet.ID) {
	d := &t.ids
	switch m := id.Millis(); {
	case m > d.millis:
		d.millis, d.sequence = m, id.Sequence()
	case m == d.millis:
		d.sequence = max(d.sequence, id.Sequence())
	}
}

// Change adds a row to the change feed, if anybody has ever asked for it: a new
// consumer starts at the present.
func (t *Tx) Change(kind uint8, subject, object freshet.ID, also []freshet.ID) error {
	if !t.db.listened.Load() {
		return nil
	}
	_, err := t.Exec("INSERT INTO changes (position, n, kind, subject, object, also) VALUES (?, ?, ?, ?, ?, ?)",
		t.offset, t.changes, int64(kind), subject, object, packIDs(also))
	t.changes++
	return err
}

// Emit puts an effect into the outbox. subject stands in where the effect has
// none. Where a job of the effect's Unique name waits or runs already, that job
// notes in again the transaction that asked for it: an attempt that began
// before then did not see what this transaction wrote, so the job must run
// once more.
func (t *Tx) Emit(e freshet.Effect, subject freshet.ID) error {
	if e.Kind == "" {
		return errors.New("litedb: an effect without a kind")
	}
	if e.Subject == 0 {
		e.Subject = subject
	}
	var dedupe any
	if e.Unique != "" {
		n, err := t.Exec("UPDATE jobs SET again = ? WHERE dedupe = ? AND dedupe IS NOT NULL AND state = 0", t.offset, e.Unique)
		if err != nil || n > 0 {
			return err
		}
		dedupe = e.Unique
	}
	now := t.Now()
	due := e.RunAt
	if due.IsZero() {
		due = now
	}
	id := t.NextID(e.Subject.Bucket())
	_, err := t.Exec(`INSERT INTO jobs (id, kind, key, subject, args, state, run_at, attempt, dedupe, again, created_at)
		VALUES (?, ?, ?, ?, ?, 0, ?, 0, ?, 0, ?)`,
		id, e.Kind, e.Key, e.Subject, e.Args, due, dedupe, now)
	if err == nil {
		t.effects = append(t.effects, Outboxed{ID: id, Effect: e, CreatedAt: now})
	}
	return err
}

func packIDs(ids []freshet.ID) []byte {
	if len(ids) == 0 {
		return nil
	}
	b := make([]byte, 0, 5*len(ids))
	var last freshet.ID
	for _, id := range ids {
		b = binary.AppendVarint(b, int64(id-last))
		last = id
	}
	return b
}

func unpackIDs(b []byte) (ids []freshet.ID) {
	var last freshet.ID
	for len(b) > 0 {
		d, n := binary.Varint(b)
		if n <= 0 {
			return ids
		}
		last += freshet.ID(d)
		ids = append(ids, last)
		b = b[n:]
	}
	return ids
}
