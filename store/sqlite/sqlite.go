// Package sqlite is the system of record in one SQLite file: the default that
// needs no server.
//
//	db, err := sqlite.Open(ctx, "freshet.db", sqlite.Options{})
//	defer db.Close()
//	user, at, err := db.CreateUser(ctx, freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
//	post, at, err := db.CreatePost(ctx, freshet.NewPost{Author: user.ID, Text: "hello"}, store.Write{})
//	refs, err := db.Home(ctx, user.ID, 0, 50)
//
// Writes that wait together share one fsync (see internal/litedb); each is one
// function that first reads, and decides, and then writes, because a write that
// fails before it has changed anything costs the others nothing.
//
// Invariants: a counter changes in the transaction of the fact it counts; what
// is mirrored (followers, blocked_by) changes with its original; each write adds
// its rows to the change feed. Verify checks the first two.
//
// A file may be one part of a store ([store.Part]). Then the other half of a
// follow or block may be in another file, and a row of mirrors, made in the same
// transaction, tells what has to be done there. Which buckets are elsewhere the
// writer knows by heart, and asks before it looks at a row: while buckets come or
// go ([store.BucketMover]) rows lie here that are not the truth.
//
// It is not a cache and filters nothing: what one user may see of another is
// decided by package social.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Options configures the file; the zero value works.
type Options = litedb.Options

// DB implements [store.Part] and the capabilities of a store on one file. Methods are
// safe for concurrent use.
type DB struct {
	file  *litedb.DB
	where whereabouts // the writer's own
	drops dropping
}

var (
	_ store.ChangeFeed   = (*DB)(nil)
	_ store.PartImporter = (*DB)(nil)
	_ store.Verifier     = (*DB)(nil)
	_ store.Backupper    = (*DB)(nil)
	_ store.Part         = (*DB)(nil)
	_ store.BucketMover  = (*DB)(nil)
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package; whoever opens the file runs them.
func Migrations() litedb.Migrations {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return litedb.Migrations{Owner: "social", Files: files}
}

// New serves a file that was opened with [Migrations]; the caller closes it. A file
// has one DB: it remembers what it wrote.
func New(file *litedb.DB) *DB { return &DB{file: file} }

// Open opens or makes a file that nobody else shares. Close ends it.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	o.Migrations = append([]litedb.Migrations{Migrations()}, o.Migrations...)
	file, err := litedb.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return New(file), nil
}

// Close commits what waits and closes the file.
func (d *DB) Close() error { return d.file.Close() }

// Ready reports whether the file can be read, its writer answers, and the last
// commit succeeded. It writes nothing itself: after a failure the next write that
// succeeds makes it ready.
func (d *DB) Ready(ctx context.Context) error {
	if err := d.file.Unwritable(); err != nil {
		return err
	}
	_, err := d.commit(ctx, func(t *tx) error {
		_, err := t.One("SELECT 1 FROM users LIMIT 1", nil, func(*litedb.Rows) {})
		return err
	})
	return err
}

// Backup copies the last commit into a new file.
func (d *DB) Backup(ctx context.Context, file string) error { return d.file.Backup(ctx, file) }

// tx is one write in progress.
type tx struct {
	*litedb.Tx
	d       *DB
	made    freshet.ID // what the write made, if that has an id by which it is found
	changed bool       // something is different from before
}

func (t *tx) change(kind store.ChangeKind, subject, object freshet.ID, also ...freshet.ID) error {
	t.changed = true
	return t.Change(uint8(kind), subject, object, also)
}

// exec is Exec for a statement whose count nobody wants.
func (t *tx) exec(query string, args ...any) error {
	_, err := t.Exec(query, args...)
	return err
}

// write runs op with what commits together with it: the claim is looked up
// before op and made after it, effects follow if op changed something. op may
// run more than once.
func (d *DB) write(ctx context.Context, w store.Write, op func(*tx) error) (position.Token, error) {
	at, err := d.commit(ctx, func(t *tx) error {
		if err := t.claimed(w.Idempotency); err != nil {
			return err
		}
		if err := op(t); err != nil {
			return err
		}
		if err := t.claim(w.Idempotency); err != nil {
			return err
		}
		if !t.changed {
			return nil
		}
		for _, e := range w.Effects {
			if err := t.Emit(e, t.made); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return position.Token{at}, nil
}

// commit is every write's way to the file. Where the file refuses it, the caller
// may try again later: that is not the caller's fault, nor ours.
func (d *DB) commit(ctx context.Context, op func(*tx) error) (position.Position, error) {
	at, err := d.file.Write(ctx, func(lt *litedb.Tx) error {
		t := tx{Tx: lt, d: d}
		if err := t.liftFence(); err != nil {
			return err
		}
		return op(&t)
	})
	if litedb.Raised(err) { // the guard of a move, see guard.go
		return at, store.ErrMoved
	}
	if errors.Is(err, litedb.ErrUnwritable) {
		err = &freshet.Error{
			Code: freshet.CodeUnavailable, Message: "the store can't be written at the moment",
			RetryAfter: 5 * time.Second, Err: err,
		}
	}
	return at, err
}
