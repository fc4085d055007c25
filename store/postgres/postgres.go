// Package postgres is the system of record in a PostgreSQL database.
//
//	db, err := postgres.Open(ctx, "postgres://…", postgres.Options{})
//	defer db.Close()
//	user, at, err := db.CreateUser(ctx, freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
//	post, at, err := db.CreatePost(ctx, freshet.NewPost{Author: user.ID, Text: "hello"}, store.Write{})
//	refs, err := db.Home(ctx, user.ID, 0, 50)
//
// A write is one function of the database (migrations/00002_writes.sql), called in one flight with its claim and its effects;
// it locks, decides, changes. Reads of ids that come together become one query. Tokens bear the position that was flushed
// after the commit.
//
// Invariants: those of store/sqlite (a counter changes in the transaction of the fact it counts, what is mirrored changes with
// its original), and user_counts.head is the id of a user's newest post. Verify checks them. Times are kept to the
// microsecond. A text can't hold U+0000: that is refused as invalid.
//
// A database can hold some of the buckets, beside others that hold the rest ([store.Part]; migrations/00006_parts.sql and those
// after it), and give them away or take them while they are in use ([store.BucketMover]; migrations/00010_moves.sql). In one that
// holds all, a write looks into an empty table for where its users are: some microseconds.
//
// It is not a cache and filters nothing: what one user may see of another is decided by package social.
package postgres

import (
	"context"
	"embed"
	"errors"
	"hash/fnv"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Options configures the database; the zero value works.
type Options = pgdb.Options

// DB implements [store.Store] and its capabilities on one database. Methods are safe for concurrent use.
type DB struct {
	db       *pgdb.DB
	feed     *pgdb.Feed
	users    *joiner[freshet.User]
	posts    *joiner[freshet.Post]
	counts   *joiner[counted]
	comments *joiner[freshet.Comment]
	likes    *coalescer
	unlikes  *coalescer
	drops    dropping
}

var (
	_ store.Store        = (*DB)(nil)
	_ store.Part         = (*DB)(nil)
	_ store.PartImporter = (*DB)(nil)
	_ store.Verifier     = (*DB)(nil)
	_ store.ChangeFeed   = (*DB)(nil)

	_ store.BucketMover = (*DB)(nil)
)

//go:embed migrations/*.sql
var migrations embed.FS

// yearsAhead is for how many years from now on there are partitions of posts.
const yearsAhead = 4

// Migrations are the tables and functions of this package; whoever opens the database runs them.
func Migrations() pgdb.Migrations {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return pgdb.Migrations{Owner: "social", Files: files}
}

// New serves a database that was opened with [Migrations]; Close closes it.
func New(ctx context.Context, db *pgdb.DB) (*DB, error) {
	d := NewReplica(db)
	at, err := db.Where(ctx)
	if err == nil && at.Writable {
		_, err = db.Write(ctx, pgdb.Call{SQL: "SELECT ensure_partitions($1)", Args: []any{yearsAhead}})
	}
	return d, err
}

// NewReplica serves a database that may be a replica, or down at the moment.
func NewReplica(db *pgdb.DB) *DB {
	d := &DB{db: db, feed: db.NewFeed(pgdb.FeedOptions{Publication: "freshet", Derive: derive})}
	d.likes, d.unlikes = &coalescer{db: db, on: true}, &coalescer{db: db}
	d.users = newJoiner(db, usersByID, scanUser, func(u freshet.User) freshet.ID { return u.ID })
	d.posts = newJoiner(db, postsByID, scanPost, func(p freshet.Post) freshet.ID { return p.ID })
	d.counts = newJoiner(db, countsByID, scanCounts, func(c counted) freshet.ID { return c.id })
	d.comments = newJoiner(db, commentsByID, scanComment, func(c freshet.Comment) freshet.ID { return c.ID })
	return d
}

// Where is how far the database is, and whether it takes writes.
func (d *DB) Where(ctx context.Context) (at position.Position, writable bool, err error) {
	w, err := d.db.Where(ctx)
	return w.At, w.Writable, err
}

// Known is how far the database is at least, as it was last heard: asked for, or with the answer of a read or a write.
func (d *DB) Known() position.Position { return d.db.Known() }

// Forget ends the connections that nobody uses, because they may lead to who was the primary.
func (d *DB) Forget() { d.db.Pool().Reset() }

// Open connects to a database and brings its schema up to date. Close ends the connections.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	o.Migrations = append([]pgdb.Migrations{Migrations()}, o.Migrations...)
	db, err := pgdb.Open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	d, err := New(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// Close waits for what is under way and ends the connections.
func (d *DB) Close() error { return d.db.Close() }

// Ready reports whether the database can be read and written.
func (d *DB) Ready(ctx context.Context) error { return d.db.Ready(ctx) }

// write calls functions of the database with what commits together with them.
func (d *DB) write(ctx context.Context, w store.Write, functions ...pgdb.Call) (position.Token, error) {
	calls, now := make([]pgdb.Call, 0, 3+len(functions)+len(w.Effects)), d.db.Now()
	if id := w.Idempotency; id != nil {
		calls = append(calls, pgdb.Call{SQL: "SELECT claim_key($1, $2, $3)", Args: []any{id.Key[:], id.Hash[:], now}})
	}
	calls = append(calls, functions...)
	emitted := false
	for _, e := range w.Effects {
		if e.Kind == "" {
			return nil, errors.New("postgres: an effect without a kind")
		}
		calls = append(calls, pgdb.Call{
			SQL:  "SELECT emit_effect($1, $2, $3, $4, $5, $6, $7)",
			Args: []any{e.Kind, e.Key, int64(e.Subject), e.Args, orNull(e.RunAt), e.Unique, now},
			Scan: func(r pgx.Rows) error {
				var made bool
				err := r.Scan(&made)
				emitted = emitted || made
				return err
			},
		})
	}
	if id := w.Idempotency; id != nil {
		calls = append(calls, pgdb.Call{SQL: "SELECT keep_claim($1)", Args: []any{id.Key[:]}})
	}
	at, err := d.db.Write(ctx, calls...)
	if err != nil {
		return nil, portError(err)
	}
	if emitted {
		d.db.Emitted()
	}
	return position.Token{at}, nil
}

// portError is what the ports call what the database has refused.
func portError(err error) error {
	for refused, told := range map[error]error{
		pgdb.ErrClaimed: store.ErrClaimed, pgdb.ErrMoved: store.ErrMoved, pgdb.ErrTerm: store.ErrTerm, pgdb.ErrFenceOver: store.ErrFenceOver,
		pgdb.ErrPrivate: store.ErrPrivate,
	} {
		if errors.Is(err, refused) {
			return told
		}
	}
	return err
}

// row is the Scan of a call that returns one row.
func row[T any](out *T, scan func(pgx.Rows) (T, error)) func(pgx.Rows) error {
	return func(r pgx.Rows) (err error) {
		*out, err = scan(r)
		return err
	}
}

// gather makes the call's rows a list.
func gather[T any](out *[]T, scan func(pgx.Rows) (T, error), call pgdb.Call) pgdb.Call {
	call.Begin = func() { *out = nil }
	call.Scan = func(r pgx.Rows) error {
		v, err := scan(r)
		*out = append(*out, v)
		return err
	}
	return call
}

// list reads all rows of a query.
func list[T any](ctx context.Context, d *DB, scan func(pgx.Rows) (T, error), query string, args ...any) (out []T, err error) {
	err = d.db.Read(ctx, query, args, func(r pgx.Rows) error {
		v, err := scan(r)
		out = append(out, v)
		return err
	})
	return out, err
}

// get reads the row of a query that finds one at most.
func get[T any](ctx context.Context, d *DB, what string, scan func(pgx.Rows) (T, error), query string, args ...any) (v T, err error) {
	found, err := list(ctx, d, scan, query, args...)
	if err == nil && len(found) == 0 {
		err = freshet.NotFound(what)
	}
	if err != nil {
		return v, err
	}
	return found[0], nil
}

func scanID(r pgx.Rows) (id freshet.ID, err error) {
	err = r.Scan((*int64)(&id))
	return id, err
}

// instant scans a time that may be NULL, which is the zero time.
type instant struct{ to *time.Time }

// Scan implements sql.Scanner.
func (i instant) Scan(src any) error {
	*i.to = time.Time{}
	if t, ok := src.(time.Time); ok {
		*i.to = t.UTC()
	}
	return nil
}

// orNull keeps the zero time as NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// from makes the start of a falling list a bound above every id.
func from(before freshet.ID) int64 {
	if before == 0 {
		return math.MaxInt64
	}
	return int64(before)
}

// numbers are ids as the driver takes them.
func numbers(ids []freshet.ID) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}

// toIDs is the way back.
func toIDs(list []int64) []freshet.ID {
	if len(list) == 0 {
		return nil
	}
	out := make([]freshet.ID, len(list))
	for i, n := range list {
		out[i] = freshet.ID(n)
	}
	return out
}

// bucketOf chooses the bucket of what is known by name.
func bucketOf(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % freshet.Buckets)
}

// handleKey is a handle as the table of handles knows it.
func handleKey(handle string) string { return strings.ToLower(handle) }
