package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// during runs write while a transaction is open that has called a function of the database, and commits that once write waits
// for it.
func during(t *testing.T, file *pgdb.DB, write func() error, call string, args ...any) {
	t.Helper()
	tx, err := file.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), call, args...); err != nil {
		t.Fatal(err)
	}
	behind(t, file, tx, write)
}

// behind runs write, and commits a transaction once it waits for that.
func behind(t *testing.T, file *pgdb.DB, tx pgx.Tx, write func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- write() }()
	waits(t, file)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// waits returns when somebody waits for a lock.
func waits(t *testing.T, file *pgdb.DB) {
	t.Helper()
	for deadline, found := time.Now().Add(10*time.Second), false; !found; {
		if err := file.Pool().QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&found); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the write waits for nobody")
		}
	}
}

func sound(t *testing.T, db *postgres.DB) {
	t.Helper()
	_, found, err := db.Verify(t.Context(), 0, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
}

const signUp = "SELECT create_user($1, $1, $2, 5, 'From the app', '', '', '', false, NULL)"

func TestNothingOutlivesAnErasure(t *testing.T) {
	db, file := open(t)
	for name, held := range map[string]string{
		"session": "SELECT create_session($1, '\\x01', false, '', NULL, NULL, now(), NULL)",
		"handle":  "SELECT update_user($1, 'ida', 'ida', NULL, NULL, NULL, NULL)",
		"post":    "SELECT create_post($1, 'ref', 'text', NULL, NULL)",
		"key":     "SELECT set_password($1, 'hash', false)",
	} {
		t.Run(name, func(t *testing.T) {
			ada := newUser(t, db, "ada")
			var gone store.Erased
			during(t, file, func() (err error) {
				gone, _, err = db.EraseUser(t.Context(), ada, store.Write{})
				return err
			}, held, int64(ada))
			sound(t, db)
			if name == "session" && len(gone.Sessions) != 1 {
				t.Errorf("%d sessions ended, want 1", len(gone.Sessions))
			}
			if name == "post" && len(gone.Posts) != 1 {
				t.Errorf("%d posts gone, want 1", len(gone.Posts))
			}
			ida := newUser(t, db, "ida") // nobody is called so
			if _, _, err := db.EraseUser(t.Context(), ida, store.Write{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Who writes about a user who is being erased finds nobody afterwards, and makes the user anew where that was asked for.
func TestAnErasureIsOvertaken(t *testing.T) {
	posts := []store.ImportedPost{{Author: "ada", Millis: 1000, CreatedAt: time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC), Text: "old"}}
	follows := []store.ImportedFollow{{Follower: "bob", Followee: "ada"}}
	db, file := open(t)
	newUser(t, db, "bob")
	for name, write := range map[string]func(*testing.T) error{
		"upsert": func(t *testing.T) error {
			_, created, _, err := db.UpsertUser(t.Context(), freshet.NewUser{Handle: "ada", Ref: "7"}, store.Write{})
			if err == nil && !created {
				t.Error("the user was there")
			}
			return err
		},
		"posts": func(t *testing.T) error {
			n, err := db.ImportPosts(t.Context(), posts)
			if err == nil && (n.Posts != 1 || n.Users != 1) {
				t.Errorf("imported %+v, want a post and its author", n)
			}
			return err
		},
		"follows": func(t *testing.T) error {
			n, err := db.ImportFollows(t.Context(), follows)
			if err == nil && (n.Follows != 1 || n.Users != 1) {
				t.Errorf("imported %+v, want a follow and the followee", n)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ada, created, _, err := db.UpsertUser(t.Context(), freshet.NewUser{Handle: "ada", Ref: "7"}, store.Write{})
			if err != nil || !created {
				t.Fatal(created, err)
			}
			during(t, file, func() error { return write(t) }, "SELECT erase_user($1) FROM (SELECT count(*) FROM begin_erasure($1)) AS begun", int64(ada.ID))
			sound(t, db)
			again, err := db.UserByHandle(t.Context(), "ada")
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := db.EraseUser(t.Context(), again, store.Write{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Who names a user who is just signing up means that one.
func TestASignUpIsMet(t *testing.T) {
	for name, write := range map[string]func(*testing.T, *postgres.DB) error{
		"upsert": func(t *testing.T, db *postgres.DB) error {
			u, created, _, err := db.UpsertUser(t.Context(), freshet.NewUser{Ref: "7", Name: "Ada"}, store.Write{})
			if err == nil && (created || u.Handle != "ada" || u.Name != "Ada") {
				t.Errorf("created %t: %+v", created, u)
			}
			return err
		},
		"import": func(t *testing.T, db *postgres.DB) error {
			n, err := db.ImportFollows(t.Context(), []store.ImportedFollow{{Follower: "bob", Followee: "ada"}})
			if err == nil && (n.Follows != 1 || n.Users != 1) {
				t.Errorf("imported %+v, want a follow and the follower", n)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, file := open(t)
			during(t, file, func() error { return write(t, db) }, signUp, "ada", "7")
			sound(t, db)
		})
	}
}

// What mends a counter counts what was committed while it waited.
func TestMendingWaitsForWrites(t *testing.T) {
	db, file := open(t)
	ada := newUser(t, db, "ada")
	exec(t, file, "UPDATE user_counts SET posts = 7 WHERE id = $1", int64(ada))
	_, mend, err := db.Faults(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	during(t, file, mend, "SELECT create_post($1, '', 'text', NULL, NULL)", int64(ada))
	sound(t, db)
}
