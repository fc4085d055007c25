package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const userColumns = "id, ref, handle, name, bio, avatar_url, followers_count, following_count, posts_count, created_at, private"

var usersByID = selectByID(userColumns, "users")

func scanUser(r *litedb.Rows) freshet.User {
	return freshet.User{
		ID: r.ID(0), Ref: r.Text(1), Handle: r.Text(2), Name: r.Text(3), Bio: r.Text(4), AvatarURL: r.Text(5),
		FollowersCount: r.Int(6), FollowingCount: r.Int(7), PostsCount: r.Int(8), CreatedAt: r.Time(9), Private: r.Int(10) != 0,
	}
}

// CreateUser signs a user up.
func (d *DB) CreateUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) (err error) {
		user, err = t.insertUser(u)
		return err
	})
	return user, at, err
}

// UpsertUser makes or changes the user of a ref.
func (d *DB) UpsertUser(ctx context.Context, u freshet.NewUser, w store.Write) (user freshet.User, created bool, at position.Token, err error) {
	if u.Ref == "" {
		return user, false, nil, freshet.Invalid("ref", "is empty")
	}
	at, err = d.write(ctx, w, func(t *tx) error {
		id, found, err := t.number("SELECT user FROM user_refs WHERE ref = ?", u.Ref)
		if err != nil {
			return err
		}
		if created = !found; created {
			user, err = t.insertUser(u)
			return err
		}
		var p freshet.UserPatch
		given := func(s *string) *string {
			if *s == "" {
				return nil
			}
			return s
		}
		p.Handle, p.Name, p.AvatarURL, p.Email = given(&u.Handle), given(&u.Name), given(&u.AvatarURL), given(&u.Email)
		user, err = t.updateUser(freshet.ID(id), p)
		return err
	})
	return user, created, at, err
}

// UpdateUser changes what a user says of itself.
func (d *DB) UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w store.Write) (user freshet.User, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) (err error) {
		user, err = t.updateUser(id, p)
		return err
	})
	return user, at, err
}

// insertUser makes a user and says so.
func (t *tx) insertUser(u freshet.NewUser) (freshet.User, error) {
	user, err := t.createUser(u)
	if err != nil {
		return user, err
	}
	t.made = user.ID
	return user, t.change(store.UserChanged, user.ID, 0)
}

func (t *tx) createUser(u freshet.NewUser) (freshet.User, error) {
	user := freshet.User{Ref: u.Ref, Handle: u.Handle}
	if u.Ref != "" {
		if _, taken, err := t.number("SELECT 1 FROM user_refs WHERE ref = ?", u.Ref); err != nil {
			return user, err
		} else if taken {
			return user, freshet.Conflict("ref", "is taken")
		}
	}
	if err := t.nameUser(&user); err != nil {
		return user, err
	}
	if away, err := t.away(user.ID.Bucket()); err != nil {
		return user, err
	} else if away {
		return user, store.ErrMoved
	}
	user, err := t.addUser(user.ID, user.Handle, u)
	if err != nil {
		return user, err
	}
	if err := t.exec("INSERT INTO handles (handle, user) VALUES (?, ?)", handleKey(user.Handle), user.ID); err != nil {
		return user, err
	}
	if user.Ref != "" {
		if err := t.exec("INSERT INTO user_refs (ref, user) VALUES (?, ?)", user.Ref, user.ID); err != nil {
			return user, err
		}
	}
	return user, nil
}

// addUser makes a user without its names.
func (t *tx) addUser(id freshet.ID, handle string, u freshet.NewUser) (freshet.User, error) {
	user := freshet.User{ID: id, Ref: u.Ref, Handle: handle, Name: u.Name, AvatarURL: u.AvatarURL, CreatedAt: t.Now().UTC()}
	return user, t.exec(`INSERT INTO users (id, created_at, admin, handle, ref, name, bio, avatar_url, email, password_hash)
		VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?)`,
		user.ID, user.CreatedAt, u.Admin, user.Handle, user.Ref, user.Name, user.AvatarURL, u.Email, u.PasswordHash)
}

// nameUser draws the id of a new user, and the handle from the id where none is
// given.
func (t *tx) nameUser(u *freshet.User) error {
	if u.Handle != "" {
		u.ID = t.NextID(bucketOf(handleKey(u.Handle)))
		return t.freeHandle(u.Handle, 0)
	}
	if u.Ref == "" {
		return freshet.CheckHandle("handle", "")
	}
	for { // ends: nobody has taken all the handles that ids can become
		u.ID = t.NextID(bucketOf(u.Ref))
		u.Handle = "u" + u.ID.String()
		if err := t.freeHandle(u.Handle, 0); freshet.CodeOf(err) != freshet.CodeConflict {
			return err
		}
	}
}

// freeHandle checks that a handle can be one, and is nobody's or the user's own.
func (t *tx) freeHandle(handle string, user freshet.ID) error {
	if err := freshet.CheckHandle("handle", handle); err != nil {
		return err
	}
	owner, taken, err := t.number("SELECT user FROM handles WHERE handle = ?", handleKey(handle))
	if err == nil && taken && freshet.ID(owner) != user {
		err = freshet.Conflict("handle", "is taken")
	}
	return err
}

// updateUser changes a user whose handle lies here.
func (t *tx) updateUser(id freshet.ID, p freshet.UserPatch) (freshet.User, error) {
	u, _, err := t.changeUser(id, p, func(old, handle string) error {
		if err := t.atHome(); err != nil {
			return err
		}
		if err := t.freeHandle(handle, id); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM handles WHERE handle = ?", handleKey(old)); err != nil {
			return err
		}
		return t.exec("INSERT OR REPLACE INTO handles (handle, user) VALUES (?, ?)", handleKey(handle), id)
	})
	return u, err
}

// changeUser changes a user and gives the handle before; rename sees to another
// handle, and may refuse it.
func (t *tx) changeUser(id freshet.ID, p freshet.UserPatch, rename func(old, handle string) error) (u freshet.User, before string, err error) {
	if err := t.local(id); err != nil {
		return u, "", err
	}
	var email string
	found, err := t.One("SELECT "+userColumns+", email FROM users WHERE id = ?", []any{id}, func(r *litedb.Rows) {
		u, email = scanUser(r), r.Text(11)
	})
	if err != nil {
		return u, "", err
	}
	if !found {
		return u, "", t.missing("user", id)
	}
	old, oldEmail := u, email
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&u.Handle, p.Handle)
	set(&u.Name, p.Name)
	set(&u.Bio, p.Bio)
	set(&u.AvatarURL, p.AvatarURL)
	set(&email, p.Email)
	if p.Private != nil {
		u.Private = *p.Private
	}
	if u == old && email == oldEmail {
		return u, old.Handle, nil
	}
	if u.Handle != old.Handle {
		if err := rename(old.Handle, u.Handle); err != nil {
			return u, "", err
		}
	}
	if err := t.exec("UPDATE users SET handle = ?2, name = ?3, bio = ?4, avatar_url = ?5, email = ?6, private = ?7 WHERE id = ?1",
		id, u.Handle, u.Name, u.Bio, u.AvatarURL, email, u.Private); err != nil {
		return u, "", err
	}
	return u, old.Handle, t.change(store.UserChanged, id, 0)
}

// Users gives those of the users that exist.
func (d *DB) Users(ctx context.Context, ids []freshet.ID) ([]freshet.User, error) {
	return each(ctx, d, usersByID, ids, scanUser)
}

// UserByHandle finds a user by handle, without regard to case.
func (d *DB) UserByHandle(ctx context.Context, handle string) (freshet.ID, error) {
	return get(ctx, d, "user", "SELECT user FROM handles WHERE handle = ? AND NOT pending", handleKey(handle), scanID)
}

// UserByRef finds a user by the host product's own id.
func (d *DB) UserByRef(ctx context.Context, ref string) (freshet.ID, error) {
	return get(ctx, d, "user", "SELECT user FROM user_refs WHERE ref = ? AND NOT pending", ref, scanID)
}

// ListUsers lists all users by id.
func (d *DB) ListUsers(ctx context.Context, after freshet.ID, limit int) ([]freshet.User, error) {
	return list(ctx, d, "SELECT "+userColumns+" FROM users WHERE id > ? ORDER BY id LIMIT ?", []any{after, limit}, scanUser)
}
