package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	// mirroredFor is how long it is known what was applied.
	mirroredFor = 24 * time.Hour
	// everywhere is the bucket of a mirror that goes to all other parts.
	everywhere = -1
)

// mirror notes what another part has to be told, in the transaction of the fact.
func (t *tx) mirror(kind store.MirrorKind, actor, target, edge freshet.ID, also ...freshet.ID) error {
	return t.exec(`INSERT INTO mirrors (n, id, bucket, kind, actor, target, edge, also)
		SELECT coalesce(max(n), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM mirrors`,
		t.NextID(actor.Bucket()), bucketOfMirror(kind, target), int(kind), actor, target, edge, orNull(packIDs(also)))
}

// bucketOfMirror is where a mirror goes.
func bucketOfMirror(kind store.MirrorKind, target freshet.ID) int {
	if kind == store.Erasure {
		return everywhere
	}
	return target.Bucket()
}

func packIDs(ids []freshet.ID) (b []byte) {
	for _, id := range ids {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}

func unpackIDs(b []byte) (ids []freshet.ID) {
	for ; len(b) >= 8; b = b[8:] {
		ids = append(ids, freshet.ID(binary.BigEndian.Uint64(b)))
	}
	return ids
}

// pending reads about one row per bucket and one per row of the answer, as home
// does; a part that is down and what waits for it cost nothing.
const pending = `SELECT m.id, m.kind, m.actor, m.target, m.edge, m.also
	FROM json_each(?1) b CROSS JOIN mirrors m ON m.bucket = b.value WHERE NOT EXISTS (SELECT 1 FROM elsewhere e WHERE e.bucket = m.actor >> 12 & 1023)
	ORDER BY m.n LIMIT ?2`

// Pending lists what other parts have to be told, oldest first. What an actor
// elsewhere has to tell is told there.
func (d *DB) Pending(ctx context.Context, to store.Buckets, limit int) ([]store.Mirror, error) {
	buckets := []freshet.ID{everywhere}
	for _, n := range to.List() {
		buckets = append(buckets, freshet.ID(n))
	}
	return list(ctx, d, pending, []any{jsonIDs(buckets), limit}, scanMirror)
}

func scanMirror(r *litedb.Rows) store.Mirror {
	return store.Mirror{
		ID: r.ID(0), Kind: store.MirrorKind(r.Int(1)), Actor: r.ID(2), Target: r.ID(3), Edge: r.ID(4), Also: unpackIDs(r.Blob(5)),
	}
}

// settled is the condition that a row of mirrored is of a bucket that stays.
const settled = "bucket NOT IN (SELECT bucket FROM elsewhere) AND bucket NOT IN (SELECT bucket FROM moving)"

// Apply makes the other halves of what was written on other parts.
func (d *DB) Apply(ctx context.Context, mirrors []store.Mirror) (out []store.Applied, at position.Token, err error) {
	at, err = d.write(ctx, store.Write{}, func(t *tx) error {
		out = make([]store.Applied, len(mirrors))
		news := false
		for i, m := range mirrors {
			refused, known, err := t.number("SELECT refused FROM mirrored WHERE id = ?", m.ID)
			if out[i].Refused = refused != 0; err == nil && !known {
				news = true
				out[i], err = t.apply(m)
			}
			if err != nil {
				return fmt.Errorf("apply mirror %s: %w", m.ID, err)
			}
		}
		if !news {
			return nil
		}
		return t.exec("DELETE FROM mirrored WHERE id IN (SELECT id FROM mirrored WHERE at < ? AND "+settled+" LIMIT ?)", t.Now().Add(-mirroredFor), purgeChunk)
	})
	if err != nil {
		return nil, nil, err
	}
	return out, at, nil
}

func (t *tx) apply(m store.Mirror) (out store.Applied, err error) {
	if m.Kind == store.Erasure {
		out, err = t.applyErasure(m)
	} else {
		out.Refused, err = t.applyEdge(m)
	}
	if err != nil {
		return out, err
	}
	return out, t.known(m, out.Refused)
}

// known notes that a mirror was applied, on the bucket of its target.
func (t *tx) known(m store.Mirror, refused bool) error {
	return t.exec("INSERT INTO mirrored (id, bucket, refused, at) VALUES (?, ?, ?, ?)", m.ID, bucketOfMirror(m.Kind, m.Target), refused, t.Now())
}

func (t *tx) applyEdge(m store.Mirror) (refused bool, err error) {
	here, err := t.here(m.Target)
	if err == nil && !here {
		if err = t.missing("user", m.Target); freshet.CodeOf(err) == freshet.CodeNotFound {
			return m.Kind == store.FollowMade || m.Kind == store.BlockMade, nil
		}
	}
	if err != nil {
		return false, err
	}
	switch m.Kind {
	case store.FollowMade, store.BlockMade:
		return t.applyMade(m)
	case store.FollowEnded:
		return false, t.told(store.FollowChanged, m)(t.endFollower(m.Actor, m.Target, m.Edge))
	case store.BlockEnded:
		return false, t.told(store.BlockChanged, m)(t.endBlocked(m.Actor, m.Target, m.Edge))
	}
	return false, fmt.Errorf("unknown kind %d", m.Kind)
}

// told notes the change of a mirror that found something to end.
func (t *tx) told(kind store.ChangeKind, m store.Mirror) func(ended bool, err error) error {
	return func(ended bool, err error) error {
		if err != nil || !ended {
			return err
		}
		return t.change(kind, m.Actor, m.Target)
	}
}

func (t *tx) applyMade(m store.Mirror) (refused bool, err error) {
	if ended, err := t.ended(m.Actor); err != nil || ended {
		return ended, err
	}
	if m.Kind == store.BlockMade {
		if err := t.mirrorBlock(m.Actor, m.Target, m.Edge); err != nil {
			return false, err
		}
		return false, t.change(store.BlockChanged, m.Actor, m.Target)
	}
	if err := t.apart(m.Target, m.Actor, "user"); freshet.CodeOf(err) == freshet.CodeNotFound {
		return true, nil
	} else if err != nil {
		return false, err
	}
	if refused, err := t.refuses(m); err != nil || refused {
		return refused, err
	}
	if err := t.addFollower(m.Actor, m.Target, m.Edge, len(m.Also) > 0); err != nil {
		return false, err
	}
	return false, t.change(store.FollowChanged, m.Actor, m.Target)
}

// refuses reports whether the target of a follow is private and has neither
// accepted the actor nor this very follow, whose mirror was forgotten since.
func (t *tx) refuses(m store.Mirror) (bool, error) {
	closed, err := t.closedTo(m.Actor, m.Target)
	if err != nil || !closed {
		return false, err
	}
	_, there, err := t.number("SELECT 1 FROM followers WHERE followee = ? AND id = ? AND follower = ?", m.Target, m.Edge, m.Actor)
	return !there, err
}

// Settle forgets mirrors, and undoes the facts of those that were refused.
func (d *DB) Settle(ctx context.Context, done []store.Settled) (position.Token, error) {
	return d.write(ctx, store.Write{}, func(t *tx) error {
		for _, s := range done {
			if err := t.settle(s); err != nil {
				return fmt.Errorf("settle mirror %s: %w", s.ID, err)
			}
		}
		return nil
	})
}

func (t *tx) settle(s store.Settled) error {
	var m store.Mirror
	found, err := t.One("SELECT kind, actor, target, edge FROM mirrors WHERE id = ?", []any{s.ID}, func(r *litedb.Rows) {
		m.Kind, m.Actor, m.Target, m.Edge = store.MirrorKind(r.Int(0)), r.ID(1), r.ID(2), r.ID(3)
	})
	if err != nil || !found {
		return err
	}
	if s.Refused {
		switch m.Kind {
		case store.FollowMade:
			err = t.undoFollow(m)
		case store.BlockMade:
			err = t.undoBlock(m)
		}
		if err != nil {
			return err
		}
	}
	return t.exec("DELETE FROM mirrors WHERE id = ?", s.ID)
}

func (t *tx) undoFollow(m store.Mirror) error {
	n, err := t.Exec("DELETE FROM follows WHERE follower = ? AND followee = ? AND id = ?", m.Actor, m.Target, m.Edge)
	if err != nil || n == 0 {
		return err
	}
	if err := t.countFollowing(m.Actor, -1); err != nil {
		return err
	}
	if err := t.denote(freshet.NotifyAccepted, m.Target, m.Actor); err != nil {
		return err
	}
	return t.change(store.FollowChanged, m.Actor, m.Target)
}

func (t *tx) undoBlock(m store.Mirror) error {
	n, err := t.Exec("DELETE FROM blocks WHERE blocker = ? AND blocked = ? AND id = ?", m.Actor, m.Target, m.Edge)
	if err != nil || n == 0 {
		return err
	}
	return t.change(store.BlockChanged, m.Actor, m.Target)
}
