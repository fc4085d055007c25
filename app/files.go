package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store/sqlite"
)

func schema() []litedb.Migrations { return []litedb.Migrations{sqlite.Migrations()} }

// ErrNoData says that a folder holds no data of freshet.
var ErrNoData = errors.New("there is no data here")

// mustHold fails where the first of the store's parts is a file that is not there.
func mustHold(cfg *config.Config) error {
	name, ok := shardsOf(cfg)[0].File()
	if !ok {
		return nil
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, name)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", cfg.Data, ErrNoData)
	}
	return nil
}

// Restore puts a backup in the place of the data, which no process may be
// using. What was there is kept in the file it names, "" if there was nothing.
func Restore(ctx context.Context, cfg *config.Config, file string) (kept string, err error) {
	shards := shardsOf(cfg)
	name, embedded := shards[0].File()
	switch {
	case len(shards) > 1:
		return "", errors.New("restore: the store is several shards: put each back by itself, all of one moment")
	case !embedded:
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
	path := filepath.Join(cfg.Data, name)
	if _, err := os.Stat(path); err == nil {
		kept = path + ".replaced"
	}
	return kept, litedb.Restore(ctx, file, path, schema()...)
}

// PendingMigrations lists the steps that the data's schema lacks. The data may be in use.
func PendingMigrations(ctx context.Context, cfg *config.Config) (steps []string, err error) {
	steps = []string{}
	if err := mustHold(cfg); err != nil {
		return nil, err
	}
	shards := shardsOf(cfg)
	for i, s := range shards {
		if name, ok := s.File(); ok {
			path := filepath.Join(cfg.Data, name)
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				continue // it is new, and is made whole
			}
			pending, err := litedb.Pending(ctx, path, schema())
			if err != nil {
				return nil, shardError(err, i, len(shards))
			}
			for _, p := range pending {
				steps = append(steps, p.Owner+"/"+p.File)
			}
			continue
		}
		pending, err := pgdb.Pending(ctx, s.Primary, pgSchema())
		if err != nil {
			return nil, shardError(err, i, len(shards))
		}
		for _, p := range pending {
			steps = append(steps, p.Owner+"/"+p.File)
		}
	}
	return steps, nil
}

// Migrated is what Migrate did.
type Migrated struct {
	Steps  int      `json:"steps"`
	Backup []string `json:"backup,omitempty"` // copies of the files as they were
}

// Migrate brings the schema of every shard up to date, and reports each step. A file is copied before, if there is anything to do, and no
// process may be using it; a PostgreSQL database is not. Also what fails has done what it says.
func Migrate(ctx context.Context, cfg *config.Config, report func(step string)) (done Migrated, err error) {
	shards := shardsOf(cfg)
	if slices.ContainsFunc(shards, isFile) {
		lock, err := litedb.LockFolder(cfg.Data)
		if err != nil {
			return done, err
		}
		defer func() { err = errors.Join(err, lock.Unlock()) }()
	}
	step := func(owner, file string) {
		done.Steps++
		report(owner + "/" + file)
	}
	for i, s := range shards {
		name, ok := s.File()
		if !ok {
			err = pgdb.Migrate(ctx, s.Primary, pgSchema(), func(s pgdb.Step) { step(s.Owner, s.File) })
		} else {
			err = done.file(ctx, filepath.Join(cfg.Data, name), func(s litedb.Step) { step(s.Owner, s.File) })
		}
		if err != nil {
			return done, shardError(err, i, len(shards))
		}
	}
	return done, nil
}

func isFile(s config.Shard) bool {
	_, ok := s.File()
	return ok
}

// file brings one up to date.
func (m *Migrated) file(ctx context.Context, path string, report func(litedb.Step)) error {
	if _, err := os.Stat(path); err == nil {
		pending, err := litedb.Pending(ctx, path, schema())
		if err != nil || len(pending) == 0 {
			return err
		}
		saved := fmt.Sprintf("%s.before-migrate-%s", path, time.Now().UTC().Format("20060102T150405.000Z"))
		if err := litedb.Copy(ctx, path, saved); err != nil {
			return fmt.Errorf("keep what is there: %w", err)
		}
		m.Backup = append(m.Backup, saved)
	}
	return litedb.Migrate(ctx, path, schema(), report)
}
