package postgres_test

import (
	"testing"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/storetest"
)

func TestPartContract(t *testing.T) {
	urls := make(map[store.Part]string)
	openPart := func(t *testing.T, url string) store.Part {
		db, _ := openAt(t, url, pgdb.Options{})
		urls[db] = url
		return db
	}
	storetest.RunParts(t, func(t *testing.T, n int) (parts []store.Part) {
		for range n {
			parts = append(parts, openPart(t, server.CreateDatabase(t)))
		}
		return parts
	}, storetest.PartOptions{
		Reopen: func(t *testing.T, p store.Part) store.Part { return openPart(t, urls[p]) },
	})
}
