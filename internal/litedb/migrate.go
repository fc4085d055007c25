package litedb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var own embed.FS

// Migrations is one owner's sequence of goose files. Owners number their files
// independently.
type Migrations struct {
	Owner string // part of a table's name: letters only
	Files fs.FS  // *.sql at the top
}

// Step is one migration that a file lacks or that was just run.
type Step struct {
	Owner string
	File  string
}

// Migrate brings a file's schema up to date, litedb's own first, and reports
// each step as it is done. A file of a later version than this program knows is
// an error.
func Migrate(ctx context.Context, path string, sets []Migrations, report func(Step)) error {
	return eachProvider(path, sets, func(owner string, p *goose.Provider) error {
		for {
			res, err := p.UpByOne(ctx)
			if errors.Is(err, goose.ErrNoNextVersion) {
				return newer(ctx, owner, p)
			}
			if err != nil {
				return fmt.Errorf("migrate %s: %w", path, err)
			}
			if report != nil {
				report(Step{owner, filepath.Base(res.Source.Path)})
			}
		}
	})
}

// Pending lists the steps that Migrate would run.
func Pending(ctx context.Context, path string, sets []Migrations) (steps []Step, err error) {
	err = eachProvider(path, sets, func(owner string, p *goose.Provider) error {
		all, err := p.Status(ctx)
		for _, s := range all {
			if s.State == goose.StatePending {
				steps = append(steps, Step{owner, filepath.Base(s.Source.Path)})
			}
		}
		return err
	})
	return steps, err
}

func newer(ctx context.Context, owner string, p *goose.Provider) error {
	have, want, err := p.GetVersions(ctx)
	if err == nil && have > want {
		err = errNewer(owner, have, want)
	}
	return err
}

func errNewer(owner string, have, want int64) error {
	return fmt.Errorf("the %s schema is of version %d, this program knows %d: use a later freshet", owner, have, want)
}

// base is litedb's own sequence.
func base() Migrations {
	files, err := fs.Sub(own, "migrations")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return Migrations{Owner: "base", Files: files}
}

// last is the highest version of a sequence.
func (m Migrations) last() (version int64, err error) {
	names, err := fs.Glob(m.Files, "*.sql")
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		version = max(version, n)
	}
	return version, err
}

func eachProvider(path string, sets []Migrations, do func(owner string, p *goose.Provider) error) error {
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("open database: %w", err)
	} else {
		f.Close()
	}
	db, err := sql.Open("sqlite", uri(path, "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, m := range append([]Migrations{base()}, sets...) {
		versions, err := database.NewStore(database.DialectSQLite3, "migrations_"+m.Owner)
		if err != nil {
			return err
		}
		p, err := goose.NewProvider("", db, m.Files, goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return fmt.Errorf("read %s migrations: %w", m.Owner, err)
		}
		if err := do(m.Owner, p); err != nil {
			return err
		}
	}
	return nil
}
