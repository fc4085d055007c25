package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/freshet/freshet/config"
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

// database is what one shard lies in: a file, or a PostgreSQL server's database. On a server, what must be where writes are (jobs,
// the change feed) has a pool that finds the primary by itself; reads and writes go by the router where there are replicas.
type database struct {
	file *litedb.DB // nil: a server's

	primary *pgdb.DB
	direct  *postgres.DB   // by that pool
	router  *replica.Store // nil: no replicas
}

// follow is the change feed of a shard, and the name by which this node follows it.
type follow struct {
	store.ChangeFeed
	consumer string
}

// openDatabase opens a shard.
func (n *Node) openDatabase(ctx context.Context, c config.Shard, opened *closers) (*database, error) {
	if name, ok := c.File(); ok {
		return n.openFile(ctx, name, opened)
	}
	return n.openServers(ctx, c, opened)
}

func (n *Node) openFile(ctx context.Context, name string, opened *closers) (*database, error) {
	path := filepath.Join(n.cfg.Data, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := litedb.Open(ctx, path, litedb.Options{
		Migrations: schema(),
		GroupMax:   n.cfg.Store.GroupMax,
		Readers:    n.cfg.Store.Readers,
		Now:        n.opts.Now,
	})
	if err != nil {
		return nil, err
	}
	*opened = append(*opened, file)
	return &database{file: file}, nil
}

func (n *Node) openServers(ctx context.Context, c config.Shard, opened *closers) (_ *database, err error) {
	options := pgdb.Options{MaxConns: n.cfg.Store.MaxConns, Now: n.clock, Log: n.log, Migrations: pgSchema()}
	writer := options
	writer.Fallbacks = c.Replicas
	d := new(database)
	if d.primary, err = pgdb.Open(ctx, c.Primary, writer); err != nil {
		return nil, err
	}
	*opened = append(*opened, d.primary)
	if d.direct, err = postgres.New(ctx, d.primary); err != nil {
		return nil, err
	}
	// Without the change feed a node would not hear of what others write, and serve it from its caches for as long as they hold it.
	if logical, err := d.primary.Logical(ctx); err != nil {
		return nil, err
	} else if !logical {
		return nil, errors.New("the database's change feed can't be followed: set wal_level = logical and restart the server")
	}
	if len(c.Replicas) == 0 {
		return d, nil
	}
	if d.router, err = openRouter(ctx, c, options, n.log); err != nil {
		return nil, err
	}
	*opened = append(*opened, d.router)
	return d, nil
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

// part is the database as a part of the store.
func (d *database) part() store.Part {
	switch {
	case d.file != nil:
		return sqlite.New(d.file)
	case d.router != nil:
		return d.router
	}
	return d.direct
}

// feed is followed on a server by a name of the node's own. A file has no second node.
func (d *database) feed(node string) follow {
	if d.file != nil {
		return follow{sqlite.New(d.file), feedConsumer}
	}
	return follow{d.direct, feedConsumer + "-" + node}
}

// backlogSpan is how much of the feed is kept for streams.
func (d *database) backlogSpan() uint64 {
	if d.file != nil {
		return spanFile
	}
	return spanServer
}

func (d *database) jobs(o jobs.Options, h map[string]jobs.Handler) jobs.Engine {
	if d.file != nil {
		return jobsqlite.New(d.file, o, h)
	}
	return jobspg.New(d.primary, o, h)
}

// known is how far it has committed, as was last heard.
func (d *database) known() position.Position {
	if d.file != nil {
		return d.file.Position()
	}
	return d.primary.Known()
}

// pgSchema are the tables of a PostgreSQL store.
func pgSchema() []pgdb.Migrations {
	return []pgdb.Migrations{postgres.Migrations(), jobspg.Migrations()}
}

// shardError names the shard where there are several.
func shardError(err error, i, of int) error {
	if err == nil || of == 1 {
		return err
	}
	return fmt.Errorf("shard %d: %w", i, err)
}
