package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/storetest"
)

// databaseOf is the name in a URL of the server.
func databaseOf(url string) string {
	return url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
}

// clearParts removes the few rows that a case has left, in a tenth of the time of TRUNCATE, which makes files.
func clearParts(t *testing.T, database string) {
	t.Helper()
	server.Exec(t, database, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'freshet' AND tablename NOT LIKE 'migrations_%'
			AND tablename NOT LIKE 'posts_%' AND tablename <> 'meta' LOOP
			EXECUTE format('DELETE FROM freshet.%I', name);
		END LOOP;
	END $$`)
}

// A case's parts are databases that the one before has used.
func TestPartContract(t *testing.T) {
	var all []store.Part
	var files []*pgdb.DB
	urls := make(map[store.Part]string)
	for range 3 {
		url := server.CreateDatabase(t)
		db, file := openAt(t, url, pgdb.Options{})
		all, files = append(all, db), append(files, file)
		urls[db] = url
	}
	storetest.RunParts(t, func(t *testing.T, n int) []store.Part {
		for i, p := range all[:n] {
			clearParts(t, databaseOf(urls[p]))
			t.Cleanup(func() {
				if err := removeConsumers(p.(*postgres.DB), files[i]); err != nil {
					t.Error(err)
				}
			})
		}
		return slices.Clone(all[:n])
	}, storetest.PartOptions{
		Reopen: func(t *testing.T, p store.Part) store.Part {
			again, _ := openAt(t, urls[p], pgdb.Options{})
			return again
		},
	})
}
