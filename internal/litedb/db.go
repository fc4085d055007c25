// Package litedb is one SQLite file as freshet uses it: a lock on its folder,
// one writer with group commit, a pool of readers, the table of changes and the
// outbox of effects. It is the ground that the SQLite adapters of store and
// jobs share.
//
//	db, err := litedb.Open(ctx, path, litedb.Options{Migrations: schema})
//	at, err := db.Write(ctx, func(tx *litedb.Tx) error {
//		if _, err := tx.Exec("UPDATE users SET name = ? WHERE id = ?", name, id); err != nil {
//			return err
//		}
//		return tx.Change(userChanged, id, 0, nil)
//	})
//
// Writes that wait together commit together, with one fsync:
//
//	callers ──▶ queue ──▶ writer: BEGIN IMMEDIATE, op, op, op …, COMMIT ──▶ acknowledge all
//	                              (synchronous=FULL)       └─▶ OnCommit, feed wakes
//
// Invariants: a write is acknowledged only after its COMMIT returned; each
// transaction that changed something moves the position by one; the time and
// sequence of ids rise in the order of commits, over reopening too; a failed op
// leaves no trace and fails nobody else. Write functions may run more than once
// and must only touch the transaction and variables that they set anew each
// time. Where the disk itself fails, every write of the group fails, with
// [ErrUnwritable], and [DB.Unwritable] says so until a commit succeeds.
//
// It is not a port: its callers are adapters in this module.
package litedb

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Options configures a [DB]. The zero value works for a file without tables of
// its own.
type Options struct {
	Migrations []Migrations     // run in this order at Open, after litedb's own
	GroupMax   int              // writes in one commit at most; default 512
	QueueMax   int              // writes that wait at most, the next one blocks; default 4096
	Readers    int              // connections that read; default 2 x GOMAXPROCS, at least 4
	Now        func() time.Time // the clock that ids are drawn from; default time.Now
}

func (o Options) withDefaults() Options {
	if o.GroupMax <= 0 {
		o.GroupMax = 512
	}
	if o.QueueMax <= 0 {
		o.QueueMax = 4096
	}
	if o.Readers <= 0 {
		o.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrClosed is returned by every call on a closed [DB].
var ErrClosed = errors.New("litedb: closed")

// ErrUnwritable is wrapped by the error of a write that the file did not take,
// and of which nothing is kept: the disk is full, failing or read-only, or another
// program holds the file. That may pass, so the same write may succeed later.
var ErrUnwritable = errors.New("the file can't be written")

var errNoMeta = errors.New("the meta row is missing: not a file of freshet")

// Outboxed is an effect that committed: the row of a job.
type Outboxed struct {
	ID freshet.ID
	freshet.Effect
	CreatedAt time.Time
}

// DB is one open file. Its methods are safe for concurrent use.
type DB struct {
	path     string
	opts     Options
	system   uint64
	timeline uint32

	queue   chan *write
	pool    sync.Pool // of *write
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
	closed  error // of closing the connections

	tx       Tx           // the writer's own
	listened atomic.Bool  // the change feed has had a consumer
	offset   atomic.Int64 // of the last commit
	commits  atomic.Int64
	writes   atomic.Int64
	onCommit atomic.Pointer[func([]Outboxed)]
	refused  atomic.Pointer[error] // why the file did not take the last write; nil where it did

	readers chan *Conn // idle readers; nil stands for one not opened yet
	feed    feed
}

// Open opens or makes the file, brings its schema up to date and starts the
// writer. Close ends it.
func Open(ctx context.Context, path string, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	if err := Migrate(ctx, path, opts.Migrations, nil); err != nil {
		return nil, err
	}
	w, err := openConn(path, "", "busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL",
		"wal_autocheckpoint = 4000", "cache_size = -16000", "temp_store = MEMORY")
	if err != nil {
		return nil, err
	}
	d := &DB{
		path: path, opts: opts,
		queue:   make(chan *write, opts.QueueMax),
		closing: make(chan struct{}), stopped: make(chan struct{}),
		readers: make(chan *Conn, opts.Readers),
	}
	d.tx = Tx{Conn: w, db: d}
	w.watchRollback()
	for range opts.Readers {
		d.readers <- nil
	}
	found, err := w.One("SELECT system, timeline, position, millis, EXISTS (SELECT 1 FROM consumers) FROM meta", nil, func(r *Rows) {
		d.system, d.timeline = uint64(r.Int(0)), uint32(r.Int(1))
		d.offset.Store(r.Int(2))
		d.tx.ids.millis = r.Int(3)
		d.listened.Store(r.Int(4) != 0)
	})
	if err == nil && !found {
		err = errNoMeta
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d.tx.ids.sequence = freshet.Sequences - 1 // how far it went is not kept
	d.feed.init(d.offset.Load())
	go d.run()
	return d, nil
}

// Close commits what is queued, ends the writer and closes every connection.
// Reads in progress are waited for. Later calls give the same error.
func (d *DB) Close() error {
	d.once.Do(func() {
		close(d.closing)
		<-d.stopped
		d.feed.close()
		for range cap(d.readers) {
			if c := <-d.readers; c != nil {
				d.closed = errors.Join(d.closed, c.close())
			}
		}
		d.closed = errors.Join(d.closed, d.tx.close()) // last: it checkpoints and removes the log
	})
	return d.closed
}

// Position is where the last commit stands.
func (d *DB) Position() position.Position { return d.at(d.offset.Load()) }

func (d *DB) at(offset int64) position.Position {
	return position.Position{System: d.system, Timeline: d.timeline, Offset: uint64(offset)}
}

// OnCommit sets the function that hears of the effects of each commit, before
// the writes are acknowledged; nil ends it. It runs on the writer: it must not
// block, nor keep the slice. A commit in progress may still call the function
// that was set before.
func (d *DB) OnCommit(fn func([]Outboxed)) { d.onCommit.Store(&fn) }

// Counts tells how many transactions (each one fsync) and how many writes
// committed since Open.
func (d *DB) Counts() (commits, writes int64) { return d.commits.Load(), d.writes.Load() }

// Unwritable gives the error of the last commit, if it failed. A transaction that
// had nothing to write neither fails nor heals.
func (d *DB) Unwritable() error {
	if err := d.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// View reads with one connection of the pool, waiting for one until ctx ends.
// Each statement sees the last commit at its start. A ctx that ends while read
// runs ends its queries between two rows.
func (d *DB) View(ctx context.Context, read func(*Conn) error) error {
	select {
	case <-d.closing:
		return ErrClosed
	default:
	}
	var c *Conn
	select {
	case c = <-d.readers:
	case <-d.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if c != nil {
			c.tidy()
			c.ctx = nil
		}
		d.readers <- c
	}()
	if c == nil {
		var err error
		if c, err = openConn(d.path, "", "busy_timeout = 5000", "query_only = ON", "cache_size = -4000", "temp_store = MEMORY"); err != nil {
			return err
		}
	}
	c.ctx = ctx
	return read(c)
}

// Snapshot is View in one read transaction: every statement sees the same commit.
func (d *DB) Snapshot(ctx context.Context, read func(*Conn) error) error {
	return d.View(ctx, func(c *Conn) error {
		if err := c.run("BEGIN"); err != nil {
			return err
		}
		defer c.run("ROLLBACK")
		defer c.tidy()
		return read(c)
	})
}

// Backup writes a copy of the last commit into a new file, while reads and
// writes go on.
func (d *DB) Backup(ctx context.Context, file string) error {
	c, err := openConn(d.path, "", "busy_timeout = 5000")
	if err != nil {
		return err
	}
	defer c.close()
	return vacuumInto(ctx, c, file)
}
