package pgdb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var own embed.FS

// Migrations is one owner's sequence of goose files. Owners number their files independently.
type Migrations struct {
	Owner string // part of a table's name: letters only
	Files fs.FS  // *.sql at the top
}

// Step is one migration that a database lacks or that was just run.
type Step struct {
	Owner string
	File  string
}

// migrating is the advisory lock of whoever migrates: "freshet" in ASCII.
const migrating = 0x66726573686574

// Migrate brings a database's schema up to date, pgdb's own first, and reports each step as it is done. Processes that start
// together take turns. A schema of a later version than this program knows is an error.
func Migrate(ctx context.Context, url string, sets []Migrations, report func(Step)) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	setDefaults(config.RuntimeParams)
	return migrateAll(ctx, config, sets, report)
}

func migrateAll(ctx context.Context, config *pgx.ConnConfig, sets []Migrations, report func(Step)) error {
	db := stdlib.OpenDB(*config)
	defer db.Close()
	lock, err := db.Conn(ctx)
	if err != nil {
		return explainConnect(err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrating); err != nil {
		return err
	}
	defer lock.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrating)
	if err := prepare(ctx, lock); err != nil {
		return explainConnect(err)
	}
	all, err := withOwn(sets)
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := migrate(ctx, db, m, report); err != nil {
			return fmt.Errorf("migrate %s: %w", m.Owner, err)
		}
	}
	return nil
}

// prepare makes the schema, unless it belongs to something else.
func prepare(ctx context.Context, conn *sql.Conn) error {
	var schema, ours bool
	err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
		to_regclass($1 || '.migrations_base') IS NOT NULL OR NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1)`,
		Schema).Scan(&schema, &ours)
	if err != nil {
		return err
	}
	if !ours {
		return fmt.Errorf("the database has a schema %q with tables that are not freshet's: name another database in store.shards", Schema)
	}
	if !schema {
		_, err = conn.ExecContext(ctx, "CREATE SCHEMA "+Schema)
	}
	return err
}

func migrate(ctx context.Context, db *sql.DB, m Migrations, report func(Step)) error {
	versions, err := database.NewStore(database.DialectPostgres, "migrations_"+m.Owner)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider("", db, m.Files, goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if have, want, err := p.GetVersions(ctx); err != nil {
		return err
	} else if have > want {
		return fmt.Errorf("the schema is of version %d, this program knows %d: use a later freshet", have, want)
	}
	for {
		result, err := p.UpByOne(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		if err != nil {
			return err
		}
		if report != nil {
			report(Step{m.Owner, filepath.Base(result.Source.Path)})
		}
	}
}

// Pending lists the steps that Migrate would run.
func Pending(ctx context.Context, url string, sets []Migrations) (steps []Step, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	setDefaults(config.RuntimeParams)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	all, err := withOwn(sets)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		done := make(map[int64]bool)
		var there bool
		table := Schema + ".migrations_" + m.Owner
		if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil {
			return nil, explainConnect(err)
		}
		if there {
			rows, err := db.QueryContext(ctx, "SELECT version_id FROM "+table+" WHERE is_applied")
			if err != nil {
				return nil, err
			}
			for rows.Next() {
				var version int64
				if err := rows.Scan(&version); err != nil {
					return nil, errors.Join(err, rows.Close())
				}
				done[version] = true
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return nil, err
			}
		}
		names, err := fs.Glob(m.Files, "*.sql")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			version, err := goose.NumericComponent(name)
			if err != nil {
				return nil, err
			}
			if !done[version] {
				steps = append(steps, Step{m.Owner, name})
			}
		}
	}
	return steps, nil
}

// withOwn puts pgdb's own sequence before the others.
func withOwn(sets []Migrations) ([]Migrations, error) {
	files, err := fs.Sub(own, "migrations")
	return append([]Migrations{{Owner: "base", Files: files}}, sets...), err
}
