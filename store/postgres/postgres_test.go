package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/storetest"
)

var server *testenv.Postgres

func TestMain(m *testing.M) {
	var scope testenv.Scope
	server = testenv.StartPostgres(&scope, "max_connections=300", "wal_level=logical", "max_replication_slots=100", "max_wal_senders=100")
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

// open makes an empty database that is closed with the test.
func open(t testing.TB) (*postgres.DB, *pgdb.DB) {
	t.Helper()
	return openAt(t, server.CreateDatabase(t), pgdb.Options{})
}

// openAt opens a database until the end of the test; no replication slot is left behind.
func openAt(t testing.TB, url string, o pgdb.Options) (*postgres.DB, *pgdb.DB) {
	t.Helper()
	o.Migrations = []pgdb.Migrations{postgres.Migrations()}
	file, err := pgdb.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.New(t.Context(), file)
	if err != nil {
		t.Fatal(errors.Join(err, file.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(removeConsumers(db, file), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return db, file
}

func removeConsumers(db *postgres.DB, file *pgdb.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	all, err := db.Consumers(ctx)
	if err != nil {
		return nil // the test has closed it
	}
	for _, c := range all {
		err = errors.Join(err, db.RemoveConsumer(ctx, c.Name))
	}
	var left int
	err = errors.Join(err, file.Pool().QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()").Scan(&left))
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d replication slots are left", left))
	}
	return err
}

func TestContract(t *testing.T) {
	url := server.CreateDatabase(t)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	db, file := openAt(t, url, pgdb.Options{})
	storetest.Run(t, func(t *testing.T) store.Store {
		server.Empty(t, name)
		t.Cleanup(func() {
			if err := removeConsumers(db, file); err != nil {
				t.Error(err)
			}
		})
		return db
	}, storetest.Options{
		Effects: func(t testing.TB, _ store.Store) []freshet.Effect {
			rows, err := file.Pool().Query(t.Context(), "SELECT kind, key, subject, args, coalesce(run_at, 'epoch') FROM jobs ORDER BY created_at, id")
			if err != nil {
				t.Fatal(err)
			}
			effects, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e freshet.Effect, err error) {
				err = r.Scan(&e.Kind, &e.Key, (*int64)(&e.Subject), &e.Args, &e.RunAt)
				return e, err
			})
			if err != nil {
				t.Fatal(err)
			}
			return effects
		},
		Drift: func(t testing.TB, _ store.Store, user, post freshet.ID) {
			for query, id := range map[string]freshet.ID{
				"UPDATE user_counts SET followers = followers + 1 WHERE id = $1": user,
				"UPDATE post_counts SET likes = likes - 1 WHERE id = $1":         post,
			} {
				if _, err := file.Pool().Exec(t.Context(), query, int64(id)); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}
