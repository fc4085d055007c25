package sqlite

import (
	"context"
	"crypto/rand"

	"github.com/freshet/freshet/internal/litedb"
)

// Secret gives 32 random bytes that stay the same for a name.
func (d *DB) Secret(ctx context.Context, name string) (secret []byte, err error) {
	read := func(c *litedb.Conn) error {
		secret = nil
		_, err := c.One("SELECT value FROM secrets WHERE name = ?", []any{name}, func(r *litedb.Rows) { secret = r.Blob(0) })
		return err
	}
	if err := d.file.View(ctx, read); err != nil || secret != nil {
		return secret, err
	}
	_, err = d.commit(ctx, func(t *tx) error {
		if err := read(t.Conn); err != nil || secret != nil {
			return err
		}
		secret = make([]byte, 32)
		rand.Read(secret) // never fails
		_, err := t.Exec("INSERT INTO secrets (name, value) VALUES (?, ?)", name, secret)
		return err
	})
	return secret, err
}
