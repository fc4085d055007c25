package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
	jobspg "github.com/freshet/freshet/jobs/postgres"
	jobsqlite "github.com/freshet/freshet/jobs/sqlite"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
	"github.com/freshet/freshet/store/sqlite"
)

// records is what every store can do.
type records interface {
	store.Store
	store.Importer
	store.Verifier
}

// backend is the store as the configuration chooses it, and what comes with it.
type backend struct {
	store    records
	feed     store.ChangeFeed
	consumer string          // the name under which this node follows it
	backups  store.Backupper // nil: the store has means of its own
	newJobs  func(jobs.Options, map[string]jobs.Handler) jobs.Engine
	position func() position.Position // up to where the store has committed, as far as is known without asking
	database io.Closer
	primary  *pgdb.DB       // of PostgreSQL
	router   *replica.Store // where there are replicas
}

func (n *Node) openStore(ctx context.Context) error {
	if len(n.cfg.Store.Shards) > 0 {
		return n.openPostgres(ctx)
	}
	return n.openEmbedded(ctx)
}

func (n *Node) openEmbedded(ctx context.Context) (err error) {
	n.file, err = litedb.Open(ctx, filepath.Join(n.cfg.Data, databaseFile), litedb.Options{
		Migrations: schema(),
		GroupMax:   n.cfg.Store.GroupMax,
		Readers:    n.cfg.Store.Readers,
		Now:        n.opts.Now,
	})
	if err != nil {
		return err
	}
	n.serveFile(n.file)
	return nil
}

// serveFile has the node work on an embedded store that is open; who opened it closes it.
func (n *Node) serveFile(file *litedb.DB) {
	db := sqlite.New(file)
	n.backend = backend{
		store: db, feed: db, consumer: feedConsumer, backups: db, position: file.Position,
		newJobs: func(o jobs.Options, h map[string]jobs.Handler) jobs.Engine { return jobsqlite.New(file, o, h) },
	}
}

// openPostgres works on the servers of the configuration. What must be where writes are (jobs, the change feed) has a pool that
// finds the primary by itself; reads and writes go by the router where there are replicas.
func (n *Node) openPostgres(ctx context.Context) (err error) {
	if len(n.cfg.Store.Shards) > 1 {
		return fmt.Errorf("store.shards names %d shards, and this version serves one: leave the others out", len(n.cfg.Store.Shards))
	}
	shard := n.cfg.Store.Shards[0]
	options := pgdb.Options{MaxConns: n.cfg.Store.MaxConns, Now: n.clock, Log: n.log, Migrations: pgSchema()}
	writer := options
	writer.Fallbacks = shard.Replicas
	db, err := pgdb.Open(ctx, shard.Primary, writer)
	if err != nil {
		return err
	}
	b := backend{database: db, primary: db, position: db.Known, consumer: feedConsumer}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.database.Close())
		}
	}()
	first, err := postgres.New(ctx, db)
	if err != nil {
		return err
	}
	b.store = first
	if len(shard.Replicas) > 0 {
		router, err := openRouter(ctx, shard, options, n.log)
		if err != nil {
			return err
		}
		b.store, b.router, b.database = router, router, closers{router, db}
	}
	held, err := db.Hold(ctx, "timelines", n.cfg.Feed.Mode == string(feed.Pull))
	if errors.Is(err, pgdb.ErrHeld) {
		return fmt.Errorf("another freshet uses this database, and timelines in memory are for one: set feed.mode to pull for all of them (%w)", err)
	}
	if err != nil {
		return err
	}
	b.database = closers{b.database, releaser{held}}
	if n.id, err = nodeID(n.cfg.Data); err != nil {
		return err
	}
	b.consumer += "-" + n.id
	// Without the change feed a node would not hear of what others write, and serve it from its caches for as long as they hold it.
	if logical, err := db.Logical(ctx); err != nil {
		return err
	} else if !logical {
		return errors.New("the database's change feed can't be followed: set wal_level = logical and restart the server")
	}
	b.feed = first
	b.newJobs = func(o jobs.Options, h map[string]jobs.Handler) jobs.Engine { return jobspg.New(db, o, h) }
	n.backend = b
	return nil
}

// openRouter opens all servers of a shard, of which some may be down.
func openRouter(ctx context.Context, shard config.Shard, o pgdb.Options, log *slog.Logger) (*replica.Store, error) {
	var nodes []replica.Node
	for _, url := range append([]string{shard.Primary}, shard.Replicas...) {
		db, err := pgdb.Connect(ctx, url, o)
		if err != nil {
			for _, opened := range nodes {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		nodes = append(nodes, postgres.NewReplica(db))
	}
	return replica.Open(ctx, nodes, replica.Options{Log: log})
}

// pgSchema are the tables of a PostgreSQL store.
func pgSchema() []pgdb.Migrations {
	return []pgdb.Migrations{postgres.Migrations(), jobspg.Migrations()}
}

// closers close the last first.
type closers []io.Closer

func (all closers) Close() (err error) {
	for _, c := range slices.Backward(all) {
		err = errors.Join(err, c.Close())
	}
	return err
}

type releaser struct{ held *pgdb.Hold }

func (r releaser) Close() error {
	r.held.Release()
	return nil
}

// nodeFile holds the name of this node among those that share a store: it stays the same over restarts.
const nodeFile = "node"

func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, nodeFile)
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := make([]byte, 6)
	rand.Read(id) // never fails
	name := hex.EncodeToString(id)
	return name, os.WriteFile(path, []byte(name+"\n"), 0o600)
}
