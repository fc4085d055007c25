package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

func TestABackupIsTheWholeStore(t *testing.T) {
	db := open(t)
	u, _, err := db.CreateUser(t.Context(), freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := db.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.CreateUser(t.Context(), freshet.NewUser{Handle: "later"}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	copied, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	users, err := copied.ListUsers(t.Context(), 0, 10)
	if err != nil || len(users) != 1 || users[0] != u {
		t.Fatalf("the backup holds %v (%v), want %v", users, err, u)
	}
	if _, found, err := copied.Verify(t.Context(), 0, false); err != nil || len(found) > 0 {
		t.Fatalf("the backup breaks %v (%v)", found, err)
	}
}
