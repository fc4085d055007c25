package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// whereabouts is what the writer knows of where buckets are, so that a write asks
// memory and not a table. Only ops of the writer touch it.
type whereabouts struct {
	elsewhere store.Buckets
	fenced    int64  // until when, 0 for none
	known     bool   // what stands here is what the file says
	changed   uint64 // the position before the last change
}

// forget is called by an op that changes what it is about. Until the position has
// moved nobody knows whether the change will commit, and every op reads the tables.
func (w *whereabouts) forget(file *litedb.DB) { w.known, w.changed = false, file.Position().Offset }

func (t *tx) whereabouts() (*whereabouts, error) {
	w := &t.d.where
	if w.known {
		return w, nil
	}
	w.elsewhere, w.fenced = store.Buckets{}, 0
	if err := t.Each("SELECT bucket FROM elsewhere", nil, func(r *litedb.Rows) { w.elsewhere.Add(int(r.Int(0))) }); err != nil {
		return nil, err
	}
	var err error
	if w.fenced, _, err = t.number("SELECT fenced FROM move"); err != nil {
		return nil, err
	}
	w.known = t.d.file.Position().Offset != w.changed
	return w, nil
}

// liftFence ends a fence whose time is over: the guard knows no clock.
func (t *tx) liftFence() error {
	w, err := t.whereabouts()
	if err != nil || w.fenced == 0 || t.Now().UnixNano() < w.fenced {
		return err
	}
	return t.setFence(0)
}

func (t *tx) setFence(until int64) error {
	t.d.where.forget(t.d.file)
	return t.exec("UPDATE move SET fenced = ?", until)
}

// move is the one that is on.
type move struct {
	term    uint64
	buckets store.Buckets // none: there is no move
	away    bool
	fenced  int64
}

func (t *tx) move() (m move, err error) {
	if _, err = t.One("SELECT term, away, fenced FROM move", nil, func(r *litedb.Rows) {
		m.term, m.away, m.fenced = uint64(r.Int(0)), r.Int(1) != 0, r.Int(2)
	}); err != nil {
		return m, err
	}
	err = t.Each("SELECT bucket FROM moving", nil, func(r *litedb.Rows) { m.buckets.Add(int(r.Int(0))) })
	return m, err
}

// errNoMove is a call that makes sense while a move is on, or on the other side of it.
var errNoMove error = freshet.Conflict("buckets", "are not being moved, or not in this direction")

// moved runs a step of a move for a mover in whose place no other has come.
func (d *DB) moved(ctx context.Context, what string, term uint64, op func(*tx, move) error) (position.Token, error) {
	at, err := d.write(ctx, store.Write{}, func(t *tx) error {
		m, err := t.move()
		if err != nil {
			return err
		}
		if term < m.term {
			return store.ErrTerm
		}
		return op(t, m)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return at, nil
}

// BeginMove guards buckets.
func (d *DB) BeginMove(ctx context.Context, term uint64, b store.Buckets) (now time.Time, err error) {
	if b == (store.Buckets{}) {
		return now, freshet.Invalid("buckets", "are none")
	}
	_, err = d.moved(ctx, "begin move", term, func(t *tx, m move) error {
		now = t.Now().UTC()
		if m.buckets != (store.Buckets{}) {
			if m.buckets != b {
				return freshet.Conflict("buckets", "are others than those of the move that is on")
			}
			return t.exec("UPDATE move SET term = ?", term)
		}
		w, err := t.whereabouts()
		if err != nil {
			return err
		}
		away := 0
		for _, n := range b.List() {
			if w.elsewhere.Has(n) {
				away++
			}
		}
		if away != 0 && away != b.Len() {
			return freshet.Conflict("buckets", "are partly here and partly elsewhere")
		}
		if err := t.exec("UPDATE move SET term = ?, away = ?, fenced = 0", term, away > 0); err != nil {
			return err
		}
		if err := t.exec("INSERT INTO moving (bucket) SELECT value FROM json_each(?)", jsonNumbers(b)); err != nil {
			return err
		}
		return t.guard()
	})
	return now, err
}

// EndMove forgets the move.
func (d *DB) EndMove(ctx context.Context, term uint64) error {
	_, err := d.moved(ctx, "end move", term, func(t *tx, m move) error {
		if m.buckets == (store.Buckets{}) {
			return nil
		}
		if err := t.unguard(); err != nil {
			return err
		}
		for _, query := range []string{"DELETE FROM moving", "DELETE FROM notes", "DELETE FROM passed", "UPDATE move SET away = 0"} {
			if err := t.exec(query); err != nil {
				return err
			}
		}
		return t.setFence(0)
	})
	return err
}

// Fence refuses writes until the lease is over. There is one writer, so nothing is
// under way when it returns.
func (d *DB) Fence(ctx context.Context, term uint64, lease time.Duration) (now time.Time, err error) {
	_, err = d.moved(ctx, "fence buckets", term, func(t *tx, m move) error {
		if m.buckets == (store.Buckets{}) {
			return errNoMove
		}
		now = t.Now().UTC()
		if lease <= 0 {
			return t.setFence(0)
		}
		return t.setFence(now.Add(lease).UnixNano())
	})
	return now, err
}

// Leave gives the buckets away.
func (d *DB) Leave(ctx context.Context, term uint64) (position.Token, error) {
	return d.moved(ctx, "leave buckets", term, func(t *tx, m move) error {
		switch {
		case m.buckets == (store.Buckets{}):
			return errNoMove
		case m.away:
			return nil
		case m.fenced == 0:
			return store.ErrFenceOver
		}
		if err := t.exec("UPDATE move SET away = 1"); err != nil {
			return err
		}
		if err := t.exec("INSERT INTO elsewhere (bucket) SELECT bucket FROM moving"); err != nil {
			return err
		}
		return t.setFence(0)
	})
}

// Join takes the buckets.
func (d *DB) Join(ctx context.Context, term uint64) (position.Token, error) {
	return d.moved(ctx, "join buckets", term, func(t *tx, m move) error {
		switch {
		case m.buckets == (store.Buckets{}):
			return errNoMove
		case !m.away:
			return nil
		}
		if err := t.exec("UPDATE move SET away = 0"); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM elsewhere WHERE bucket IN (SELECT bucket FROM moving)"); err != nil {
			return err
		}
		if err := t.setFence(0); err != nil {
			return err
		}
		if err := t.meetMirrors(m.buckets); err != nil {
			return err
		}
		if err := t.meetErasures(); err != nil {
			return err
		}
		return t.change(store.BucketsMoved, 0, 0)
	})
}

// meetMirrors makes what mirrors tell that came here, or waited here for those who
// came. What is between two users of this part needs no courier any more. An
// erasure of one who came has still to be told to other parts, which do not include
// this one.
func (t *tx) meetMirrors(came store.Buckets) error {
	var mirrors []store.Mirror
	if err := t.Each("SELECT id, kind, actor, target, edge, also FROM mirrors WHERE NOT "+isAway("actor")+
		" AND (bucket = ?1 OR bucket NOT IN (SELECT bucket FROM elsewhere)) ORDER BY n, id", []any{everywhere},
		func(r *litedb.Rows) { mirrors = append(mirrors, scanMirror(r)) }); err != nil {
		return err
	}
	for _, m := range mirrors {
		if m.Kind == store.Erasure && !came.Has(m.Actor.Bucket()) {
			continue
		}
		if err := t.meetMirror(m); err != nil {
			return fmt.Errorf("apply mirror %s: %w", m.ID, err)
		}
	}
	return nil
}

func (t *tx) meetMirror(m store.Mirror) error {
	refused, known, err := t.number("SELECT refused FROM mirrored WHERE id = ?", m.ID)
	if err != nil {
		return err
	}
	done := store.Settled{ID: m.ID, Refused: refused != 0}
	if !known {
		if done.Refused, err = t.applyHere(m); err != nil {
			return err
		}
	}
	if m.Kind == store.Erasure {
		return nil
	}
	return t.settle(done)
}

// applyHere applies a mirror whose fact is here. A follow may have been ended by
// a block that was applied just before, and then there is no more to be told.
func (t *tx) applyHere(m store.Mirror) (refused bool, err error) {
	if m.Kind == store.FollowMade {
		_, there, err := t.number("SELECT 1 FROM follows WHERE follower = ? AND followee = ? AND id = ?", m.Actor, m.Target, m.Edge)
		if err != nil {
			return false, err
		}
		if !there {
			return false, t.known(m, false)
		}
	}
	out, err := t.apply(m)
	return out.Refused, err
}

// MovePlan gives what SetMovePlan kept last.
func (d *DB) MovePlan(ctx context.Context) (plan []byte, version uint64, err error) {
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		plan, version = nil, 0
		return c.Each("SELECT version, plan FROM move_plan", nil, func(r *litedb.Rows) { version, plan = uint64(r.Int(0)), r.Blob(1) })
	})
	return plan, version, err
}

// SetMovePlan keeps a plan.
func (d *DB) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	if len(plan) == 0 {
		return errors.New("keep the plan of a move: it is empty")
	}
	_, err := d.write(ctx, store.Write{}, func(t *tx) error {
		last, _, err := t.number("SELECT version FROM move_plan")
		if err != nil {
			return err
		}
		if uint64(last)+1 != version {
			return freshet.Conflict("version", "is not one above that of the last plan")
		}
		if err := t.exec("DELETE FROM move_plan"); err != nil {
			return err
		}
		return t.exec("INSERT INTO move_plan (version, plan) VALUES (?, ?)", version, plan)
	})
	return err
}
