package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
)

// NamesOf is who has each of some handles.
func (d *DB) NamesOf(ctx context.Context, handles []string) (map[string]store.Name, error) {
	keys := make([]string, len(handles))
	for i, h := range handles {
		keys[i] = handleKey(h)
	}
	names := make(map[string]store.Name, len(handles))
	err := d.db.Read(ctx, "SELECT handle, user_id, claim, pending FROM handles WHERE handle = ANY ($1::text[])", []any{keys}, func(r pgx.Rows) error {
		var key string
		var n store.Name
		err := r.Scan(&key, (*int64)(&n.User), (*int64)(&n.Claim), &n.Pending)
		names[key] = n
		return err
	})
	return names, err
}

// DrawUserIDs draws ids for new users of buckets that are here.
func (d *DB) DrawUserIDs(ctx context.Context, buckets []int) ([]freshet.ID, error) {
	return d.writeIDs(ctx, "SELECT draw_user_id(bucket, $2) FROM unnest($1::integer[]) AS bucket", list32(buckets), d.db.Now())
}

// ClaimUsers takes handles for new users.
func (d *DB) ClaimUsers(ctx context.Context, users []store.ImportedUser) ([]freshet.ID, error) {
	ids, _, keys := columns(users)
	return d.writeIDs(ctx, "SELECT claim_users($1, $2)", ids, keys)
}

// CreateUsers signs users up whose handles were claimed at home.
func (d *DB) CreateUsers(ctx context.Context, users []store.ImportedUser) ([]freshet.ID, error) {
	ids, handles, _ := columns(users)
	return d.writeIDs(ctx, "SELECT create_users($1, $2, $3)", ids, handles, d.db.Now())
}

// SettleUsers ends the claims on handles of new users.
func (d *DB) SettleUsers(ctx context.Context, users []store.ImportedUser, kept bool) error {
	ids, _, keys := columns(users)
	_, err := d.write(ctx, store.Write{}, pgdb.Call{SQL: "SELECT settle_users($1, $2, $3)", Args: []any{ids, keys, kept}})
	return err
}

// writeIDs makes a write that gives ids.
func (d *DB) writeIDs(ctx context.Context, query string, args ...any) (ids []freshet.ID, err error) {
	_, err = d.write(ctx, store.Write{}, gather(&ids, scanID, pgdb.Call{SQL: query, Args: args}))
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// columns are users as functions of the database take them.
func columns(users []store.ImportedUser) (ids []int64, handles, keys []string) {
	ids, handles, keys = make([]int64, len(users)), make([]string, len(users)), make([]string, len(users))
	for i, u := range users {
		ids[i], handles[i], keys[i] = int64(u.ID), u.Handle, handleKey(u.Handle)
	}
	return ids, handles, keys
}
