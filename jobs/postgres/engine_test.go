package postgres_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/jobstest"
	"github.com/freshet/freshet/jobs/postgres"
)

var (
	server    *testenv.Postgres
	template  string // the URL of a database to copy
	databases atomic.Int64
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
	template = server.CreateDatabase(&scope)
	if db, err := openURL(context.Background(), template); err != nil {
		scope.Fatalf("%v", err)
	} else {
		db.Close()
	}
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

// database makes one with its schema: a copy of one where the migrations ran.
func database(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("copy_%d", databases.Add(1))
	server.Exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+path.Base(strings.TrimSuffix(template, "?sslmode=disable"))+" STRATEGY file_copy")
	return server.URL(name)
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
func open(t *testing.T, url string, h map[string]jobs.Handler, o jobs.Options) (e *postgres.Engine, db *pgdb.DB, end func()) {
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
