package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// Credentials gives what a sign-in is checked against.
func (d *DB) Credentials(ctx context.Context, handle string) (freshet.Credentials, error) {
	return get(ctx, d, "user", `SELECT u.id, u.password_hash, u.admin FROM handles h JOIN users u ON u.id = h.user
		WHERE h.handle = ? AND NOT h.pending`, handleKey(handle), scanCredentials)
}

func scanCredentials(r *litedb.Rows) freshet.Credentials {
	return freshet.Credentials{User: r.ID(0), PasswordHash: r.Text(1), Admin: r.Int(2) != 0}
}

// SetPassword replaces the hash and ends the user's sessions.
func (d *DB) SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error) {
	_, err = d.write(ctx, store.Write{}, func(t *tx) (err error) {
		if err := t.needUsers(id); err != nil {
			return err
		}
		if err := t.exec("UPDATE users SET password_hash = ?2, admin = max(admin, ?3) WHERE id = ?1", id, hash, admin); err != nil {
			return err
		}
		if err := t.change(store.UserChanged, id, 0); err != nil {
			return err
		}
		ended, err = t.endSessions(id)
		return err
	})
	return ended, err
}

// Email is the address of a user.
func (d *DB) Email(ctx context.Context, id freshet.ID) (string, error) {
	return get(ctx, d, "user", "SELECT email FROM users WHERE id = ?", id, func(r *litedb.Rows) string { return r.Text(0) })
}
