package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

func TestMoveContract(t *testing.T) {
	open := func(t *testing.T) store.Part {
		// One reader: each move changes the schema, after which every connection
		// prepares its statements again.
		db, err := sqlite.Open(t.Context(), emptyFile(t), sqlite.Options{Readers: 1})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	storetest.RunMoves(t, func(t *testing.T) (from, to store.Part) { return open(t), open(t) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buckets are those of ids.
func buckets(ids ...freshet.ID) (b store.Buckets) {
	for _, id := range ids {
		b.Add(id.Bucket())
	}
	return b
}

// begin begins a move, of term 1.
func begin(t testing.TB, b store.Buckets, parts ...*sqlite.DB) {
	t.Helper()
	for _, p := range parts {
		_, err := p.BeginMove(t.Context(), 1, b)
		must(t, err)
	}
}

// userRow is a user as it comes from another part.
func userRow(id freshet.ID) store.Row {
	i, s := any(int64(0)), any("")
	return store.Row{int64(id), i, i, "x", s, s, s, s, s, s, i, i, i, i, i, i, i}
}

// together runs writes as one group, in their order: it holds the writer until all
// are queued. It must run inside a synctest bubble.
func together(t *testing.T, db *sqlite.DB, ops ...func() error) []error {
	t.Helper()
	hold := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := db.File().Write(t.Context(), func(*litedb.Tx) error { <-hold; return nil }); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	errs := make([]error, len(ops))
	for i, op := range ops {
		wg.Go(func() { errs[i] = op() })
		synctest.Wait() // one after the other
	}
	close(hold)
	wg.Wait()
	return errs
}

// TestAJoinCountsForTheWritesBesideIt: a write of the same transaction knows who
// has come. A mirror for a user of this part would be told by nobody.
func TestAJoinCountsForTheWritesBesideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t)
		u, came := people(t, db, 2)[0], freshet.NewID(1, 7, 1)
		must(t, db.SetElsewhere(t.Context(), buckets(came)))
		begin(t, buckets(came), db)
		must(t, db.PutRows(t.Context(), 1, []store.TableRows{{Table: store.UsersTable, Rows: []store.Row{userRow(came)}}}))
		follow := func() error { _, _, err := db.Follow(t.Context(), u, came, store.Write{}); return err }
		for _, err := range together(t, db, func() error { _, err := db.Join(t.Context(), 1); return err }, follow) {
			must(t, err)
		}
		if n := count(t, db, "SELECT count(*) FROM mirrors"); n != 0 {
			t.Errorf("%d mirrors for a user of this part", n)
		}
		if n := count(t, db, fmt.Sprintf("SELECT followers_count FROM users WHERE id = %d", came)); n != 1 {
			t.Errorf("%d followers, want 1", n)
		}
	})
}

// TestAJoinThatIsUndoneHasNotHappened: a group in which a write fails runs again
// from the start, and what its first run has seen of a join counts for nothing.
func TestAJoinThatIsUndoneHasNotHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t)
		u, came := people(t, db, 2)[0], freshet.NewID(1, 7, 1)
		must(t, db.SetElsewhere(t.Context(), buckets(came)))
		begin(t, buckets(came), db)
		must(t, db.PutRows(t.Context(), 1, []store.TableRows{{Table: store.UsersTable, Rows: []store.Row{userRow(came)}}}))
		errs := together(t, db,
			func() error { _, _, err := db.Follow(t.Context(), u, came, store.Write{}); return err },
			func() error { _, err := db.Join(t.Context(), 1); return err },
			func() error { // fails after it has looked and written
				_, err := db.ImportPosts(t.Context(), []store.ImportedPost{{Author: "user0", Text: "x", CreatedAt: freshet.Epoch}, {Author: "user1", Millis: -1}})
				return err
			})
		if errs[0] != nil || errs[1] != nil || freshet.CodeOf(errs[2]) != freshet.CodeInvalid {
			t.Fatalf("got %v", errs)
		}
		if n := count(t, db, fmt.Sprintf("SELECT followers_count FROM users WHERE id = %d", came)); n != 1 {
			t.Errorf("%d followers, want 1", n)
		}
	})
}

// TestAMoveOutlivesTheProcess: fence, notes, term and what has left are in the file.
func TestAMoveOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "freshet.db")
	var db *sqlite.DB
	reopen := func() {
		t.Helper()
		if db != nil {
			must(t, db.Close())
		}
		var err error
		db, err = sqlite.Open(t.Context(), path, sqlite.Options{})
		must(t, err)
	}
	reopen()
	defer func() { must(t, db.Close()) }()
	u := people(t, db, 2)
	mute := func() error { _, _, err := db.Mute(t.Context(), u[0], u[1], store.Write{}); return err }
	begin(t, buckets(u[0]), db)
	reopen()
	must(t, mute())
	_, err := db.Fence(t.Context(), 1, time.Hour)
	must(t, err)
	_, err = db.BeginMove(t.Context(), 5, buckets(u[0]))
	must(t, err)
	reopen()
	refused := func() {
		t.Helper()
		if _, _, err := db.Unmute(t.Context(), u[0], u[1], store.Write{}); !errors.Is(err, store.ErrMoved) {
			t.Errorf("got %v, want ErrMoved", err)
		}
	}
	refused()
	if noted, err := db.Noted(t.Context(), 0, 10); err != nil || len(noted.Notes) != 1 {
		t.Errorf("noted is %+v, %v", noted, err)
	}
	if _, err := db.Leave(t.Context(), 4); !errors.Is(err, store.ErrTerm) {
		t.Errorf("got %v, want ErrTerm", err)
	}
	_, err = db.Leave(t.Context(), 5)
	must(t, err)
	reopen()
	refused()
	must(t, db.EndMove(t.Context(), 5))
	if n := count(t, db, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"); n != 0 {
		t.Errorf("%d triggers are left", n)
	}
}

// TestIdsGoOnAboveThoseThatCame, where the clock of the target is behind.
func TestIdsGoOnAboveThoseThatCame(t *testing.T) {
	ahead := sqlite.Options{Now: func() time.Time { return time.Now().Add(time.Minute) }}
	from, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "freshet.db"), ahead)
	must(t, err)
	defer from.Close()
	to := open(t)
	must(t, to.SetElsewhere(t.Context(), store.AllBuckets()))
	u := people(t, from, 2)
	last, _, err := from.CreatePost(t.Context(), freshet.NewPost{Author: u[0], Text: "x"}, store.Write{})
	must(t, err)
	begin(t, store.AllBuckets(), from, to)
	for _, table := range store.Tables() {
		rows, err := from.Rows(t.Context(), table, nil, 100)
		must(t, err)
		must(t, to.PutRows(t.Context(), 1, []store.TableRows{{Table: table, Rows: rows}}))
	}
	_, err = to.Join(t.Context(), 1)
	must(t, err)
	next, _, err := to.CreatePost(t.Context(), freshet.NewPost{Author: u[0], Text: "x"}, store.Write{})
	must(t, err)
	if next.ID <= last.ID {
		t.Errorf("the post after %s is %s", last.ID, next.ID)
	}
}

func TestRowsOfOtherBucketsAreNotPut(t *testing.T) {
	db := open(t)
	came, other := freshet.NewID(1, 7, 1), freshet.NewID(1, 8, 1)
	must(t, db.SetElsewhere(t.Context(), buckets(came, other)))
	begin(t, buckets(came), db)
	short := store.Row{int64(came)}
	for what, change := range map[string]store.TableRows{
		"of another bucket": {Table: store.UsersTable, Rows: []store.Row{userRow(came), userRow(other)}},
		"of home":           {Table: store.SecretsTable, Rows: []store.Row{{"x", []byte("x")}}},
		"of an erasure":     {Table: store.MirroredTable, Rows: []store.Row{{int64(1), int64(-1), int64(0), int64(0)}}},
		"too short":         {Table: store.UsersTable, Rows: []store.Row{short}},
		"of another type":   {Table: store.ViewsTable, Rows: []store.Row{{int64(came), "1"}}},
		"gone by no key":    {Table: store.LikesTable, Gone: []store.Row{short}},
	} {
		if err := db.PutRows(t.Context(), 1, []store.TableRows{change}); err == nil {
			t.Errorf("a row %s was put", what)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users, want none", n)
	}
}

// TestBucketsOnTheMoveAreSetByTheMoverAlone, others as ever.
func TestBucketsOnTheMoveAreSetByTheMoverAlone(t *testing.T) {
	db := open(t)
	moving, other := freshet.NewID(1, 7, 1), freshet.NewID(1, 8, 1)
	must(t, db.SetElsewhere(t.Context(), buckets(moving)))
	begin(t, buckets(moving), db)
	must(t, db.SetElsewhere(t.Context(), buckets(moving, other)))
	if err := db.SetElsewhere(t.Context(), buckets(other)); freshet.CodeOf(err) != freshet.CodeConflict {
		t.Errorf("got %v, want a conflict", err)
	}
	_, err := db.Join(t.Context(), 1)
	must(t, err)
	if err := db.SetElsewhere(t.Context(), buckets(moving, other)); freshet.CodeOf(err) != freshet.CodeConflict {
		t.Errorf("got %v, want a conflict", err)
	}
	if b, err := db.Elsewhere(t.Context()); err != nil || b != buckets(other) {
		t.Errorf("elsewhere are %v, %v", b, err)
	}
}

// TestViewsElsewhereHaveMoved: those of posts that are elsewhere are not passed over
// as those of posts that are gone, and nothing of their batch counts as added.
func TestViewsElsewhereHaveMoved(t *testing.T) {
	db := open(t)
	must(t, db.SetElsewhere(t.Context(), buckets(freshet.NewID(1, 7, 1))))
	gone := store.ViewedPost{Post: freshet.NewID(1, 8, 1), Hours: []store.ViewedHour{{Hour: 1, Views: 1}}}
	b := store.ViewBatch{Journal: [16]byte{1}, Seq: 1, Posts: []store.ViewedPost{gone, {Post: freshet.NewID(1, 7, 1)}}}
	if err := db.CountViews(t.Context(), b); !errors.Is(err, store.ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
	if seq, err := db.CountedViews(t.Context(), b.Journal); err != nil || seq != 0 {
		t.Errorf("the batch counts as added: %d, %v", seq, err)
	}
	b.Posts = b.Posts[:1]
	must(t, db.CountViews(t.Context(), b))
}

// TestPlansOfRows: a page of rows is sought by the primary key, without statistics too.
func TestPlansOfRows(t *testing.T) {
	db := open(t)
	people(t, db, 20)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, db, "ANALYZE")
		}
		for query, keys := range sqlite.RowsQueries() {
			args := make([]any, keys+1)
			for i := range args {
				args[i] = 1
			}
			plan := planOf(t, db, query, args...)
			if !strings.HasPrefix(plan[0], "SEARCH ") || !strings.Contains(plan[0], "PRIMARY KEY (") ||
				slices.ContainsFunc(plan, func(s string) bool { return strings.Contains(s, "TEMP B-TREE") }) {
				t.Errorf("analyzed %v: the plan of %s is\n%s", analyzed, query, strings.Join(plan, "\n"))
			}
		}
	}
}
