package shard_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
	"github.com/freshet/freshet/store/storetest"
)

var servers []*testenv.Postgres // a primary and two replicas

func TestMain(m *testing.M) {
	var scope testenv.Scope
	p := testenv.StartPostgres(&scope, "max_connections=300", "wal_level=logical", "hot_standby_feedback=on", "wal_receiver_status_interval=1s")
	servers = []*testenv.Postgres{p, p.StartReplica(&scope, "r1"), p.StartReplica(&scope, "r2")}
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

// files are empty SQLite parts, and what lies behind them.
type files struct {
	parts []store.Part
	raw   []*litedb.DB
}

// emptyFiles are migrated files without rows, each another database: a test has up to eight. nextEmpty counts what was taken.
var (
	emptyFiles [8]testenv.Prepared
	nextEmpty  atomic.Uint32
)

func openFiles(t testing.TB, n int, now func() time.Time) (f files) {
	t.Helper()
	for i := range n {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("part%d.db", i))
		emptyFiles[nextEmpty.Add(1)%uint32(len(emptyFiles))].Put(t, path, func(path string) error {
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err != nil {
				return err
			}
			return db.Close()
		})
		raw, err := litedb.Open(t.Context(), path, litedb.Options{Now: now, Migrations: []litedb.Migrations{sqlite.Migrations()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := raw.Close(); err != nil {
				t.Error(err)
			}
		})
		f.parts, f.raw = append(f.parts, sqlite.New(raw)), append(f.raw, raw)
	}
	return f
}

// databases are empty PostgreSQL parts on one server.
type databases struct {
	parts []store.Part
	raw   []*pgdb.DB
	names []string
}

func openDatabases(t testing.TB, n int, now func() time.Time) (d databases) {
	t.Helper()
	for range n {
		address := servers[0].CreateDatabase(t)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := pgdb.Open(t.Context(), address, pgdb.Options{Now: now, Migrations: []pgdb.Migrations{postgres.Migrations()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := raw.Close(); err != nil {
				t.Error(err)
			}
		})
		db, err := postgres.New(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		d.parts, d.raw, d.names = append(d.parts, db), append(d.raw, raw), append(d.names, u.Path[1:])
	}
	return d
}

// openStore makes one store of parts until the end of the test.
func openStore(t testing.TB, parts []store.Part, o shard.Options) *shard.Store {
	t.Helper()
	s, err := shard.Open(t.Context(), parts, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// madeEffect is an effect of any part, and when it was made.
type madeEffect struct {
	freshet.Effect
	at time.Time
}

func inOrder(all []madeEffect) (effects []freshet.Effect) {
	slices.SortStableFunc(all, func(a, b madeEffect) int { return a.at.Compare(b.at) })
	for _, e := range all {
		effects = append(effects, e.Effect)
	}
	return effects
}

// empty removes all rows but what a file is, its schema's versions and where the buckets are: sooner done than new files.
func (f files) empty(t testing.TB) {
	t.Helper()
	for _, raw := range f.raw {
		if _, err := raw.Write(t.Context(), func(tx *litedb.Tx) error {
			var tables []string
			err := tx.Each(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('meta', 'elsewhere', 'directory')
				AND name NOT LIKE 'migrations\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`, nil,
				func(r *litedb.Rows) { tables = append(tables, r.Text(0)) })
			for _, table := range tables {
				if err == nil {
					_, err = tx.Exec("DELETE FROM " + table)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContractOnFourFiles(t *testing.T) {
	f := openFiles(t, 4, nil)
	s := openStore(t, f.parts, shard.Options{})
	storetest.Run(t, func(t *testing.T) store.Store {
		f.empty(t)
		return s
	}, storetest.Options{
		Effects: func(t testing.TB, _ store.Store) []freshet.Effect {
			var all []madeEffect
			for _, raw := range f.raw {
				if err := raw.View(t.Context(), func(c *litedb.Conn) error {
					return c.Each("SELECT kind, key, subject, args, run_at, created_at FROM jobs ORDER BY created_at, id", nil, func(r *litedb.Rows) {
						all = append(all, madeEffect{freshet.Effect{Kind: r.Text(0), Key: r.Text(1), Subject: r.ID(2), Args: r.Blob(3), RunAt: r.Time(4)}, r.Time(5)})
					})
				}); err != nil {
					t.Fatal(err)
				}
			}
			return inOrder(all)
		},
		Drift: func(t testing.TB, s store.Store, user, post freshet.ID) {
			owners := s.(*shard.Store).Directory().Owners
			for query, id := range map[string]freshet.ID{
				"UPDATE users SET followers_count = followers_count + 1 WHERE id = ?": user,
				"UPDATE posts SET likes = likes - 1 WHERE id = ?":                     post,
			} {
				if _, err := f.raw[owners[id.Bucket()]].Write(t.Context(), func(tx *litedb.Tx) error {
					_, err := tx.Exec(query, id)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}

func TestContractOnTwoDatabases(t *testing.T) {
	d := openDatabases(t, 2, nil)
	s := openStore(t, d.parts, shard.Options{})
	storetest.Run(t, func(t *testing.T) store.Store {
		for _, name := range d.names {
			servers[0].Empty(t, name)
		}
		return s
	}, storetest.Options{
		Effects: func(t testing.TB, _ store.Store) []freshet.Effect {
			var all []madeEffect
			for _, raw := range d.raw {
				rows, err := raw.Pool().Query(t.Context(), "SELECT kind, key, subject, args, coalesce(run_at, 'epoch'), created_at FROM jobs ORDER BY created_at, id")
				if err != nil {
					t.Fatal(err)
				}
				effects, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e madeEffect, err error) {
					err = r.Scan(&e.Kind, &e.Key, (*int64)(&e.Subject), &e.Args, &e.RunAt, &e.at)
					return e, err
				})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, effects...)
			}
			return inOrder(all)
		},
		Drift: func(t testing.TB, s store.Store, user, post freshet.ID) {
			owners := s.(*shard.Store).Directory().Owners
			for query, id := range map[string]freshet.ID{
				"UPDATE user_counts SET followers = followers + 1 WHERE id = $1": user,
				"UPDATE post_counts SET likes = likes - 1 WHERE id = $1":         post,
			} {
				if _, err := d.raw[owners[id.Bucket()]].Pool().Exec(t.Context(), query, int64(id)); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}

// TestOneLogGivesEqualPages: what an embedded file answers to a log of operations, every other topology answers, word for word.
func TestOneLogGivesEqualPages(t *testing.T) {
	var clock storetest.Clock
	one, four := openFiles(t, 1, clock.Now), openFiles(t, 4, clock.Now)
	database, two := openDatabases(t, 1, clock.Now), openDatabases(t, 2, clock.Now)
	replicated, session := openReplicated(t, clock.Now)
	storetest.PlayLog(t, &clock, testenv.Size(100, 1_000, 20_000),
		storetest.Played{Name: "one file", Store: one.parts[0]},
		storetest.Played{Name: "four files", Store: openStore(t, four.parts, shard.Options{})},
		storetest.Played{Name: "PostgreSQL", Store: database.parts[0]},
		storetest.Played{Name: "a primary with two replicas", Store: replicated, Context: session},
		storetest.Played{Name: "two databases", Store: openStore(t, two.parts, shard.Options{})},
	)
	if replicated.Stats().OnReplicas == 0 {
		t.Error("no read went to a replica")
	}
}

// openReplicated gives a store with replicas, and the session in which all is done.
func openReplicated(t testing.TB, now func() time.Time) (*replica.Store, func(context.Context) context.Context) {
	t.Helper()
	u, err := url.Parse(servers[0].CreateDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	var nodes []replica.Node
	for i, server := range servers {
		node, err := postgres.Open(t.Context(), server.URL(u.Path[1:]), postgres.Options{Now: now})
		for began := time.Now(); err != nil && i > 0 && time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
			node, err = postgres.Open(t.Context(), server.URL(u.Path[1:]), postgres.Options{Now: now}) // the database has not come there
		}
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	s, err := replica.Open(t.Context(), nodes, replica.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	at, _, err := s.Where(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reading := position.Token{at}
	var last *position.Reading
	return s, func(ctx context.Context) context.Context {
		if last != nil {
			reading = reading.Merge(last.High())
		}
		ctx, last = position.WithReading(ctx, reading)
		return ctx
	}
}

// TestWhatCannotBeOpened: parts that are not those of the directory are refused, and told how.
func TestWhatCannotBeOpened(t *testing.T) {
	f := openFiles(t, 4, nil)
	first := openStore(t, f.parts[:2], shard.Options{})
	for i := range 10 {
		if _, _, err := first.CreateUser(t.Context(), freshet.NewUser{Handle: fmt.Sprintf("user%d", i)}, store.Write{}); err != nil {
			t.Fatal(err)
		}
	}
	used := openFiles(t, 1, nil)
	if _, _, err := used.parts[0].CreateUser(t.Context(), freshet.NewUser{Handle: "ada"}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		parts []store.Part
		says  string
	}{
		"no part":        {nil, "0 parts"},
		"another order":  {[]store.Part{f.parts[1], f.parts[0]}, "not in the directory"},
		"one is left":    {f.parts[:1], "names other databases"},
		"another one":    {[]store.Part{f.parts[0], f.parts[2]}, "names other databases"},
		"twice the same": {[]store.Part{f.parts[0], f.parts[0]}, "the same database"},
		"one with data":  {[]store.Part{f.parts[0], f.parts[1], used.parts[0]}, "empty database"},
	} {
		s, err := shard.Open(t.Context(), c.parts, shard.Options{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
	}

	// A part that is added comes without buckets; a store that was not split has all of them at home.
	if d := openStore(t, f.parts, shard.Options{}).Directory(); slices.Max(d.Owners[:]) != 1 || d.Epoch != 2 {
		t.Errorf("parts were added: %+v", d)
	}
	grown := openStore(t, append(used.parts, openFiles(t, 1, nil).parts...), shard.Options{})
	if owners := grown.Directory().Owners; slices.Max(owners[:]) != 0 {
		t.Errorf("a store with users was split: %v", owners)
	}
	if id, err := grown.UserByHandle(t.Context(), "Ada"); err != nil || id == 0 {
		t.Errorf("its user is %v, %v", id, err)
	}
}

// TestABucketThatIsNowhere: what the directory says a part has, and the part denies, makes the store unready; all else is served.
func TestABucketThatIsNowhere(t *testing.T) {
	f := openFiles(t, 2, nil)
	s := openStore(t, f.parts, shard.Options{})
	var users []freshet.User
	for i := range 20 {
		u, _, err := s.CreateUser(t.Context(), freshet.NewUser{Handle: fmt.Sprintf("user%d", i)}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, u)
	}
	slices.SortFunc(users, func(a, b freshet.User) int { return cmp.Compare(a.ID.Bucket(), b.ID.Bucket()) })
	gone, stays := users[0].ID, users[len(users)-1].ID
	elsewhere, err := f.parts[0].Elsewhere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Add(gone.Bucket())
	if err := f.parts[0].SetElsewhere(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, f.parts, shard.Options{})
	if err := again.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("buckets %d are on no part", gone.Bucket())) {
		t.Errorf("ready: %v", err)
	}
	if _, _, err := again.CreatePost(t.Context(), freshet.NewPost{Author: stays, Text: "x"}, store.Write{}); err != nil {
		t.Errorf("another bucket: %v", err)
	}
}
