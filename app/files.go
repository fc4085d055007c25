package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store/sqlite"
)

func schema() []litedb.Migrations { return []litedb.Migrations{sqlite.Migrations()} }

// ErrNoData says that a folder holds no data of freshet.
var ErrNoData = errors.New("there is no data here")

func mustHold(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, ErrNoData)
	}
	return nil
}

// Restore puts a backup in the place of the data, which no process may be
// using. What was there is kept in the file it names, "" if there was nothing.
func Restore(ctx context.Context, cfg *config.Config, file string) (kept string, err error) {
	if len(cfg.Store.Shards) > 0 {
		return "", errors.New("restore: the store is PostgreSQL: use pg_restore, or what its servers have for it")
	}
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("restore: %w", err)
	}
	lock, err := litedb.LockFolder(cfg.Data)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	path := filepath.Join(cfg.Data, databaseFile)
	if _, err := os.Stat(path); err == nil {
		kept = path + ".replaced"
	}
	return kept, litedb.Restore(ctx, file, path, schema()...)
}

// PendingMigrations lists the steps that the data's schema lacks. The data may be in use.
func PendingMigrations(ctx context.Context, cfg *config.Config) (steps []string, err error) {
	if len(cfg.Store.Shards) > 0 {
		pending, err := pgdb.Pending(ctx, cfg.Store.Shards[0].Primary, pgSchema())
		for _, s := range pending {
			steps = append(steps, s.Owner+"/"+s.File)
		}
		return steps, err
	}
	path := filepath.Join(cfg.Data, databaseFile)
	if err := mustHold(cfg.Data); err != nil {
		return nil, err
	}
	pending, err := litedb.Pending(ctx, path, schema())
	steps = make([]string, 0, len(pending))
	for _, s := range pending {
		steps = append(steps, s.Owner+"/"+s.File)
	}
	return steps, err
}

// Migrate brings the schema up to date, after a backup if there is anything to
// do, and reports each step. No process may be using the data. A PostgreSQL store is not backed up before.
func Migrate(ctx context.Context, cfg *config.Config, report func(step string)) (done int, saved string, err error) {
	if len(cfg.Store.Shards) > 0 {
		return done, "", pgdb.Migrate(ctx, cfg.Store.Shards[0].Primary, pgSchema(), func(s pgdb.Step) {
			done++
			report(s.Owner + "/" + s.File)
		})
	}
	lock, err := litedb.LockFolder(cfg.Data)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	path := filepath.Join(cfg.Data, databaseFile)
	if _, statErr := os.Stat(path); statErr == nil {
		pending, err := litedb.Pending(ctx, path, schema())
		if err != nil || len(pending) == 0 {
			return 0, "", err
		}
		saved = fmt.Sprintf("%s.before-migrate-%s", path, time.Now().UTC().Format("20060102T150405.000Z"))
		if err := litedb.Copy(ctx, path, saved); err != nil {
			return 0, "", fmt.Errorf("keep what is there: %w", err)
		}
	}
	return done, saved, litedb.Migrate(ctx, path, schema(), func(s litedb.Step) {
		done++
		report(s.Owner + "/" + s.File)
	})
}
