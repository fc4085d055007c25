// Package pgdb is one PostgreSQL database: the pool, writes that know their position, retries, migrations. The adapters for
// PostgreSQL (store/postgres, jobs/postgres) stand on it.
//
//	db, err := pgdb.Open(ctx, "postgres://…", pgdb.Options{Migrations: …})
//	defer db.Close()
//	at, err := db.Write(ctx, pgdb.Call{SQL: "SELECT * FROM like_post($1, $2)", Args: []any{user, post}, Scan: scan})
//
// A write goes in one flight: its statements are one transaction, and behind them stands the question for the flushed
// position, which is asked after the commit:
//
//	client ── Bind Execute, Bind Execute, Sync, Bind Execute, Sync ──▶ server
//	          └── one transaction ───────────┘  └ pg_current_wal_flush_lsn
//
// Asked in the same transaction the position would stand before the commit record; the insert position can stand behind a
// page header that no replica reaches until somebody else writes.
//
// A Feed hears by logical replication what commits: what the functions of the database say of themselves (emit_change), and the
// rows that others wrote.
//
// What it keeps lies in the schema "freshet" of the database. It is not an ORM: the adapters own their SQL.
package pgdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet/freshet/position"
)

// Schema is where all tables and functions lie.
const Schema = "freshet"

// minVersion is the oldest server that works; tests set a later one.
var minVersion = 150000

// connectWithin bounds the making of a connection to one server, where its URL does not (connect_timeout): one that drops packets is to
// hold up a write no longer than a promotion may take.
const connectWithin = 2 * time.Second

// Options configures a database; the zero value works.
type Options struct {
	// Fallbacks are the URLs of the other servers of the same database. With them connections lead to whichever takes writes.
	Fallbacks  []string
	MaxConns   int // default: 4 per CPU, at least 16
	Migrations []Migrations
	// Now is the clock of writes. Default: the server's.
	Now func() time.Time
	// MaxFeedWAL bounds how much WAL a consumer of the change feed may keep, in bytes: beyond it its slot is dropped and it is
	// told ErrFeedLost. Default: 4 GiB.
	MaxFeedWAL int64
	// Log hears of slow statements; default: nobody. Slow is from when on one is; default 200 ms.
	Log  *slog.Logger
	Slow time.Duration
}

// DB is safe for concurrent use.
type DB struct {
	pool     *pgxpool.Pool
	opts     Options
	system   atomic.Uint64 // 0: not asked yet
	known    atomic.Pointer[position.Position]
	settled  atomic.Pointer[position.Position] // no commit up to here waits for a standby; see settle
	writable atomic.Bool                       // as was heard last
	name     string
	onClose  []func()    // of feeds
	full     atomic.Bool // a write found no room on the disk
	effects  atomic.Pointer[func()]
	slow     *slowLog
}

// Open is Connect and Prepare.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	d, err := Connect(ctx, url, o)
	if err != nil {
		return nil, err
	}
	if err := d.Prepare(ctx); err != nil {
		d.pool.Close()
		return nil, err
	}
	return d, nil
}

// Connect gives a database that may be down at the moment.
func Connect(ctx context.Context, url string, o Options) (*DB, error) {
	config, err := configOf(url, o)
	if err != nil {
		return nil, err
	}
	d := &DB{opts: o, slow: newSlowLog(o)}
	config.ConnConfig.Tracer = d.slow
	d.name = config.ConnConfig.Database
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to postgres: %w", err)
	}
	return d, nil
}

// Prepare checks that the database can be worked with and brings its schema up to date. A replica is taken as it is: its schema
// comes from the primary. ctx bounds that.
func (d *DB) Prepare(ctx context.Context) error {
	standby, err := d.check(ctx)
	if err != nil {
		return err
	}
	if !standby {
		if err := migrateAll(ctx, d.pool.Config().ConnConfig, d.opts.Migrations, nil); err != nil {
			return err
		}
	}
	_, err = d.Where(ctx)
	return err
}

func configOf(url string, o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store.shards: %w (want postgres://user:password@host:5432/database)", err)
	}
	setDefaults(config.ConnConfig.RuntimeParams)
	if o.MaxConns > 0 {
		config.MaxConns = int32(o.MaxConns)
	} else {
		config.MaxConns = max(config.MaxConns, 16)
	}
	for _, other := range o.Fallbacks {
		c, err := pgx.ParseConfig(other)
		if err != nil {
			return nil, fmt.Errorf("store.shards: %w", err)
		}
		config.ConnConfig.Fallbacks = append(config.ConnConfig.Fallbacks, &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig})
	}
	if len(o.Fallbacks) > 0 {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectWithin
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// A position is one of a commit only where the commit was flushed.
		_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
		return err
	}
	return config, nil
}

// setDefaults sets what every connection needs.
func setDefaults(params map[string]string) {
	params["search_path"] = Schema
	params["timezone"] = "UTC"
	if params["application_name"] == "" {
		params["application_name"] = "freshet"
	}
}

// check reads what the server is, and says what to do where it won't do.
func (d *DB) check(ctx context.Context) (standby bool, err error) {
	var version int
	var encoding string
	if err := d.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		pg_is_in_recovery()`).Scan(&version, &encoding, &standby); err != nil {
		return standby, explainConnect(err)
	}
	switch {
	case version < minVersion:
		err = fmt.Errorf("postgres is version %d.%d, and %d or later is needed: upgrade the server", version/10000, version%10000, minVersion/10000)
	case encoding != "UTF8":
		err = fmt.Errorf("the database's encoding is %s, and UTF8 is needed: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return standby, err
}

// Close ends the feeds and waits for the connections in use.
func (d *DB) Close() error {
	for _, end := range d.onClose {
		end()
	}
	d.pool.Close()
	return nil
}

// Pool is for what has no method here.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Now is the time that writes are given: nil for the server's own.
func (d *DB) Now() *time.Time {
	if d.opts.Now == nil {
		return nil
	}
	now := d.opts.Now()
	return &now
}

// OnEffects sets what is called after a commit that made effects; nil: nobody. It must not block.
func (d *DB) OnEffects(f func()) {
	if f == nil {
		d.effects.Store(nil)
		return
	}
	d.effects.Store(&f)
}

// Emitted says that a commit made effects.
func (d *DB) Emitted() {
	if f := d.effects.Load(); f != nil {
		(*f)()
	}
}

// Ready reports whether the database can be written. After a write for which the disk had no room it tries whether there is some
// now: a server whose disk is full answers all but that.
func (d *DB) Ready(ctx context.Context) error {
	at, err := d.Where(ctx)
	if err == nil && !at.Writable {
		d.pool.Reset()
		err = unavailable("the database is read-only at the moment", errors.New("the server is a replica: another may have been promoted"))
	}
	if err == nil && d.full.Load() {
		if _, err = d.pool.Exec(ctx, tryRoom); err == nil {
			d.full.Store(false)
		}
		err = explain(ctx, err)
	}
	return err
}

// tryRoom takes 1 MiB where the database's tables are, and gives it back.
const tryRoom = "CREATE TEMPORARY TABLE room ON COMMIT DROP AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)"

// noteFull notes a write that failed because a disk is full.
func (d *DB) noteFull(err error) {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "53100" {
		d.full.Store(true)
	}
}
