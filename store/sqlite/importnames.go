package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// NamesOf gives who has each of some handles.
func (d *DB) NamesOf(ctx context.Context, handles []string) (map[string]store.Name, error) {
	keys := make([]string, len(handles))
	for i, h := range handles {
		keys[i] = handleKey(h)
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	names := make(map[string]store.Name, len(handles))
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		return c.Each("SELECT user, claim, pending, handle FROM json_each(?) k CROSS JOIN handles ON handle = k.value", []any{string(list)},
			func(r *litedb.Rows) { names[r.Text(3)] = scanName(r) })
	})
	return names, err
}

// DrawUserIDs draws ids for users who are made by CreateUsers.
func (d *DB) DrawUserIDs(ctx context.Context, buckets []int) (ids []freshet.ID, err error) {
	_, err = d.commit(ctx, func(t *tx) error {
		ids = make([]freshet.ID, len(buckets))
		for i, bucket := range buckets {
			id, err := t.drawUserID(bucket)
			if err != nil {
				return err
			}
			ids[i] = id
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("draw ids for users: %w", err)
	}
	return ids, nil
}

// ClaimUsers takes handles for new users.
func (d *DB) ClaimUsers(ctx context.Context, users []store.ImportedUser) (claimed []freshet.ID, err error) {
	_, err = d.commit(ctx, func(t *tx) error {
		claimed = nil
		if err := t.atHome(); err != nil {
			return err
		}
		for _, u := range users {
			got, err := t.Exec("INSERT INTO handles (handle, user, claim, pending) VALUES (?1, ?2, ?2, 1) ON CONFLICT DO NOTHING", handleKey(u.Handle), u.ID)
			if err != nil {
				return err
			}
			if got > 0 {
				claimed = append(claimed, u.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim the names of users: %w", err)
	}
	return claimed, nil
}

// CreateUsers signs users up whose handles were claimed.
func (d *DB) CreateUsers(ctx context.Context, users []store.ImportedUser) (made []freshet.ID, err error) {
	_, err = d.commit(ctx, func(t *tx) error {
		made = nil
		for _, u := range users {
			err := t.beUnused(u.ID)
			if freshet.CodeOf(err) == freshet.CodeConflict {
				continue
			}
			if err == nil {
				_, err = t.addUser(u.ID, u.Handle, freshet.NewUser{Name: u.Handle})
			}
			if err != nil {
				return err
			}
			made = append(made, u.ID)
		}
		if len(made) == 0 {
			return nil
		}
		return t.Change(uint8(store.Imported), 0, 0, made)
	})
	if err != nil {
		return nil, fmt.Errorf("make users: %w", err)
	}
	return made, nil
}

// SettleUsers ends the claims on handles of new users. They had no others.
func (d *DB) SettleUsers(ctx context.Context, users []store.ImportedUser, kept bool) error {
	query := "DELETE FROM handles WHERE handle = ?1 AND user = ?2 AND claim = ?2 AND pending"
	if kept {
		query = "UPDATE handles SET pending = 0 WHERE handle = ?1 AND user = ?2 AND claim = ?2 AND pending"
	}
	_, err := d.commit(ctx, func(t *tx) error {
		if err := t.atHome(); err != nil {
			return err
		}
		for _, u := range users {
			if err := t.exec(query, handleKey(u.Handle), u.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle the names of users: %w", err)
	}
	return nil
}
