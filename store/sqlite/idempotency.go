package sqlite

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// claimed stops a write whose claim says that it was made already.
func (t *tx) claimed(id *freshet.Idempotency) error {
	if id == nil {
		return nil
	}
	made, _, err := t.number("SELECT subject FROM claims WHERE key = ?", id.Key[:])
	if err == nil && made != 0 {
		err = store.ErrClaimed
	}
	return err
}

// claim notes what the write made. An earlier claim that made nothing gives way.
func (t *tx) claim(id *freshet.Idempotency) error {
	if id == nil {
		return nil
	}
	return t.exec(`INSERT INTO claims (key, hash, subject, created_at, status) VALUES (?, ?, ?, ?, 0)
		ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, subject = excluded.subject,
			created_at = excluded.created_at, status = 0, answer = NULL`,
		id.Key[:], id.Hash[:], t.made, t.Now())
}

// Claim gives what is known of a key.
func (d *DB) Claim(ctx context.Context, key [32]byte) (freshet.Claim, error) {
	return get(ctx, d, "claim", "SELECT hash, subject, status, answer FROM claims WHERE key = ?", key[:],
		func(r *litedb.Rows) (c freshet.Claim) {
			copy(c.Hash[:], r.Blob(0))
			c.Subject, c.Status, c.Answer = r.ID(1), int(r.Int(2)), r.Blob(3)
			return c
		})
}

// SaveAnswer keeps the answer of a request beside its claim.
func (d *DB) SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error {
	_, err := d.commit(ctx, func(t *tx) error {
		_, err := t.Exec(`INSERT INTO claims (key, hash, subject, created_at, status, answer) VALUES (?, ?, 0, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, status = excluded.status, answer = excluded.answer`,
			id.Key[:], id.Hash[:], t.Now(), status, answer)
		return err
	})
	return err
}

// PurgeClaims removes what is older than a time.
func (d *DB) PurgeClaims(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, "DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE created_at < ? AND (subject = 0 OR NOT "+isAway("subject")+") LIMIT ?)", before)
}

// purge repeats a statement that removes up to purgeChunk rows until it finds
// fewer. before is a time or an hour, as the statement has it.
func (d *DB) purge(ctx context.Context, query string, before any) (total int, err error) {
	for {
		var n int64
		_, err := d.commit(ctx, func(t *tx) (err error) {
			n, err = t.Exec(query, before, purgeChunk)
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(n)
		if n < purgeChunk {
			return total, nil
		}
	}
}
