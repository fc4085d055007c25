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
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet/freshet/position"
)

// Schema is where all tables and functions lie.
const Schema = "freshet"

// minVersion is the oldest server that works.
const minVersion = 150000

// Options configures a database; the zero value works.
type Options struct {
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
	pool    *pgxpool.Pool
	url     string
	opts    Options
	system  uint64
	name    string
	onClose []func() // of feeds
	effects atomic.Pointer[func()]
	slow    *slowLog
}

// Open connects, brings the schema up to date and checks that the database can be worked with. ctx bounds that.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	config, err := configOf(url, o)
	if err != nil {
		return nil, err
	}
	d := &DB{url: url, opts: o, slow: newSlowLog(o)}
	config.ConnConfig.Tracer = d.slow
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to postgres: %w", err)
	}
	if err := d.check(ctx); err != nil {
		d.pool.Close()
		return nil, err
	}
	if err := Migrate(ctx, url, o.Migrations, nil); err != nil {
		d.pool.Close()
		return nil, err
	}
	return d, nil
}

func configOf(url string, o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store.url: %w (want postgres://user:password@host:5432/database)", err)
	}
	setDefaults(config.ConnConfig.RuntimeParams)
	if o.MaxConns > 0 {
		config.MaxConns = int32(o.MaxConns)
	} else {
		config.MaxConns = max(config.MaxConns, 16)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
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
func (d *DB) check(ctx context.Context) error {
	var version int
	var system int64
	var encoding string
	err := d.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, system_identifier, current_setting('server_encoding'),
		current_database() FROM pg_control_system()`).Scan(&version, &system, &encoding, &d.name)
	if err != nil {
		return explainConnect(err)
	}
	switch {
	case version < minVersion:
		return fmt.Errorf("postgres is version %d.%d, and 15 or later is needed: upgrade the server", version/10000, version%10000)
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s, and UTF8 is needed: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	d.system = uint64(system)
	return nil
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

// positionQuery asks for the timeline by the name of a WAL file, since the control file tells it as of the last checkpoint.
const positionQuery = `SELECT (lsn - '0/0')::bigint, ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::bigint
	FROM (SELECT pg_current_wal_flush_lsn() AS lsn) AS at`

// Position is up to where the database has committed, durably, at least.
func (d *DB) Position(ctx context.Context) (at position.Position, err error) {
	err = d.Read(ctx, positionQuery, nil, func(r pgx.Rows) error { return d.scanPosition(r, &at) })
	return at, err
}

func (d *DB) scanPosition(r pgx.Rows, at *position.Position) error {
	var lsn, timeline int64
	if err := r.Scan(&lsn, &timeline); err != nil {
		return err
	}
	*at = position.Position{System: d.system, Timeline: uint32(timeline), Offset: uint64(lsn)}
	return nil
}

// Ready reports whether the database can be written.
func (d *DB) Ready(ctx context.Context) error {
	readOnly := false
	err := d.Read(ctx, "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool", nil,
		func(r pgx.Rows) error { return r.Scan(&readOnly) })
	if err == nil && readOnly {
		d.pool.Reset()
		err = unavailable("the database is read-only at the moment", errors.New("the server is a replica: another may have been promoted"))
	}
	return err
}

// Read runs a query and calls scan for each row. A query that failed because of a schema change since it was prepared, or of
// a connection that ended before it was sent, runs once more; scan has seen nothing by then.
func (d *DB) Read(ctx context.Context, query string, args []any, scan func(pgx.Rows) error) error {
	for try := 0; ; try++ {
		seen := false
		err := d.read(ctx, query, args, func(r pgx.Rows) error {
			seen = true
			return scan(r)
		})
		if err == nil || seen || try > 0 || !again(err) {
			return explain(ctx, err)
		}
	}
}

func (d *DB) read(ctx context.Context, query string, args []any, scan func(pgx.Rows) error) error {
	rows, err := d.pool.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
