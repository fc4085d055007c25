package pgdb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
)

var server *testenv.Postgres

func TestMain(m *testing.M) {
	var scope testenv.Scope
	server = testenv.StartPostgres(&scope, "deadlock_timeout=20ms")
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

func files(text string) fs.FS { return fstest.MapFS{"00001_test.sql": {Data: []byte(text)}} }

// open gives an empty database with a table.
func open(t *testing.T, o pgdb.Options) (db *pgdb.DB, url string) {
	t.Helper()
	url = server.CreateDatabase(t)
	o.Migrations = []pgdb.Migrations{{Owner: "test", Files: files("-- +goose Up\nCREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, s text);")}}
	db, err := pgdb.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, url
}

func call(sql string, args ...any) pgdb.Call { return pgdb.Call{SQL: sql, Args: args} }

func number(t *testing.T, db *pgdb.DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.Read(t.Context(), query, args, func(r pgx.Rows) error { return r.Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// What can't be worked with is told with what to do about it.
func TestOpenExplains(t *testing.T) {
	plain := func(sql ...string) string {
		url := server.CreateDatabase(t)
		name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
		for _, s := range sql {
			server.Exec(t, name, s)
		}
		return url
	}
	server.Exec(t, "postgres", "CREATE ROLE nobody LOGIN")
	latin := "latin"
	server.Exec(t, "postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	for name, c := range map[string]struct{ url, want string }{
		"no url":      {"postgres://h:notaport/x", "want postgres://user:password@host:5432/database"},
		"unreachable": {"postgres://postgres@127.0.0.1:1/x", "is the server running"},
		"no database": {server.URL("missing"), "CREATE DATABASE"},
		"no right":    {strings.Replace(plain(), "postgres@", "nobody@", 1), "right to create"},
		"encoding":    {server.URL(latin), "ENCODING 'UTF8'"},
		"another's":   {plain("CREATE SCHEMA freshet", "CREATE TABLE freshet.users (x int)"), "not freshet's"},
		"of the future": {plain("CREATE SCHEMA freshet", `CREATE TABLE freshet.migrations_base (id serial PRIMARY KEY, version_id bigint NOT NULL,
			is_applied boolean NOT NULL, tstamp timestamp DEFAULT now())`, "INSERT INTO freshet.migrations_base (version_id, is_applied) VALUES (0, true), (1, true), (99, true)"), "use a later freshet"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := pgdb.Open(ctx, c.url, pgdb.Options{})
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want a hint like %q", name, err, c.want)
		}
	}
	defer pgdb.NeedVersion(990000)() // no older server is here, so the one that is has become too old
	if _, err := pgdb.Open(t.Context(), plain(), pgdb.Options{}); err == nil || !strings.Contains(err.Error(), "99 or later is needed: upgrade the server") {
		t.Errorf("a server that is too old: %v", err)
	}
}

func TestMigrateTogether(t *testing.T) {
	url := server.CreateDatabase(t)
	set := []pgdb.Migrations{{Owner: "test", Files: files("-- +goose Up\nCREATE TABLE t (id bigint PRIMARY KEY);")}}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := pgdb.Migrate(t.Context(), url, set, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestAWriteIsOneTransaction(t *testing.T) {
	db, _ := open(t, pgdb.Options{})
	before := db.Known()
	at, err := db.Write(t.Context(), call("INSERT INTO t VALUES (1, 1)"), call("INSERT INTO t VALUES (2, 2)"))
	if err != nil {
		t.Fatal(err)
	}
	if order, ok := at.Compare(before); !ok || order <= 0 {
		t.Errorf("at %+v after %+v", at, before)
	}
	_, err = db.Write(t.Context(), call("INSERT INTO t VALUES (3, 3)"), call("SELECT refuse('FR002', 'name', 'is taken')"), call("INSERT INTO t VALUES (4, 4)"))
	if e, ok := errors.AsType[*freshet.Error](err); !ok || e.Code != freshet.CodeConflict || e.Field != "name" {
		t.Errorf("got %v, want the conflict", err)
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 2 {
		t.Errorf("%d rows, want those of the first write", n)
	}
}

func TestErrorsThatCallersMayBeTold(t *testing.T) {
	db, _ := open(t, pgdb.Options{})
	for code, query := range map[freshet.Code]string{
		freshet.CodeNotFound:    "SELECT refuse('FR001', 'post', '')",
		freshet.CodeInvalid:     "SELECT refuse('FR004', 'text', 'is wrong')",
		freshet.CodeUnavailable: "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device'; END $$",
	} {
		if _, err := db.Write(t.Context(), call(query)); freshet.CodeOf(err) != code {
			t.Errorf("got %v, want %s", err, code)
		}
	}
	if _, err := db.Write(t.Context(), call("INSERT INTO t VALUES (1, 1, $1)", "a\x00b")); freshet.CodeOf(err) != freshet.CodeInvalid {
		t.Errorf("a NUL: got %v", err)
	}
	if _, err := db.Write(t.Context(), call("INSERT INTO t VALUES (1, 1, $1)", "after it")); err != nil {
		t.Errorf("the connection is of no use any more: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := db.Write(ended, call("SELECT 1")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// A server whose disk is full answers all but writes, so whoever asks whether it is ready has it try.
func TestADatabaseWithoutRoomIsNotReady(t *testing.T) {
	db, _ := open(t, pgdb.Options{})
	const full = "BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device'; END"
	for _, sql := range []string{
		"CREATE FUNCTION full_disk() RETURNS event_trigger LANGUAGE plpgsql AS $$ " + full + " $$",
		"CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION full_disk()",
	} {
		if _, err := db.Write(t.Context(), call(sql)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("nothing has failed yet: %v", err)
	}
	if _, err := db.Write(t.Context(), call("DO $$ "+full+" $$")); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	if err := db.Ready(t.Context()); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Errorf("ready without room: %v", err)
	}
	if _, err := db.Write(t.Context(), call("DROP EVENT TRIGGER full_disk")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Ready(t.Context()); err != nil {
			t.Errorf("not ready although there is room again: %v", err)
		}
	}
}

// Two writes that lock each other's rows both succeed: who was rolled back is repeated.
func TestDeadlocksAreRepeated(t *testing.T) {
	db, _ := open(t, pgdb.Options{})
	if _, err := db.Write(t.Context(), call("INSERT INTO t VALUES (1, 0), (2, 0)")); err != nil {
		t.Fatal(err)
	}
	const each = 20
	var all sync.WaitGroup
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		all.Go(func() {
			for range each {
				if _, err := db.Write(t.Context(), call("UPDATE t SET n = n + 1 WHERE id = $1", order[0]), call("SELECT pg_sleep(0.001)"),
					call("UPDATE t SET n = n + 1 WHERE id = $1", order[1])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := number(t, db, "SELECT sum(n)::bigint FROM t"); n != 4*each {
		t.Errorf("%d, want %d", n, 4*each)
	}
}

// A plan that was made before a change of the schema is made anew, without anybody seeing an error.
func TestPlansSurviveASchemaChange(t *testing.T) {
	db, _ := open(t, pgdb.Options{MaxConns: 1})
	if _, err := db.Write(t.Context(), call("INSERT INTO t VALUES (1, 7)")); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		return db.Read(t.Context(), "SELECT * FROM t", nil, func(pgx.Rows) error { return nil })
	}
	write := func() error {
		_, err := db.Write(t.Context(), call("UPDATE t SET n = n + 1 RETURNING *"))
		return err
	}
	for _, change := range []string{"", "ALTER TABLE t ADD COLUMN more bigint", "ALTER TABLE t ALTER COLUMN n TYPE numeric"} {
		if change != "" {
			if _, err := db.Pool().Exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}
		for what, do := range map[string]func() error{"read": read, "write": write} {
			if err := do(); err != nil {
				t.Errorf("%s after %q: %v", what, change, err)
			}
		}
	}
}

func TestSlowStatementsAreTold(t *testing.T) {
	db, _ := open(t, pgdb.Options{Slow: 20 * time.Millisecond})
	for range 2 {
		if _, err := db.Write(t.Context(), call("SELECT\n\tpg_sleep($1)", 0.03)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range db.SlowQueries() {
		if s.SQL == "SELECT pg_sleep($1)" && s.Count == 2 && s.Max >= 30*time.Millisecond {
			return
		}
	}
	t.Errorf("not among the slow ones: %+v", db.SlowQueries())
}

// Ids rise where they must, whatever the clock does.
func TestIDsRise(t *testing.T) {
	db, _ := open(t, pgdb.Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var last int64
	for i := range 1000 {
		if i%100 == 0 {
			at = at.Add(-time.Second) // the clock goes back
		}
		id := number(t, db, "SELECT next_id(7, $1, $2)", last, at)
		if id <= last || freshet.ID(id).Bucket() != 7 {
			t.Fatalf("id %d of bucket %d after %d", id, freshet.ID(id).Bucket(), last)
		}
		last = id
	}
}
