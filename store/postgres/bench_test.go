package postgres_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

// BenchmarkHotCounter has 64 users like and unlike one post, and 64 connections add to one row, in turns, on a server that
// syncs; the ratio is that of the best rounds.
func BenchmarkHotCounter(b *testing.B) {
	const clients, each, rounds = 64, 40, 3
	durable := testenv.StartPostgres(b, "max_connections=200", "fsync=on", "wal_level=logical")
	db, file := openAt(b, durable.URL("postgres"), pgdb.Options{MaxConns: 80})
	var users []freshet.ID
	for i := range clients {
		u, _, err := db.CreateUser(b.Context(), freshet.NewUser{Handle: "u" + strconv.Itoa(i)}, store.Write{})
		if err != nil {
			b.Fatal(err)
		}
		users = append(users, u.ID)
	}
	post, _, err := db.CreatePost(b.Context(), freshet.NewPost{Author: users[0], Text: "x"}, store.Write{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.Pool().Exec(b.Context(), "CREATE TABLE hot (id int PRIMARY KEY, n bigint) WITH (fillfactor = 70)"); err != nil {
		b.Fatal(err)
	}
	if _, err := file.Pool().Exec(b.Context(), "INSERT INTO hot VALUES (1, 0)"); err != nil {
		b.Fatal(err)
	}
	likes := func(i, n int) error {
		if n%2 == 0 {
			_, _, _, err := db.Like(b.Context(), users[i], post.ID, store.Write{})
			return err
		}
		_, _, _, err := db.Unlike(b.Context(), users[i], post.ID, store.Write{})
		return err
	}
	updates := func(int, int) error {
		_, err := file.Pool().Exec(b.Context(), "UPDATE hot SET n = n + 1 WHERE id = 1")
		return err
	}
	best := [2]float64{}
	for range rounds {
		for k, op := range []func(i, n int) error{likes, updates} {
			began := time.Now()
			var all sync.WaitGroup
			for i := range clients {
				all.Go(func() {
					for n := range each {
						if err := op(i, n); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			best[k] = max(best[k], clients*each/time.Since(began).Seconds())
		}
	}
	b.ReportMetric(best[0], "likes/s")
	b.ReportMetric(best[1], "updates/s")
	b.ReportMetric(best[0]/best[1], "ratio")
	b.ReportMetric(0, "ns/op")
}
