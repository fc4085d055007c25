package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// DrawUserID draws an id for a new user of a bucket that is here.
func (d *DB) DrawUserID(ctx context.Context, bucket int) (id freshet.ID, err error) {
	_, err = d.write(ctx, store.Write{}, pgdb.Call{
		SQL: "SELECT draw_user_id($1, $2)", Args: []any{int32(bucket), d.db.Now()},
		Scan: func(r pgx.Rows) error { return r.Scan((*int64)(&id)) },
	})
	return id, err
}

func scanName(r pgx.Rows) (n store.Name, err error) {
	err = r.Scan((*int64)(&n.User), (*int64)(&n.Claim), &n.Pending)
	return n, err
}

// ClaimNames takes names for a user, all or none.
func (d *DB) ClaimNames(ctx context.Context, c store.NameClaim) (taken []store.Name, err error) {
	_, err = d.write(ctx, store.Write{}, gather(&taken, scanName, pgdb.Call{
		SQL:  "SELECT owner, owning, unsettled FROM claim_names($1, $2, $3, $4)",
		Args: []any{int64(c.ID), int64(c.User), handleKey(c.Handle), c.Ref},
	}))
	return taken, err
}

// SettleNames ends a claim. The handle before is one of those that earlier claims took; where the writer of one died there may
// be others.
func (d *DB) SettleNames(ctx context.Context, c store.NameClaim, kept bool) (position.Token, error) {
	return d.write(ctx, store.Write{}, pgdb.Call{
		SQL:  "SELECT settle_names($1, $2, $3, $4, $5)",
		Args: []any{int64(c.ID), int64(c.User), handleKey(c.Handle), c.Ref, kept},
	})
}

// NameOf is what is known of a handle.
func (d *DB) NameOf(ctx context.Context, handle string) (store.Name, error) {
	return get(ctx, d, "user", scanName, "SELECT user_id, claim, pending FROM handles WHERE handle = $1", handleKey(handle))
}

// RefOf is what is known of a ref.
func (d *DB) RefOf(ctx context.Context, ref string) (store.Name, error) {
	return get(ctx, d, "user", scanName, "SELECT user_id, claim, pending FROM user_refs WHERE ref = $1", ref)
}

// CreateNamed signs a user up whose id was drawn here and whose names were claimed at home.
func (d *DB) CreateNamed(ctx context.Context, id freshet.ID, u freshet.NewUser, w store.Write) (user freshet.User, at position.Token, err error) {
	if err := freshet.CheckHandle("handle", u.Handle); err != nil {
		return user, nil, err
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + userColumns + " FROM create_named($1, $2, $3, $4, $5, $6, $7, $8, $9) u" + noCounts,
		Args: []any{int64(id), u.Handle, u.Ref, u.Name, u.AvatarURL, u.Email, u.PasswordHash, u.Admin, d.db.Now()},
		Scan: row(&user, scanUser),
	})
	return user, at, err
}

// UpdateNamed changes what a user says of itself, with a handle that was claimed at home.
func (d *DB) UpdateNamed(ctx context.Context, id freshet.ID, p freshet.UserPatch, claim freshet.ID, w store.Write) (user freshet.User, at position.Token, err error) {
	if p.Handle != nil {
		if err := freshet.CheckHandle("handle", *p.Handle); err != nil {
			return user, nil, err
		}
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + userColumns + " FROM update_named($1, $2, $3, $4, $5, $6, $7, $8) u JOIN user_counts c ON c.id = u.id",
		Args: []any{int64(id), int64(claim), p.Handle, p.Name, p.Bio, p.AvatarURL, p.Email, p.Private},
		Scan: row(&user, scanUser),
	})
	return user, at, err
}

// EndClaim lets nobody use a claim from now on, and tells how the user is called.
func (d *DB) EndClaim(ctx context.Context, claim, user freshet.ID) (handle, ref string, err error) {
	_, err = d.write(ctx, store.Write{}, pgdb.Call{
		SQL: "SELECT handle, ref FROM end_claim($1, $2)", Args: []any{int64(claim), int64(user)},
		Scan: func(r pgx.Rows) error { return r.Scan(&handle, &ref) },
	})
	return handle, ref, err
}
