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

// A case's parts are databases that the one before has used: to empty them takes a tenth of the time that making them does.
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
			server.Empty(t, databaseOf(urls[p]))
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
