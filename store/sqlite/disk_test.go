package sqlite_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

// maxPages bounds the file, as a full disk would.
func maxPages(t *testing.T, db *sqlite.DB, n int64) {
	t.Helper()
	if _, err := db.File().Write(t.Context(), func(tx *litedb.Tx) error {
		_, err := tx.One(fmt.Sprintf("PRAGMA max_page_count = %d", n), nil, func(*litedb.Rows) {})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A full disk is said to be that, and to pass; until it has, the node is not ready.
func TestAFullDiskIsUnavailable(t *testing.T) {
	db := open(t)
	user, _, err := db.CreateUser(t.Context(), freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	post := func() error {
		_, _, err := db.CreatePost(t.Context(), freshet.NewPost{Author: user.ID, Text: strings.Repeat("x", 100_000)}, store.Write{})
		return err
	}
	maxPages(t, db, 1) // no less than there are
	for _, write := range []func() error{
		post,
		func() error { return db.SaveAnswer(t.Context(), freshet.Idempotency{}, 200, make([]byte, 100_000)) },
	} {
		err := write()
		e, ok := errors.AsType[*freshet.Error](err)
		if !ok || e.Code != freshet.CodeUnavailable || e.RetryAfter != 5*time.Second || !errors.Is(err, litedb.ErrUnwritable) {
			t.Errorf("the error is %#v", err)
		}
	}
	for range 2 { // asking writes nothing, and so heals nothing
		if err := db.Ready(t.Context()); !errors.Is(err, litedb.ErrUnwritable) {
			t.Errorf("ready: %v", err)
		}
	}
	if users, err := db.Users(t.Context(), []freshet.ID{user.ID}); err != nil || len(users) != 1 {
		t.Errorf("reads give %v, %v", users, err)
	}
	maxPages(t, db, 1<<30)
	if err := post(); err != nil {
		t.Error(err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("ready, after a write: %v", err)
	}
}
