package sqlite

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const sessionColumns = "id, user, hash, admin, agent, created_at, used_at, expires_at"

func scanSession(r *litedb.Rows) freshet.Session {
	s := freshet.Session{
		ID: r.ID(0), User: r.ID(1), Admin: r.Int(3) != 0, Agent: r.Text(4),
		CreatedAt: r.Time(5), UsedAt: r.Time(6), ExpiresAt: r.Time(7),
	}
	copy(s.Hash[:], r.Blob(2))
	return s
}

// CreateSession stores a sign-in. Times that are zero become that of the write,
// but for ExpiresAt.
func (d *DB) CreateSession(ctx context.Context, s freshet.Session, w store.Write) (freshet.Session, position.Token, error) {
	var made freshet.Session
	at, err := d.write(ctx, w, func(t *tx) error {
		if err := t.needUsers(s.User); err != nil {
			return err
		}
		made = s
		made.ID = t.NextID(s.User.Bucket())
		made.CreatedAt = orNow(t, s.CreatedAt)
		made.UsedAt = orNow(t, s.UsedAt)
		t.made, t.changed = made.ID, true
		return t.exec("INSERT INTO sessions ("+sessionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			made.ID, made.User, made.Hash[:], made.Admin, made.Agent, made.CreatedAt, made.UsedAt, made.ExpiresAt)
	})
	return made, at, err
}

func orNow(t *tx, at time.Time) time.Time {
	if at.IsZero() {
		at = t.Now()
	}
	return at.UTC()
}

// SessionByHash gives a session whether or not it has expired.
func (d *DB) SessionByHash(ctx context.Context, hash [32]byte) (freshet.Session, error) {
	return get(ctx, d, "session", "SELECT "+sessionColumns+" FROM sessions WHERE hash = ?", hash[:], scanSession)
}

// TouchSession notes a use and moves the expiry.
func (d *DB) TouchSession(ctx context.Context, id freshet.ID, used, expires time.Time) error {
	_, err := d.write(ctx, store.Write{}, func(t *tx) error {
		if err := t.local(id); err != nil {
			return err
		}
		n, err := t.Exec("UPDATE sessions SET used_at = ?2, expires_at = ?3 WHERE id = ?1", id, used, expires)
		if err == nil && n == 0 {
			err = t.missing("session", id)
		}
		return err
	})
	return err
}

// Sessions lists the sessions of a user, oldest first.
func (d *DB) Sessions(ctx context.Context, user freshet.ID) ([]freshet.Session, error) {
	return list(ctx, d, "SELECT "+sessionColumns+" FROM sessions WHERE user = ? ORDER BY id", []any{user}, scanSession)
}

// EndSession removes a session of the user.
func (d *DB) EndSession(ctx context.Context, user, id freshet.ID, w store.Write) (ended freshet.Session, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.local(id); err != nil {
			return err
		}
		found, err := t.One("SELECT "+sessionColumns+" FROM sessions WHERE id = ? AND user = ?", []any{id, user},
			func(r *litedb.Rows) { ended = scanSession(r) })
		if err != nil {
			return err
		}
		if !found {
			return t.missing("session", id)
		}
		if err := t.exec("DELETE FROM sessions WHERE id = ?", id); err != nil {
			return err
		}
		return t.change(store.SessionEnded, id, user)
	})
	return ended, at, err
}

// endSessions removes all sessions of a user.
func (t *tx) endSessions(user freshet.ID) (ended []freshet.Session, err error) {
	if err := t.Each("SELECT "+sessionColumns+" FROM sessions WHERE user = ? ORDER BY id", []any{user},
		func(r *litedb.Rows) { ended = append(ended, scanSession(r)) }); err != nil {
		return nil, err
	}
	for _, s := range ended {
		if err := t.change(store.SessionEnded, s.ID, user); err != nil {
			return nil, err
		}
	}
	return ended, t.exec("DELETE FROM sessions WHERE user = ?", user)
}

// PurgeSessions removes what expired before a time.
func (d *DB) PurgeSessions(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < ? AND NOT "+isAway("id")+" LIMIT ?)", before)
}
