package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	userColumns = "u.id, u.ref, u.handle, u.name, u.bio, u.avatar_url, c.followers, c.following, c.posts, u.created_at, u.private"
	usersFrom   = " FROM users u JOIN user_counts c USING (id) "
	usersByID   = "SELECT " + userColumns + usersFrom + "WHERE u.id = ANY ($1::bigint[])"
)

func scanUser(r pgx.Rows) (u freshet.User, err error) {
	err = r.Scan((*int64)(&u.ID), &u.Ref, &u.Handle, &u.Name, &u.Bio, &u.AvatarURL,
		&u.FollowersCount, &u.FollowingCount, &u.PostsCount, instant{&u.CreatedAt}, &u.Private)
	return u, err
}

// CreateUser signs a user up.
func (d *DB) CreateUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, at position.Token, err error) {
	if u.Handle != "" || u.Ref == "" {
		if err := freshet.CheckHandle("handle", u.Handle); err != nil {
			return user, nil, err
		}
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + userColumns + " FROM create_user($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) u" + noCounts,
		Args: d.newUser(u),
		Scan: row(&user, scanUser),
	})
	return user, at, err
}

// noCounts stands for the counters of a user who was made just now.
const noCounts = " CROSS JOIN (SELECT 0::bigint AS followers, 0::bigint AS following, 0::bigint AS posts) c"

// newUser are the arguments of create_user and upsert_user.
func (d *DB) newUser(u freshet.NewUser) []any {
	bucket := bucketOf(u.Ref)
	if u.Handle != "" {
		bucket = bucketOf(handleKey(u.Handle))
	}
	return []any{u.Handle, handleKey(u.Handle), u.Ref, bucket, u.Name, u.AvatarURL, u.Email, u.PasswordHash, u.Admin, d.db.Now()}
}

// UpsertUser makes or changes the user of a ref.
func (d *DB) UpsertUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, created bool, at position.Token, err error) {
	if u.Ref == "" {
		return user, false, nil, freshet.Invalid("ref", "is empty")
	}
	if u.Handle != "" {
		if err := freshet.CheckHandle("handle", u.Handle); err != nil {
			return user, false, nil, err
		}
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL: `SELECT (x.u).id, (x.u).ref, (x.u).handle, (x.u).name, (x.u).bio, (x.u).avatar_url,
			coalesce(c.followers, 0), coalesce(c.following, 0), coalesce(c.posts, 0), (x.u).created_at, (x.u).private, x.created
			FROM upsert_user($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) x LEFT JOIN user_counts c ON c.id = (x.u).id`,
		Args: d.newUser(u),
		Scan: func(r pgx.Rows) error {
			return r.Scan((*int64)(&user.ID), &user.Ref, &user.Handle, &user.Name, &user.Bio, &user.AvatarURL,
				&user.FollowersCount, &user.FollowingCount, &user.PostsCount, instant{&user.CreatedAt}, &user.Private, &created)
		},
	})
	return user, created, at, err
}

// UpdateUser changes what a user says of itself.
func (d *DB) UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (user freshet.User, at position.Token, err error) {
	var key *string
	if p.Handle != nil {
		if err := freshet.CheckHandle("handle", *p.Handle); err != nil {
			return user, nil, err
		}
		lower := handleKey(*p.Handle)
		key = &lower
	}
	at, err = d.write(ctx, w, pgdb.Call{
		SQL:  "SELECT " + userColumns + " FROM update_user($1, $2, $3, $4, $5, $6, $7, $8) u JOIN user_counts c ON c.id = u.id",
		Args: []any{int64(id), p.Handle, key, p.Name, p.Bio, p.AvatarURL, p.Email, p.Private},
		Scan: row(&user, scanUser),
	})
	return user, at, err
}

// EraseUser removes a user and all that the user wrote, in one transaction.
func (d *DB) EraseUser(ctx context.Context, id freshet.ID, w store.Write) (gone store.Erased, at position.Token, err error) {
	var sessions []freshet.Session
	at, err = d.write(ctx, w,
		gather(&sessions, scanSession, pgdb.Call{SQL: "SELECT " + sessionColumns + " FROM begin_erasure($1)", Args: []any{int64(id)}}),
		pgdb.Call{
			SQL: "SELECT posts, neighbors, parents FROM erase_user($1)", Args: []any{int64(id)},
			Scan: func(r pgx.Rows) error {
				var posts, neighbors, parents []int64
				err := r.Scan(&posts, &neighbors, &parents)
				gone = store.Erased{Posts: toIDs(posts), Neighbors: toIDs(neighbors), Parents: toIDs(parents)}
				return err
			},
		})
	gone.Sessions = sessions
	return gone, at, err
}

// Users gives those of the users that exist.
func (d *DB) Users(ctx context.Context, ids []freshet.ID) ([]freshet.User, error) {
	return d.users.get(ctx, ids)
}

// UserByHandle finds a user by handle, without regard to case. A name that is pending leads to nobody.
func (d *DB) UserByHandle(ctx context.Context, handle string) (freshet.ID, error) {
	return get(ctx, d, "user", scanID, "SELECT user_id FROM handles WHERE handle = $1 AND NOT pending", handleKey(handle))
}

// UserByRef finds a user by the host product's own id.
func (d *DB) UserByRef(ctx context.Context, ref string) (freshet.ID, error) {
	return get(ctx, d, "user", scanID, "SELECT user_id FROM user_refs WHERE ref = $1 AND NOT pending", ref)
}

// ListUsers lists all users by id.
func (d *DB) ListUsers(ctx context.Context, after freshet.ID, limit int) ([]freshet.User, error) {
	return list(ctx, d, scanUser, "SELECT "+userColumns+usersFrom+"WHERE u.id > $1 ORDER BY u.id LIMIT $2", int64(after), limit)
}

// Credentials gives what a sign-in is checked against.
func (d *DB) Credentials(ctx context.Context, handle string) (freshet.Credentials, error) {
	return get(ctx, d, "user", scanCredentials, "SELECT u.id, u.password_hash, u.admin FROM handles h JOIN users u ON u.id = h.user_id WHERE h.handle = $1 AND NOT h.pending",
		handleKey(handle))
}

func scanCredentials(r pgx.Rows) (c freshet.Credentials, err error) {
	err = r.Scan((*int64)(&c.User), &c.PasswordHash, &c.Admin)
	return c, err
}

// SetPassword replaces the hash and ends the user's sessions.
func (d *DB) SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error) {
	_, err = d.write(ctx, store.Write{}, gather(&ended, scanSession,
		pgdb.Call{SQL: "SELECT " + sessionColumns + " FROM set_password($1, $2, $3)", Args: []any{int64(id), hash, admin}}))
	return ended, err
}

// Email is the address of a user.
func (d *DB) Email(ctx context.Context, id freshet.ID) (string, error) {
	return get(ctx, d, "user", func(r pgx.Rows) (email string, err error) { return email, r.Scan(&email) },
		"SELECT email FROM users WHERE id = $1", int64(id))
}
