package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
)

// records is what every store can do.
type records interface {
	store.Store
	store.Verifier
}

// backend is the store as the configuration chooses it, and what comes with it.
type backend struct {
	store     records
	databases []*database
	file      *litedb.DB   // the store, where it is one file; else nil
	feeds     []follow     // of each database
	split     *shard.Store // the store, where it has several parts
	systems   []uint64     // whose positions the tokens of clients bear
	opened    io.Closer
}

// shared reports whether other programs may write to the store.
func (b *backend) shared() bool {
	return slices.ContainsFunc(b.databases, func(d *database) bool { return d.file == nil })
}

// directory is the position of the directory that this node goes by; zero where the store has one part.
func (b *backend) directory() position.Position {
	if b.split == nil {
		return position.Position{}
	}
	d := b.split.Directory()
	return d.Position()
}

// position is how far the store has committed, as far as is known without asking.
func (b *backend) position() (at position.Token) {
	if b.file != nil { // asked by every request
		return position.Token{b.file.Position()}
	}
	for _, d := range b.databases {
		at = at.Raise(d.known())
	}
	return at.Raise(b.directory())
}

// newJobs makes the engine of all parts.
func (b *backend) newJobs(o jobs.Options, h map[string]jobs.Handler) jobs.Engine {
	if len(b.databases) == 1 {
		return b.databases[0].jobs(o, h)
	}
	var all jobs.Joined
	for _, d := range b.databases {
		all = append(all, d.jobs(o, h))
	}
	return all
}

// shardsOf are the parts of the store that a configuration names.
func shardsOf(cfg *config.Config) config.Shards {
	if len(cfg.Store.Shards) == 0 {
		return config.Embedded()
	}
	return cfg.Store.Shards
}

func (n *Node) openStore(ctx context.Context) (err error) {
	var opened closers
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.Close())
		}
	}()
	var databases []*database
	shards := shardsOf(n.cfg)
	for i, c := range shards {
		d, err := n.openDatabase(ctx, c, &opened)
		if err != nil {
			return shardError(err, i, len(shards))
		}
		databases = append(databases, d)
	}
	if n.backend, err = n.newBackend(ctx, databases, &opened); err != nil {
		return err
	}
	n.opened = opened
	return nil
}

// newBackend makes one store of databases that are open.
func (n *Node) newBackend(ctx context.Context, databases []*database, opened *closers) (b backend, err error) {
	if b.databases = databases; len(databases) == 1 {
		b.file = databases[0].file
	}
	parts := make([]store.Part, len(databases))
	for i, d := range databases {
		parts[i] = d.part()
		system, err := parts[i].System(ctx)
		if err != nil {
			return b, shardError(err, i, len(parts))
		}
		b.systems = append(b.systems, system)
	}
	b.store = parts[0].(records)
	if len(parts) == 1 {
		if err := n.undivided(ctx, parts[0]); err != nil {
			return b, err
		}
	} else {
		if b.split, err = shard.Open(ctx, parts, shard.Options{Log: n.log}); err != nil {
			return b, err
		}
		b.store, *opened = b.split, append(*opened, b.split)
		b.systems = append(b.systems, b.directory().System)
	}
	if b.shared() {
		if err := n.join(ctx, databases, opened); err != nil {
			return b, err
		}
	}
	for _, d := range databases {
		b.feeds = append(b.feeds, d.feed(n.id))
	}
	return b, nil
}

// join makes the node one of those that share the store.
func (n *Node) join(ctx context.Context, databases []*database, opened *closers) (err error) {
	first := slices.IndexFunc(databases, func(d *database) bool { return d.file == nil })
	held, err := n.holdTimelines(ctx, databases[first].primary)
	if err != nil {
		return err
	}
	*opened = append(*opened, releaser{held})
	n.id, err = nodeID(n.cfg.Data)
	return err
}

// undivided fails where a database is one of several that make a store. One to which all buckets have moved is the store from now on.
func (n *Node) undivided(ctx context.Context, p store.Part) error {
	d, err := p.Directory(ctx)
	if err != nil {
		return err
	}
	elsewhere, err := p.Elsewhere(ctx)
	if err != nil {
		return err
	}
	system, err := p.System(ctx)
	if err != nil {
		return err
	}
	switch {
	case elsewhere.Len() > 0 || slices.ContainsFunc(d.Owners[:], func(owner uint16) bool { return len(d.Parts) > 0 && d.Parts[owner] != system }):
		return errors.New("the database is one shard of several: name all of them in store.shards, in their order")
	case len(d.Parts) <= 1:
		return nil
	}
	alone, err := shard.Open(ctx, []store.Part{p}, shard.Options{Log: n.log}) // which leaves the others out of the directory
	if err != nil {
		return err
	}
	return alone.Close()
}

// backups copies the store where it is one file; else it is an error that says why not.
func (b *backend) backups() (store.Backupper, error) {
	if len(b.databases) > 1 {
		return nil, errors.New("the store is several shards, of which a copy is none of one moment: back each up by itself, files while no node runs")
	}
	if backups, ok := b.store.(store.Backupper); ok {
		return backups, nil
	}
	return nil, errors.New("the store is PostgreSQL: back it up with pg_dump or by what its servers have for it")
}

// serveFile has the node work on an embedded store that is open; who opened it closes it.
func (n *Node) serveFile(ctx context.Context, file *litedb.DB) (err error) {
	n.backend, err = n.newBackend(ctx, []*database{{file: file}}, new(closers))
	return err
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
