package litedb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// backedUp gives a database with the items 1 and 2, and a backup of 1 alone.
func backedUp(t *testing.T) (db *DB, backup string) {
	t.Helper()
	db = open(t, Options{})
	mustWrite(t, db, insert(1, "before"))
	backup = filepath.Join(t.TempDir(), "backup.db")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, db, insert(2, "after"))
	return db, backup
}

func names(t *testing.T, path string) (names string) {
	t.Helper()
	db := openAt(t, path, Options{})
	defer db.Close()
	if err := db.View(t.Context(), func(c *Conn) error {
		return c.Each("SELECT name FROM items ORDER BY id", nil, func(r *Rows) { names += r.Text(0) + " " })
	}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(names)
}

func files(t *testing.T, path string) (suffixes string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		suffixes += strings.TrimPrefix(f, path) + " "
	}
	return strings.TrimSpace(suffixes)
}

func TestRestore(t *testing.T) {
	db, backup := backedUp(t)
	path, old := db.path, db.Position()
	if err := Restore(t.Context(), backup, path, items...); err == nil {
		t.Fatal("restored over a database that is open")
	}
	if got := count(t, db, "SELECT count(*) FROM items"); got != 2 {
		t.Fatalf("%d rows after a refused restore, want 2", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	timeline := old.Timeline
	for range 2 {
		if err := Restore(t.Context(), backup, path, items...); err != nil {
			t.Fatal(err)
		}
		if got := files(t, path); got != ".replaced" {
			t.Errorf("beside it are left %q, want .replaced", got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file is %v, %v; want mode 0600", info, err)
		}
		if timeline == old.Timeline {
			if got := names(t, path+".replaced"); got != "before after" {
				t.Errorf("the replaced database has %q", got)
			}
		}
		if got := names(t, path); got != "before" {
			t.Errorf("the restored database has %q", got)
		}
		db = openAt(t, path, Options{})
		at := db.Position()
		if at.System != old.System || at.Timeline <= timeline {
			t.Errorf("restored on timeline %d after %d", at.Timeline, timeline)
		}
		timeline = at.Timeline
		db.Close()
	}
}

// TestRestoreDrawsNoIDAgain: what the replaced database drew after the backup
// is known outside, also if the clock was set back since.
func TestRestoreDrawsNoIDAgain(t *testing.T) {
	db, backup := backedUp(t)
	var drew int64
	mustWrite(t, db, func(tx *Tx) error {
		drew = tx.NextID(0).Millis() + 1e9
		tx.ids.millis = drew
		return insert(3, "c")(tx)
	})
	db.Close()
	if err := Restore(t.Context(), backup, db.path, items...); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, db.path, Options{})
	mustWrite(t, db, func(tx *Tx) error {
		if got := tx.NextID(0).Millis(); got <= drew {
			t.Errorf("drew at %d, want later than %d", got, drew)
		}
		return nil
	})
}

func TestRestoreIntoAnEmptyPlace(t *testing.T) {
	_, backup := backedUp(t)
	path := filepath.Join(t.TempDir(), "new.db")
	if err := os.WriteFile(path+"-wal", []byte("left behind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), backup, path, items...); err == nil {
		t.Error("restored beside a log of another database")
	}
	os.Remove(path + "-wal")
	if err := Restore(t.Context(), backup, path, items...); err != nil {
		t.Fatal(err)
	}
	if got := names(t, path); got != "before" {
		t.Errorf("the restored database has %q", got)
	}
}

// TestRestoreAfterACrash replaces a database whose log was never folded, beside
// what an earlier Restore left when it died.
func TestRestoreAfterACrash(t *testing.T) {
	db, backup := backedUp(t)
	path := filepath.Join(t.TempDir(), "crashed.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(db.path + suffix)
		if err != nil || len(data) == 0 {
			t.Fatalf("read %q: %d bytes, %v", suffix, len(data), err)
		}
		if err := os.WriteFile(path+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{".restore", ".restore.partial", ".restore-journal", ".replaced"} {
		if err := os.WriteFile(path+suffix, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Restore(t.Context(), backup, path, items...); err != nil {
		t.Fatal(err)
	}
	if got := names(t, path); got != "before" {
		t.Errorf("the restored database has %q", got)
	}
	if got := names(t, path+".replaced"); got != "before after" {
		t.Errorf("the replaced database has %q", got)
	}
}

func TestRestoreRefuses(t *testing.T) {
	db, good := backedUp(t)
	db.Close()
	make := func(name string, data []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other := make("other.db", nil)
	if c, err := openConn(other, ""); err != nil || c.script(t.Context(), "CREATE TABLE t (x)") != nil || c.close() != nil {
		t.Fatal(err)
	}
	ahead := make("ahead.db", data)
	if err := Migrate(t.Context(), ahead, later("items"), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ backup, want string }{
		"absent":    {filepath.Join(t.TempDir(), "none.db"), "unable to open"},
		"text":      {make("text", []byte(strings.Repeat("no database ", 999))), "sound"},
		"cut":       {make("cut", data[:len(data)/2]), "sound"},
		"empty":     {make("empty", nil), "not a backup of freshet"},
		"another's": {other, "not a backup of freshet"},
		"ahead":     {ahead, "use a later freshet"},
	} {
		if err := Restore(t.Context(), c.backup, db.path, items...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.want)
		}
		if got := files(t, db.path); got != "" {
			t.Errorf("%s: left %q", name, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Restore(ctx, good, db.path, items...); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	damaged := make("damaged.db", []byte(strings.Repeat("no database ", 999)))
	if err := Restore(t.Context(), good, damaged, items...); err == nil || !strings.Contains(err.Error(), "move it") {
		t.Errorf("over a damaged database: %v", err)
	}
	if got := names(t, db.path); got != "before after" {
		t.Errorf("the database has %q after all that", got)
	}
}

func TestBackupWhileWritesGoOn(t *testing.T) {
	db := open(t, Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				mustWrite(t, db, insert(i, strings.Repeat("x", i%100)+string(rune('0'+i%10))+filepath.Join("n", string(rune(i)))))
			}
		}
	}()
	dir := t.TempDir()
	for _, name := range []string{"a.db", "b.db", "c.db"} {
		if err := db.Backup(t.Context(), filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
		if err := db.Backup(t.Context(), filepath.Join(dir, name)); err == nil {
			t.Error("a backup was written over another")
		}
	}
	close(stop)
	<-stopped
	left, _ := filepath.Glob(filepath.Join(dir, "*.partial"))
	if len(left) != 0 {
		t.Errorf("left %v", left)
	}
	for _, name := range []string{"a.db", "b.db", "c.db"} {
		if _, err := inspect(filepath.Join(dir, name), items); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a.db-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a backup has a log")
	}
}
