package sqlite_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

func TestPartContract(t *testing.T) {
	paths := make(map[store.Part]string)
	openFile := func(t *testing.T, path string) store.Part {
		t.Helper()
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		paths[db] = path
		return db
	}
	storetest.RunParts(t, func(t *testing.T, n int) (parts []store.Part) {
		for range n {
			parts = append(parts, openFile(t, emptyFile(t)))
		}
		return parts
	}, storetest.PartOptions{
		Reopen: func(t *testing.T, p store.Part) store.Part {
			if err := p.(*sqlite.DB).Close(); err != nil {
				t.Fatal(err)
			}
			return openFile(t, paths[p])
		},
	})
}

// TestAppliedMirrorsAreForgotten: what was applied is known for a day, and not
// kept for ever.
func TestAppliedMirrorsAreForgotten(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	db, err := sqlite.Open(t.Context(), emptyFile(t), sqlite.Options{
		Now: func() time.Time { return time.Unix(0, clock.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	target := people(t, db, 2)[0]
	end := func(id freshet.ID) {
		t.Helper()
		if _, _, err := db.Apply(t.Context(), []store.Mirror{{ID: id, Kind: store.FollowEnded, Actor: 7, Target: target, Edge: 7}}); err != nil {
			t.Fatal(err)
		}
	}
	end(1)
	for _, step := range []struct {
		passes time.Duration
		known  int
	}{{23 * time.Hour, 2}, {2 * time.Hour, 2}, {48 * time.Hour, 1}} {
		clock.Add(int64(step.passes))
		end(freshet.ID(clock.Load()))
		if n := count(t, db, "SELECT count(*) FROM mirrored"); n != step.known {
			t.Errorf("after %s, %d mirrors are known, want %d", step.passes, n, step.known)
		}
	}
}

// openOlder opens a file that was made, with some rows, by the first few migrations.
func openOlder(t *testing.T, migrations int, queries ...string) *sqlite.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "freshet.db")
	older := make(fstest.MapFS)
	all := sqlite.Migrations()
	names, err := fs.Glob(all.Files, "*.sql")
	must(t, err)
	for _, name := range names[:migrations] {
		text, err := fs.ReadFile(all.Files, name)
		must(t, err)
		older[name] = &fstest.MapFile{Data: text}
	}
	file, err := litedb.Open(t.Context(), path, litedb.Options{Migrations: []litedb.Migrations{{Owner: all.Owner, Files: older}}})
	must(t, err)
	_, err = file.Write(t.Context(), func(tx *litedb.Tx) error {
		for _, query := range queries {
			if _, err := tx.Exec(query); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	must(t, file.Close())
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// TestMirrorsOfOlderFilesKeepTheirOrder, before those that are written later.
func TestMirrorsOfOlderFilesKeepTheirOrder(t *testing.T) {
	actor, target := freshet.NewID(1, 3, 1), freshet.NewID(1, 7, 1)
	db := openOlder(t, 4,
		"INSERT INTO elsewhere (bucket) VALUES (7)",
		fmt.Sprintf(`INSERT INTO users (id, created_at, admin, handle, ref, name, bio, avatar_url, email, password_hash)
			VALUES (%d, 1, 0, 'a', '', '', '', '', '', '')`, actor),
		fmt.Sprintf("INSERT INTO mirrors (n, id, bucket, kind, actor, target, edge) VALUES (5, 99, 7, 1, %[1]d, %[2]d, 8), (6, 98, 7, 2, %[1]d, %[2]d, 8)", actor, target),
		"INSERT INTO mirrored (id, refused, at) VALUES (70, 1, 1)",
	)
	_, _, err := db.Follow(t.Context(), actor, target, store.Write{})
	must(t, err)
	list, err := db.Pending(t.Context(), buckets(target), 9)
	must(t, err)
	if len(list) != 3 || list[0].ID != 99 || list[1].ID != 98 || list[1].Kind != store.FollowEnded || list[2].Kind != store.FollowMade {
		t.Errorf("pending are %+v", list)
	}
	if n := count(t, db, "SELECT bucket FROM mirrored WHERE refused"); n != -1 {
		t.Errorf("what was applied is of bucket %d, want none", n)
	}
}

// TestBlocksOfOlderFilesHaveTheirEdge: a file that was made before parts existed
// is as sound as a new one.
func TestBlocksOfOlderFilesHaveTheirEdge(t *testing.T) {
	db := openOlder(t, 2,
		`INSERT INTO users (id, created_at, admin, handle, ref, name, bio, avatar_url, email, password_hash)
			VALUES (1, 1, 0, 'a', 'r', '', '', '', '', ''), (2, 1, 0, 'b', '', '', '', '', '', '')`,
		"INSERT INTO handles (handle, user) VALUES ('a', 1), ('b', 2)",
		"INSERT INTO user_refs (ref, user) VALUES ('r', 1)",
		"INSERT INTO blocks (blocker, blocked, id) VALUES (1, 2, 77)",
		"INSERT INTO blocked_by (blocked, blocker) VALUES (2, 1)",
	)
	if _, found, err := db.Verify(t.Context(), 0, false); err != nil || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
	if id := count(t, db, "SELECT id FROM blocked_by"); id != 77 {
		t.Errorf("the mirror has the edge %d, want 77", id)
	}
	if name, err := db.NameOf(t.Context(), "a"); err != nil || name != (store.Name{User: 1}) {
		t.Errorf("got %+v, %v", name, err)
	}
}

// TestVerifyOnAPart: users elsewhere are no fault, erased ones are.
func TestVerifyOnAPart(t *testing.T) {
	db := open(t)
	u := people(t, db, 2)
	var away store.Buckets
	away.Add(7)
	if u[0].Bucket() == 7 || u[1].Bucket() == 7 {
		t.Fatal("the users are of bucket 7")
	}
	if err := db.SetElsewhere(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	there := freshet.NewID(1, 7, 1)
	if _, _, err := db.Mute(t.Context(), u[0], there, store.Write{}); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct{ query, invariant string }{
		{"SELECT 1", ""},
		{fmt.Sprintf("INSERT INTO ended (id) VALUES (%d)", there), "a mute has the muted"},
		{fmt.Sprintf("INSERT INTO mutes (muter, muted, id) VALUES (%d, 42, 1)", u[1]), "a mute has the muted"},
		{fmt.Sprintf("INSERT INTO followers (followee, id, follower) VALUES (%d, 7, %d)", u[0], there), "followers_count equals facts"},
		{fmt.Sprintf("INSERT INTO handles (handle, user, claim, pending) VALUES ('stray', %d, 5, 1)", u[0]), ""},
		{"UPDATE handles SET pending = 0", "handles lead to users"},
	} {
		exec(t, db, fault.query)
		_, found, err := db.Verify(t.Context(), 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 1 || len(found) == 1 && found[0].Invariant != fault.invariant || (len(found) == 0) != (fault.invariant == "") {
			t.Errorf("after %s: found %v, want %q", fault.query, found, fault.invariant)
		}
	}
}

// count reads one number behind the store's back.
func count(t testing.TB, db *sqlite.DB, query string) (n int) {
	t.Helper()
	if err := db.File().View(t.Context(), func(c *litedb.Conn) error {
		_, err := c.One(query, nil, func(r *litedb.Rows) { n = int(r.Int(0)) })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
