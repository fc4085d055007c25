package sqlite

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Names stand here, their users elsewhere. Claims on the names of one user are
// ordered by their ids, the user's own id (its sign-up) before all others, and
// only rising ones name a user (users.claim). So a claim that was kept says of
// every name that an earlier one took: the user has it no more, and never will.

// DrawUserID draws an id for a user who is made by CreateNamed.
func (d *DB) DrawUserID(ctx context.Context, bucket int) (id freshet.ID, err error) {
	_, err = d.write(ctx, store.Write{}, func(t *tx) error {
		id, err = t.drawUserID(bucket)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("draw an id for a user: %w", err)
	}
	return id, nil
}

// drawUserID has a statement that writes, so that the clock of ids commits: after
// a crash the id must not be drawn again.
func (t *tx) drawUserID(bucket int) (freshet.ID, error) {
	away, err := t.Exec("UPDATE elsewhere SET bucket = bucket WHERE bucket = ?", bucket)
	if err == nil && away > 0 {
		err = store.ErrMoved
	}
	return t.NextID(bucket), err
}

// claimed is one name in a claim: which table has it, and under which key.
type claimed struct{ table, column, key string }

func namesOf(c store.NameClaim) (names []claimed) {
	if c.Handle != "" {
		names = append(names, claimed{"handles", "handle", handleKey(c.Handle)})
	}
	if c.Ref != "" {
		names = append(names, claimed{"user_refs", "ref", c.Ref})
	}
	return names
}

const nameColumns = "SELECT user, claim, pending FROM "

func scanName(r *litedb.Rows) store.Name {
	return store.Name{User: r.ID(0), Claim: r.ID(1), Pending: r.Int(2) != 0}
}

// ClaimNames takes names for a user, all or none.
func (d *DB) ClaimNames(ctx context.Context, c store.NameClaim) (taken []store.Name, err error) {
	names := namesOf(c)
	_, err = d.write(ctx, store.Write{}, func(t *tx) error {
		taken = nil
		if err := t.atHome(); err != nil {
			return err
		}
		for _, n := range names {
			var has store.Name
			found, err := t.One(nameColumns+n.table+" WHERE "+n.column+" = ?", []any{n.key}, func(r *litedb.Rows) { has = scanName(r) })
			if err != nil {
				return err
			}
			if found && !claimable(has, c) {
				taken = append(taken, has)
			}
		}
		if len(taken) > 0 {
			return nil
		}
		for _, n := range names {
			if err := t.exec(`INSERT INTO `+n.table+` (`+n.column+`, user, claim, pending) VALUES (?, ?, ?, 1)
				ON CONFLICT DO UPDATE SET claim = excluded.claim, pending = 1, held = claim WHERE NOT pending`,
				n.key, c.User, c.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim names: %w", err)
	}
	return taken, nil
}

// claimable reports whether a claim may take a name that is there: it is the
// user's own, not under another claim, nor taken by a later one.
func claimable(has store.Name, c store.NameClaim) bool {
	switch {
	case has.User != c.User:
		return false
	case has.Pending:
		return has.Claim == c.ID
	}
	return has.Claim <= c.ID || has.Claim == c.User
}

// before is the condition that a claim on a name of user ?1 is earlier than ?2.
func before(claim string) string {
	return "CASE " + claim + " WHEN ?1 THEN 0 ELSE " + claim + " END < CASE ?2 WHEN ?1 THEN 0 ELSE ?2 END"
}

// SettleNames ends a claim. The user's name before is one of those that earlier
// claims took; where the writer of one died, there may be others.
func (d *DB) SettleNames(ctx context.Context, c store.NameClaim, kept bool) (position.Token, error) {
	at, err := d.write(ctx, store.Write{}, func(t *tx) error {
		if err := t.atHome(); err != nil {
			return err
		}
		for _, n := range namesOf(c) {
			mine := " WHERE " + n.column + " = ?1 AND user = ?2 AND claim = ?3 AND pending"
			queries := []string{
				"DELETE FROM " + n.table + mine + " AND held IS NULL",
				"UPDATE " + n.table + " SET claim = held, pending = 0, held = NULL" + mine,
			}
			if kept {
				queries = []string{"UPDATE " + n.table + " SET pending = 0, held = NULL" + mine}
			}
			for _, query := range queries {
				if err := t.exec(query, n.key, c.User, c.ID); err != nil {
					return err
				}
			}
		}
		if !kept || c.Handle == "" {
			return nil
		}
		if err := t.exec("DELETE FROM handles WHERE user = ?1 AND handle <> ?3 AND "+before("claim"), c.User, c.ID, handleKey(c.Handle)); err != nil {
			return err
		}
		return t.exec("UPDATE handles SET held = NULL WHERE user = ?1 AND handle <> ?3 AND pending AND "+before("held"),
			c.User, c.ID, handleKey(c.Handle))
	})
	if err != nil {
		return nil, fmt.Errorf("settle names: %w", err)
	}
	return at, nil
}

// NameOf gives who has a handle.
func (d *DB) NameOf(ctx context.Context, handle string) (store.Name, error) {
	return get(ctx, d, "user", nameColumns+"handles WHERE handle = ?", handleKey(handle), scanName)
}

// RefOf gives who has a ref.
func (d *DB) RefOf(ctx context.Context, ref string) (store.Name, error) {
	return get(ctx, d, "user", nameColumns+"user_refs WHERE ref = ?", ref, scanName)
}

// CreateNamed signs a user up whose names were claimed.
func (d *DB) CreateNamed(ctx context.Context, id freshet.ID, u freshet.NewUser, w store.Write) (user freshet.User, at position.Token, err error) {
	if err := freshet.CheckHandle("handle", u.Handle); err != nil {
		return user, nil, err
	}
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.beUnused(id); err != nil {
			return err
		}
		if user, err = t.addUser(id, u.Handle, u); err != nil {
			return err
		}
		t.made = id
		return t.change(store.UserChanged, id, 0)
	})
	return user, at, err
}

// beUnused fails where the claim that an id bears can't make its user any more.
func (t *tx) beUnused(id freshet.ID) error {
	if here, err := t.here(id); err != nil {
		return err
	} else if here {
		return freshet.Conflict("handle", "is the user's already")
	}
	if err := t.local(id); err != nil {
		return err
	}
	ended, err := t.ended(id)
	if err == nil && ended {
		err = errClaimEnded
	}
	return err
}

// errClaimEnded is a claim that somebody else wanted to know the end of, or that
// came behind a later one.
var errClaimEnded error = freshet.Conflict("handle", "was claimed for too long: try again")

// UpdateNamed changes a user whose new handle, if there is one, was claimed.
func (d *DB) UpdateNamed(ctx context.Context, id freshet.ID, p freshet.UserPatch, claim freshet.ID, w store.Write) (u freshet.User, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.local(id); err != nil {
			return err
		}
		if p.Handle != nil {
			if last, _, err := t.number("SELECT claim FROM users WHERE id = ?", id); err != nil {
				return err
			} else if freshet.ID(last) >= claim { // also where there is none
				return errClaimEnded
			}
		}
		u, _, err = t.changeUser(id, p, func(_, handle string) error { return freshet.CheckHandle("handle", handle) })
		if err != nil || p.Handle == nil {
			return err
		}
		return t.exec("UPDATE users SET claim = ?2 WHERE id = ?1", id, claim)
	})
	return u, at, err
}

// EndClaim sees to it that a claim is not used any more, and tells how the user
// is called.
func (d *DB) EndClaim(ctx context.Context, claim, user freshet.ID) (handle, ref string, err error) {
	_, err = d.write(ctx, store.Write{}, func(t *tx) error {
		handle, ref = "", ""
		if err := t.local(user); err != nil {
			return err
		}
		here, err := t.One("SELECT handle, ref FROM users WHERE id = ?", []any{user}, func(r *litedb.Rows) {
			handle, ref = r.Text(0), r.Text(1)
		})
		switch {
		case err != nil:
			return err
		case here && claim == user: // CreateNamed can't make it again
			return nil
		case here:
			return t.exec("UPDATE users SET claim = max(claim, ?2) WHERE id = ?1", user, claim)
		}
		return t.end(user) // also one who was erased
	})
	if err != nil {
		return "", "", fmt.Errorf("end a claim on names: %w", err)
	}
	return handle, ref, nil
}
