package sqlite

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

const keyColumns = "id, name, hash, admin, created_at, revoked_at"

func scanKey(r *litedb.Rows) freshet.APIKey {
	k := freshet.APIKey{ID: r.ID(0), Name: r.Text(1), Admin: r.Int(3) != 0, CreatedAt: r.Time(4), RevokedAt: r.Time(5)}
	copy(k.Hash[:], r.Blob(2))
	return k
}

// CreateKey stores an API key. It belongs to home, bucket 0. A CreatedAt of
// zero becomes that of the write.
func (d *DB) CreateKey(ctx context.Context, k freshet.APIKey) (made freshet.APIKey, err error) {
	_, err = d.write(ctx, store.Write{}, func(t *tx) error {
		if _, taken, err := t.number("SELECT 1 FROM api_keys WHERE name = ? AND revoked_at = 0", k.Name); err != nil {
			return err
		} else if taken {
			return freshet.Conflict("name", "is taken")
		}
		made = k
		made.ID, made.CreatedAt, made.RevokedAt = t.NextID(0), orNow(t, k.CreatedAt), time.Time{}
		return t.exec("INSERT INTO api_keys (id, name, hash, admin, created_at) VALUES (?, ?, ?, ?, ?)",
			made.ID, made.Name, made.Hash[:], made.Admin, made.CreatedAt)
	})
	return made, err
}

// KeyByHash gives a key, also one that was revoked: RevokedAt tells.
func (d *DB) KeyByHash(ctx context.Context, hash [32]byte) (freshet.APIKey, error) {
	return get(ctx, d, "key", "SELECT "+keyColumns+" FROM api_keys WHERE hash = ?", hash[:], scanKey)
}

// Keys lists all keys, oldest first, also those that were revoked.
func (d *DB) Keys(ctx context.Context) ([]freshet.APIKey, error) {
	return list(ctx, d, "SELECT "+keyColumns+" FROM api_keys ORDER BY id", nil, scanKey)
}

// RevokeKey ends the key that is in force under a name.
func (d *DB) RevokeKey(ctx context.Context, name string, at time.Time) (k freshet.APIKey, err error) {
	_, err = d.write(ctx, store.Write{}, func(t *tx) error {
		found, err := t.One("SELECT "+keyColumns+" FROM api_keys WHERE name = ? AND revoked_at = 0", []any{name},
			func(r *litedb.Rows) { k = scanKey(r) })
		if err != nil {
			return err
		}
		if !found {
			return freshet.NotFound("key")
		}
		k.RevokedAt = orNow(t, at)
		if err := t.exec("UPDATE api_keys SET revoked_at = ? WHERE id = ?", k.RevokedAt, k.ID); err != nil {
			return err
		}
		return t.change(store.KeyRevoked, k.ID, 0)
	})
	return k, err
}
