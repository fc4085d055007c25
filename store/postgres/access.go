package postgres

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const sessionColumns = "id, user_id, hash, admin, agent, created_at, used_at, expires_at"

func scanSession(r pgx.Rows) (s freshet.Session, err error) {
	var hash []byte
	err = r.Scan((*int64)(&s.ID), (*int64)(&s.User), &hash, &s.Admin, &s.Agent,
		instant{&s.CreatedAt}, instant{&s.UsedAt}, instant{&s.ExpiresAt})
	copy(s.Hash[:], hash)
	return s, err
}

// CreateSession stores a sign-in. Times that are zero become that of the write, but for ExpiresAt.
func (d *DB) CreateSession(ctx context.Context, s freshet.Session, w store.Write) (made freshet.Session, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + sessionColumns + " FROM create_session($1, $2, $3, $4, $5, $6, $7, $8)",
		Args: []any{int64(s.User), s.Hash[:], s.Admin, s.Agent, orNull(s.CreatedAt), orNull(s.UsedAt), s.ExpiresAt, d.db.Now()},
		Scan: row(&made, scanSession),
	})
	return made, at, err
}

// SessionByHash gives a session whether or not it has expired.
func (d *DB) SessionByHash(ctx context.Context, hash [32]byte) (freshet.Session, error) {
	return get(ctx, d, "session", scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE hash = $1", hash[:])
}

// TouchSession notes a use and moves the expiry.
func (d *DB) TouchSession(ctx context.Context, id freshet.ID, used, expires time.Time) error {
	_, err := d.write(ctx, store.Write{}, pgdb.Call{SQL: "SELECT touch_session($1, $2, $3)", Args: []any{int64(id), used, expires}})
	return err
}

// Sessions lists the sessions of a user, oldest first.
func (d *DB) Sessions(ctx context.Context, user freshet.ID) ([]freshet.Session, error) {
	return list(ctx, d, scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE user_id = $1 ORDER BY id", int64(user))
}

// EndSession removes a session of the user.
func (d *DB) EndSession(ctx context.Context, user, id freshet.ID, w store.Write) (ended freshet.Session, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + sessionColumns + " FROM end_session($1, $2)",
		Args: []any{int64(user), int64(id)},
		Scan: row(&ended, scanSession),
	})
	return ended, at, err
}

// PurgeSessions removes what expired before a time.
func (d *DB) PurgeSessions(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 AND NOT is_held(bucket_of(id)) LIMIT $2)", before)
}

const keyColumns = "id, name, hash, admin, created_at, revoked_at"

func scanKey(r pgx.Rows) (k freshet.APIKey, err error) {
	var hash []byte
	err = r.Scan((*int64)(&k.ID), &k.Name, &hash, &k.Admin, instant{&k.CreatedAt}, instant{&k.RevokedAt})
	copy(k.Hash[:], hash)
	return k, err
}

// CreateKey stores an API key. It belongs to home, bucket 0. A CreatedAt of zero becomes that of the write.
func (d *DB) CreateKey(ctx context.Context, k freshet.APIKey) (made freshet.APIKey, err error) {
	_, err = d.write(ctx, store.Write{}, pgdb.Call{
		SQL:  "SELECT " + keyColumns + " FROM create_key($1, $2, $3, $4, $5)",
		Args: []any{k.Name, k.Hash[:], k.Admin, orNull(k.CreatedAt), d.db.Now()},
		Scan: row(&made, scanKey),
	})
	return made, err
}

// KeyByHash gives a key, also one that was revoked: RevokedAt tells.
func (d *DB) KeyByHash(ctx context.Context, hash [32]byte) (freshet.APIKey, error) {
	return get(ctx, d, "key", scanKey, "SELECT "+keyColumns+" FROM api_keys WHERE hash = $1", hash[:])
}

// Keys lists all keys, oldest first, also those that were revoked.
func (d *DB) Keys(ctx context.Context) ([]freshet.APIKey, error) {
	return list(ctx, d, scanKey, "SELECT "+keyColumns+" FROM api_keys ORDER BY id")
}

// RevokeKey ends the key that is in force under a name.
func (d *DB) RevokeKey(ctx context.Context, name string, at time.Time) (k freshet.APIKey, err error) {
	_, err = d.write(ctx, store.Write{}, pgdb.Call{
		SQL:  "SELECT " + keyColumns + " FROM revoke_key($1, $2, $3)",
		Args: []any{name, orNull(at), d.db.Now()},
		Scan: row(&k, scanKey),
	})
	return k, err
}

// Claim gives what is known of a key.
func (d *DB) Claim(ctx context.Context, key [32]byte) (freshet.Claim, error) {
	return get(ctx, d, "claim", func(r pgx.Rows) (c freshet.Claim, err error) {
		var hash []byte
		err = r.Scan(&hash, (*int64)(&c.Subject), &c.Status, &c.Answer)
		copy(c.Hash[:], hash)
		return c, err
	}, "SELECT hash, subject, status, answer FROM claims WHERE key = $1", key[:])
}

// SaveAnswer keeps the answer of a request beside its claim.
func (d *DB) SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error {
	_, err := d.db.Write(ctx, pgdb.Call{
		SQL: `INSERT INTO claims (key, hash, subject, created_at, status, answer) VALUES ($1, $2, 0, now_or($3), $4, $5)
			ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, status = excluded.status, answer = excluded.answer`,
		Args: []any{id.Key[:], id.Hash[:], d.db.Now(), status, answer},
	})
	return portError(err)
}

// PurgeClaims removes what is older than a time.
func (d *DB) PurgeClaims(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, `DELETE FROM claims WHERE key IN
		(SELECT key FROM claims WHERE created_at < $1 AND NOT (subject <> 0 AND is_held(bucket_of(subject))) LIMIT $2)`, before)
}

// purgeChunk bounds how many rows one transaction of a purge removes.
const purgeChunk = 1000

// purge repeats a statement that removes up to purgeChunk rows until it finds fewer. It passes over those that can't be written
// here at the moment.
func (d *DB) purge(ctx context.Context, query string, before any) (total int, err error) {
	for {
		var n int
		if _, err := d.db.Write(ctx, pgdb.Call{
			SQL:  "WITH gone AS (" + query + " RETURNING 1) SELECT count(*) FROM gone",
			Args: []any{before, purgeChunk},
			Scan: func(r pgx.Rows) error { return r.Scan(&n) },
		}); err != nil {
			return total, portError(err)
		}
		if total += n; n < purgeChunk {
			return total, nil
		}
	}
}

// Secret gives 32 random bytes that stay the same for a name.
func (d *DB) Secret(ctx context.Context, name string) (secret []byte, err error) {
	made := make([]byte, 32)
	rand.Read(made) // never fails
	_, err = d.db.Write(ctx,
		pgdb.Call{SQL: "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", Args: []any{name, made}},
		pgdb.Call{
			SQL: "SELECT value FROM secrets WHERE name = $1", Args: []any{name},
			Scan: func(r pgx.Rows) error { return r.Scan(&secret) },
		})
	return secret, portError(err)
}
