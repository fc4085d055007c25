package litedb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const lockChild = "FRESHET_TEST_LOCK"

func TestALockEndsWithItsProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockChild+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if _, err := LockFolder(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("while another process has it: %v, want %v", err, ErrLocked)
	}
	child.Process.Kill()
	child.Wait()
	lock, err := LockFolder(dir)
	if err != nil {
		t.Fatalf("after that process was killed: %v", err)
	}
	if _, err := LockFolder(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock in one process: %v, want %v", err, ErrLocked)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
	if lock, err = LockFolder(dir); err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	lock.Unlock()
}

// TestMain is also the process that TestALockEndsWithItsProcess kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(lockChild)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := LockFolder(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	time.Sleep(time.Minute)
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a ?#%41 folder")
	if lock, err := LockFolder(dir); err != nil {
		t.Fatal(err)
	} else {
		defer lock.Unlock()
	}
	path := filepath.Join(dir, "odd ?name=%20#.db")
	db := openAt(t, path, Options{})
	mustWrite(t, db, insert(1, "a"))
	if got := count(t, db, "SELECT count(*) FROM items"); got != 1 {
		t.Errorf("%d rows", got)
	}
	backup := filepath.Join(dir, "back?up.db")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm", backup, filepath.Join(dir, "lock")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", file, info, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v; want mode 0700", dir, info, err)
	}
}

// later is a schema that this program doesn't know yet.
func later(owner string) []Migrations {
	files := fstest.MapFS{}
	for _, m := range append([]Migrations{base()}, items...) {
		if m.Owner != owner {
			continue
		}
		all, _ := fs.Glob(m.Files, "*.sql")
		for _, name := range all {
			data, _ := fs.ReadFile(m.Files, name)
			files[name] = &fstest.MapFile{Data: data}
		}
	}
	files["00099_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later" + owner + " (id INTEGER);\n-- +goose Down\n")}
	return []Migrations{{Owner: owner, Files: files}}
}

func TestALaterSchemaIsRefused(t *testing.T) {
	for _, owner := range []string{"items", "base"} {
		path := filepath.Join(t.TempDir(), "test.db")
		openAt(t, path, Options{}).Close()
		var ran []Step
		pending, err := Pending(t.Context(), path, later(owner))
		if err != nil || len(pending) != 1 || pending[0] != (Step{owner, "00099_later.sql"}) {
			t.Errorf("pending: %v, %v", pending, err)
		}
		if err := Migrate(t.Context(), path, later(owner), func(s Step) { ran = append(ran, s) }); err != nil && owner == "items" {
			t.Fatal(err)
		}
		if len(ran) != 1 {
			t.Errorf("ran %v, want the one that was pending", ran)
		}
		if _, err := Open(t.Context(), path, Options{Migrations: items}); err == nil || !strings.Contains(err.Error(), "use a later freshet") {
			t.Errorf("open with a later %s schema: %v", owner, err)
		}
	}
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(t.Context(), path, Options{}); err == nil {
		db.Close()
		t.Error("opened a text file")
	}
	if db, err := Open(context.Background(), filepath.Join(path, "no", "folder"), Options{}); err == nil {
		db.Close()
		t.Error("opened a file in no folder")
	}
}
