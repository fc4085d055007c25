package postgres_test

import (
	"os"
	"testing"

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
	server = testenv.StartPostgres(&scope, "max_connections=300")
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

// open makes an empty database that is closed with the test.
func open(t testing.TB) (*postgres.DB, *pgdb.DB) {
	t.Helper()
	file, err := pgdb.Open(t.Context(), server.CreateDatabase(t), pgdb.Options{Migrations: []pgdb.Migrations{postgres.Migrations()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	db, err := postgres.New(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return db, file
}

func TestContract(t *testing.T) {
	files := make(map[store.Store]*pgdb.DB)
	storetest.Run(t, func(t *testing.T) store.Store {
		db, file := open(t)
		files[db] = file
		return db
	}, storetest.Options{
		Effects: func(t testing.TB, s store.Store) []freshet.Effect {
			rows, err := files[s].Pool().Query(t.Context(), "SELECT kind, key, subject, args, coalesce(run_at, 'epoch') FROM jobs ORDER BY created_at, id")
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
		Drift: func(t testing.TB, s store.Store, user, post freshet.ID) {
			for query, id := range map[string]freshet.ID{
				"UPDATE user_counts SET followers = followers + 1 WHERE id = $1": user,
				"UPDATE post_counts SET likes = likes - 1 WHERE id = $1":         post,
			} {
				if _, err := files[s].Pool().Exec(t.Context(), query, int64(id)); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}
