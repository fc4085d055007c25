package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
)

// storeWorld is a PostgreSQL with a network in it, and the ways to read that: the store, the router over it, bare pools.
type storeWorld struct {
	db       *postgres.DB
	router   *replica.Store
	raw      *pgxpool.Pool // of as many connections as the store has
	wide     *pgxpool.Pool // a connection for each of many clients
	bouncers []bouncer

	posts  []freshet.ID // some, to be read
	actors []freshet.ID // users who like
	reader freshet.ID   // who follows a thousand
}

// bouncer is a pool of connections to a PgBouncer.
type bouncer struct {
	mode string
	pool *pgxpool.Pool
}

// rawPost is a post as a program without freshet has it.
type rawPost struct {
	ID, Author int64
	Ref, Text  string
	Data       []byte
	CreatedAt  time.Time
	EditedAt   *time.Time
}

// openStoreWorld starts the server, with fsync: a hot row is held until its commit is on the disk.
func (l *lab) openStoreWorld(ctx context.Context, servers *testenv.Scope) (w *storeWorld, err error) {
	server := testenv.StartPostgres(servers, "fsync=on", "max_connections=300", "shared_buffers=512MB", "max_wal_size=8GB", "wal_level=logical")
	address := server.CreateDatabase(servers)
	w = new(storeWorld)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.db, err = postgres.Open(ctx, address, postgres.Options{}); err != nil {
		return w, err
	}
	node, err := postgres.Open(ctx, address, postgres.Options{})
	if err != nil {
		return w, err
	}
	if w.router, err = replica.Open(ctx, []replica.Node{node}, replica.Options{}); err != nil {
		return w, errors.Join(err, node.Close())
	}
	if w.raw, err = bare(ctx, address, rawConns, pgx.QueryExecModeCacheStatement); err != nil {
		return w, err
	}
	if w.wide, err = bare(ctx, address, manyClients, pgx.QueryExecModeCacheStatement); err != nil {
		return w, err
	}
	if testenv.FindPgBouncer() != "" {
		// In transaction pooling 1.18 knows no prepared statements, so each query is described once and parsed each time.
		for _, b := range []struct {
			mode string
			exec pgx.QueryExecMode
		}{{"transaction", pgx.QueryExecModeCacheDescribe}, {"session", pgx.QueryExecModeCacheStatement}} {
			through, err := url.Parse(address)
			if err != nil {
				return w, err
			}
			through.Host = testenv.StartPgBouncer(servers, server, b.mode, rawConns).Addr
			pool, err := bare(ctx, through.String(), rawConns, b.exec)
			if err != nil {
				return w, err
			}
			w.bouncers = append(w.bouncers, bouncer{b.mode, pool})
		}
	}
	return w, w.fill(ctx, l)
}

// bare opens a pool as a program without freshet would.
func bare(ctx context.Context, address string, conns int32, mode pgx.QueryExecMode) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = conns
	config.ConnConfig.DefaultQueryExecMode = mode
	return pgxpool.NewWithConfig(ctx, config)
}

func (w *storeWorld) close() (err error) {
	if w.router != nil {
		err = w.router.Close()
	}
	if w.db != nil {
		err = errors.Join(err, w.db.Close())
	}
	for _, b := range w.bouncers {
		b.pool.Close()
	}
	for _, pool := range []*pgxpool.Pool{w.raw, w.wide} {
		if pool != nil {
			pool.Close()
		}
	}
	return err
}

const (
	worldAuthors = 20_000
	worldFollows = 1_000
	worldPoints  = 20_000 // posts that are read one by one: they stay in the server's memory
)

// network makes authors who post in turn over a year, in an order that repeats nothing, and a reader who follows some of them.
// Ids are as the store draws them (package freshet): the time, the author's bucket.
var network = []string{
	`CREATE FUNCTION freshet.show_author(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
		$$ SELECT (100000000000 << 22) + ((n % 1024) << 12) + n / 1024 $$`,
	`INSERT INTO freshet.user_counts (id) SELECT freshet.show_author(n) FROM generate_series(1, $1::bigint) n`,
	`INSERT INTO freshet.posts (id, author, created_at, ref, text)
		SELECT (at << 22) + ((author >> 12 & 1023) << 12), author, timestamptz '2000-01-01 UTC' + at * interval '1 millisecond', '', repeat(md5(n::text), 5)
		FROM (SELECT n, freshet.show_author(1 + (hashint8(n)::bigint & 2147483647) % $1) AS author,
			(extract(epoch FROM now()) * 1000)::bigint - 946684800000 - 60000 - (31536000000 / $2::bigint) * ($2::bigint - n) AS at
			FROM generate_series(1, $2::bigint) n) AS made`,
	`UPDATE freshet.user_counts c SET head = p.head, posts = p.n
		FROM (SELECT author, max(id) AS head, count(*) AS n FROM freshet.posts GROUP BY author) p WHERE p.author = c.id`,
	`INSERT INTO freshet.follows (follower, followee, id)
		SELECT $2::bigint, freshet.show_author(n), freshet.show_author(n)
		FROM (SELECT n FROM generate_series(1, $1::bigint) n ORDER BY hashint8(n + 7) LIMIT $3::bigint) AS chosen`,
	`VACUUM ANALYZE`,
}

// fill makes the network.
func (w *storeWorld) fill(ctx context.Context, l *lab) error {
	const posts = 1_000_000
	l.say("making %d posts", posts)
	began := time.Now()
	for i := range manyClients + 1 {
		u, _, err := w.db.CreateUser(ctx, freshet.NewUser{Handle: fmt.Sprintf("actor%d", i)}, store.Write{})
		if err != nil {
			return err
		}
		w.actors = append(w.actors, u.ID)
	}
	w.reader, w.actors = w.actors[manyClients], w.actors[:manyClients]
	args := [][]any{{}, {worldAuthors}, {worldAuthors, posts}, {}, {worldAuthors, int64(w.reader), worldFollows}, {}}
	for i, sql := range network {
		if _, err := w.raw.Exec(ctx, sql, args[i]...); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	rows, err := w.raw.Query(ctx, "SELECT id FROM freshet.posts ORDER BY hashint8(id) LIMIT $1", worldPoints)
	if err != nil {
		return err
	}
	if w.posts, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (id freshet.ID, err error) {
		err = r.Scan((*int64)(&id))
		return id, err
	}); err != nil {
		return err
	}
	l.detail("%d posts of %d authors, of whom the reader follows %d; made in %s", posts, worldAuthors, worldFollows, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// id is one of the posts that are read one by one: neighbours in turn are none in the table.
func (w *storeWorld) id(i int) freshet.ID { return w.posts[i*7919%len(w.posts)] }

// hotPost makes a post that everybody likes.
func (w *storeWorld) hotPost(ctx context.Context) (freshet.ID, error) {
	p, _, err := w.db.CreatePost(ctx, freshet.NewPost{Author: w.actors[0], Text: "hot"}, store.Write{})
	return p.ID, err
}

// naiveFeed is the query that the pull query stands for.
const naiveFeed = `SELECT id FROM freshet.posts WHERE author IN (SELECT followee FROM freshet.follows WHERE follower = $1)
	ORDER BY created_at DESC LIMIT 50`

// homeFeed compares the pull query with the naive one, on the same tables and with an index for it: by author, and by time
// alone. Its best is the one that is faster.
func (w *storeWorld) homeFeed(ctx context.Context, l *lab) ([]ratio, error) {
	l.say("home feed")
	var found []ratio
	for _, index := range []string{"(author, created_at)", "(created_at)"} {
		for _, sql := range []string{"DROP INDEX IF EXISTS freshet.show_naive", "CREATE INDEX show_naive ON freshet.posts " + index, "ANALYZE freshet.posts"} {
			if _, err := w.raw.Exec(ctx, sql); err != nil {
				return nil, err
			}
		}
		if err := w.sameFeed(ctx); err != nil {
			return nil, err
		}
		home := &contender{name: "Home", clients: 1, n: 20, worth: 1, do: func(ctx context.Context, _ int) error {
			_, err := w.db.Home(ctx, w.reader, 0, 50)
			return err
		}}
		naive := &contender{name: "IN (subselect), index " + index, clients: 1, n: 2, worth: 1, do: func(ctx context.Context, _ int) error {
			_, err := w.naive(ctx)
			return err
		}}
		if err := takeTurns(ctx, size(7, 31), home, naive); err != nil {
			return nil, err
		}
		found = append(found, against("home feed / naive "+index, 50, home, naive))
	}
	return found, nil
}

func (w *storeWorld) naive(ctx context.Context) ([]int64, error) {
	rows, err := w.raw.Query(ctx, naiveFeed, int64(w.reader))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// sameFeed wants both queries to give the same page.
func (w *storeWorld) sameFeed(ctx context.Context) error {
	refs, err := w.db.Home(ctx, w.reader, 0, 50)
	if err != nil {
		return err
	}
	ids, err := w.naive(ctx)
	if err != nil {
		return err
	}
	if len(refs) != 50 || len(ids) != 50 {
		return fmt.Errorf("pages of %d and %d posts", len(refs), len(ids))
	}
	for i := range ids {
		if int64(refs[i].ID) != ids[i] {
			return fmt.Errorf("post %d of the page is %d, by the naive query %d", i, int64(refs[i].ID), ids[i])
		}
	}
	return nil
}
