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
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// records is what every store can do.
type records interface {
	store.Store
	store.Verifier
}

// backend is the store as the configuration chooses it, and what comes with it.
type backend struct {
	store    records
	feeds    []store.ChangeFeed // of each shard
	consumer string             // the name under which this node follows them
	backups  store.Backupper    // nil: the store has means of its own
	newJobs  func(jobs.Options, map[string]jobs.Handler) jobs.Engine
	position func() position.Token // up to where the store has committed, as far as is known without asking
	database io.Closer
	shards   []*pgShard // of PostgreSQL
}

// pgShard is one of the servers' databases. What must be where writes are (jobs, the change feed) has a pool that finds the
// primary by itself; reads and writes go by the router where there are replicas.
type pgShard struct {
	primary *pgdb.DB
	direct  *postgres.DB   // by that pool
	router  *replica.Store // nil: no replicas
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
		store: db, feeds: []store.ChangeFeed{db}, consumer: feedConsumer, backups: db,
		position: func() position.Token { return position.Token{file.Position()} },
		newJobs:  func(o jobs.Options, h map[string]jobs.Handler) jobs.Engine { return jobsqlite.New(file, o, h) },
	}
}

// openPostgres works on the servers of the configuration.
func (n *Node) openPostgres(ctx context.Context) (err error) {
	b := backend{consumer: feedConsumer}
	var opened closers
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.Close())
		}
	}()
	var parts []store.Part
	for i, c := range n.cfg.Store.Shards {
		s, part, err := n.openShard(ctx, c, &opened)
		if err != nil {
			return shardError(err, i, len(n.cfg.Store.Shards))
		}
		b.shards, b.feeds, parts = append(b.shards, s), append(b.feeds, s.direct), append(parts, part)
	}
	b.store = parts[0].(records)
	if len(parts) == 1 {
		if err := undivided(ctx, parts[0]); err != nil {
			return err
		}
	} else {
		all, err := shard.Open(ctx, parts, shard.Options{Log: n.log})
		if err != nil {
			return err
		}
		b.store, opened = all, append(opened, all)
	}
	held, err := b.shards[0].primary.Hold(ctx, "timelines", n.cfg.Feed.Mode == string(feed.Pull))
	if errors.Is(err, pgdb.ErrHeld) {
		return fmt.Errorf("another freshet uses this database, and timelines in memory are for one: set feed.mode to pull for all of them (%w)", err)
	}
	if err != nil {
		return err
	}
	opened = append(opened, releaser{held})
	if n.id, err = nodeID(n.cfg.Data); err != nil {
		return err
	}
	b.consumer += "-" + n.id
	b.database, b.position = opened, b.known
	b.newJobs = func(o jobs.Options, h map[string]jobs.Handler) jobs.Engine {
		if len(b.shards) == 1 {
			return jobspg.New(b.shards[0].primary, o, h)
		}
		var all jobs.Joined
		for _, s := range b.shards {
			all = append(all, jobspg.New(s.primary, o, h))
		}
		return all
	}
	n.backend = b
	return nil
}

// undivided fails where a database is one of several that make a store.
func undivided(ctx context.Context, p store.Part) error {
	d, err := p.Directory(ctx)
	if err != nil {
		return err
	}
	elsewhere, err := p.Elsewhere(ctx)
	if err != nil {
		return err
	}
	if len(d.Parts) > 1 || elsewhere.Len() > 0 {
		return errors.New("the database is one shard of several: name all of them in store.shards, in their order")
	}
	return nil
}

// openShard opens the servers of one shard.
func (n *Node) openShard(ctx context.Context, c config.Shard, opened *closers) (s *pgShard, part store.Part, err error) {
	options := pgdb.Options{MaxConns: n.cfg.Store.MaxConns, Now: n.clock, Log: n.log, Migrations: pgSchema()}
	writer := options
	writer.Fallbacks = c.Replicas
	s = &pgShard{}
	if s.primary, err = pgdb.Open(ctx, c.Primary, writer); err != nil {
		return nil, nil, err
	}
	*opened = append(*opened, s.primary)
	if s.direct, err = postgres.New(ctx, s.primary); err != nil {
		return nil, nil, err
	}
	// Without the change feed a node would not hear of what others write, and serve it from its caches for as long as they hold it.
	if logical, err := s.primary.Logical(ctx); err != nil {
		return nil, nil, err
	} else if !logical {
		return nil, nil, errors.New("the database's change feed can't be followed: set wal_level = logical and restart the server")
	}
	if len(c.Replicas) == 0 {
		return s, s.direct, nil
	}
	if s.router, err = openRouter(ctx, c, options, n.log); err != nil {
		return nil, nil, err
	}
	*opened = append(*opened, s.router)
	return s, s.router, nil
}

// shardError names the shard where there are several.
func shardError(err error, i, of int) error {
	if of == 1 {
		return err
	}
	return fmt.Errorf("shard %d: %w", i, err)
}

// known is how far the shards have committed, as was last heard.
func (b *backend) known() (at position.Token) {
	for _, s := range b.shards {
		at = at.Raise(s.primary.Known())
	}
	return at
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
