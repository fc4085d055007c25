package postgres_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/jobstest"
	"github.com/freshet/freshet/jobs/postgres"
)

var (
	server *testenv.Postgres
	shared string // the URL of a database on it
)

// TestMain is also the child of TestKill.
func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := liveAsChild(context.Background(), url, os.Getenv(childLife), os.Getenv(childEnds) != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	var scope testenv.Scope
	server = testenv.StartPostgres(&scope, "max_connections=300")
	shared = server.CreateDatabase(&scope)
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

// database empties the one that all tests share, one after the other: to make one
// takes longer than most tests.
func database(t testing.TB) string {
	t.Helper()
	db, err := openURL(t.Context(), shared)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Pool().Exec(t.Context(), "TRUNCATE jobs, job_processes RESTART IDENTITY; ALTER SEQUENCE id_sequence RESTART"); err != nil {
		t.Fatal(err)
	}
	return shared
}

func TestConformance(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		return system(t, database(t), h, o)
	})
}

func system(t *testing.T, url string, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
	t.Helper()
	e, _, end := open(t, url, h, o)
	return jobstest.System{Engine: e, Restart: func(t *testing.T, h map[string]jobs.Handler, o jobs.Options) jobstest.System {
		t.Helper()
		end()
		return system(t, url, h, o)
	}}
}

// open makes an engine of a database, as a process of its own would; end is
// called with the test at the latest.
func open(t testing.TB, url string, h map[string]jobs.Handler, o jobs.Options) (e *postgres.Engine, db *pgdb.DB, end func()) {
	t.Helper()
	db, err := openURL(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	e = postgres.New(db, o, h)
	end = func() {
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	}
	t.Cleanup(end)
	return e, db, end
}

func openURL(ctx context.Context, url string) (*pgdb.DB, error) {
	return pgdb.Open(ctx, url, pgdb.Options{Migrations: []pgdb.Migrations{postgres.Migrations()}})
}
