package litedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// history is what a restored database must go beyond: its own past and that of
// the database it replaces.
type history struct{ timeline, millis int64 }

// Restore puts a backup in the place of the database at path, which must not
// be open, and keeps what stood there as path.replaced. The restored database
// is of a new timeline: positions from before no longer mean anything in it.
// A backup that is not sound, or of a later schema than sets (those that Open
// will be given), is refused.
//
// Whenever the machine dies, path is either the old database, complete, or the
// new one:
//
//	1  copy the backup into path.restore, on the next timeline, and sync it
//	2  fold the old log into the old file and close it, so that no log is left:
//	   SQLite would replay the log of the old file into the new one
//	3  link the old file as path.replaced too, and sync the folder
//	4  rename path.restore to path, and sync the folder
//
// An old database that can't be folded is left alone and named in the error.
func Restore(ctx context.Context, backup, path string, sets ...Migrations) error {
	past, err := inspect(backup, sets)
	if err != nil {
		return fmt.Errorf("restore %s: %w", backup, err)
	}
	old, exists, err := fold(path)
	if err != nil {
		return fmt.Errorf("restore over %s: %w: move it and its -wal away to restore into an empty place", path, err)
	}
	next := path + ".restore"
	if err := removeIfThere(next); err != nil {
		return err
	}
	if err := copyTo(ctx, backup, next); err != nil {
		return err
	}
	if err := begin(next, history{max(past.timeline, old.timeline), max(past.millis, old.millis)}); err != nil {
		return fmt.Errorf("restore %s: %w", backup, err)
	}
	if exists {
		if err := keep(path); err != nil {
			return fmt.Errorf("keep the replaced database: %w", err)
		}
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// inspect refuses what is no backup of ours.
func inspect(backup string, sets []Migrations) (h history, err error) {
	c, err := openConn(backup, "mode=ro", "query_only = ON")
	if err != nil {
		return h, err
	}
	defer c.close()
	var sound string
	if _, err := c.One("PRAGMA integrity_check(1)", nil, func(r *Rows) { sound = r.Text(0) }); err != nil || sound != "ok" {
		return h, fmt.Errorf("not a sound database: %w", errors.Join(err, errors.New(sound)))
	}
	if h, err = c.history(); err != nil {
		return h, fmt.Errorf("not a backup of freshet: %w", err)
	}
	for _, m := range append([]Migrations{base()}, sets...) {
		if err := c.knows(m); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (c *Conn) history() (h history, err error) {
	found, err := c.One("SELECT timeline, millis FROM meta", nil, func(r *Rows) {
		h = history{r.Int(0), r.Int(1)}
	})
	if err == nil && !found {
		err = errNoMeta
	}
	return h, err
}

// knows fails where the file is of a later schema than m.
func (c *Conn) knows(m Migrations) error {
	table := "migrations_" + m.Owner
	there, err := c.One("SELECT 1 FROM sqlite_master WHERE name = ?", []any{table}, func(*Rows) {})
	if err != nil || !there {
		return err
	}
	var have int64
	if _, err := c.One("SELECT max(version_id) FROM "+table, nil, func(r *Rows) { have = r.Int(0) }); err != nil {
		return err
	}
	want, err := m.last()
	if err == nil && have > want {
		err = errNewer(m.Owner, have, want)
	}
	return err
}

// fold brings the log of the old database into its file and removes the log.
func fold(path string) (h history, exists bool, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return h, false, noLog(path, "a log is left there without its database")
	} else if err != nil {
		return h, false, err
	}
	c, err := openConn(path, "mode=rw", "busy_timeout = 1000", "synchronous = FULL")
	if err != nil {
		return h, true, err
	}
	busy := false
	if h, err = c.history(); err == nil {
		_, err = c.One("PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r *Rows) { busy = r.Int(0) != 0 })
	}
	if busy {
		err = errInUse
	}
	if err = errors.Join(err, c.close()); err != nil {
		return h, true, err
	}
	return h, true, noLog(path, errInUse.Error()) // the last one to close a file removes its log
}

var errInUse = errors.New("somebody has it open")

func noLog(path, reason string) error {
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return errors.New(reason)
	}
	return removeIfThere(path + "-shm")
}

// begin puts a restored copy on a timeline of its own. Seconds since 1970 keep
// it new where the replaced database, of a later timeline than the backup, is lost.
func begin(path string, past history) error {
	c, err := openConn(path, "mode=rw", "journal_mode = DELETE", "synchronous = FULL")
	if err != nil {
		return err
	}
	return errors.Join(c.script(context.Background(), "UPDATE meta SET timeline = ?, millis = ?",
		max(past.timeline+1, time.Now().Unix()), past.millis), c.close())
}

func keep(path string) error {
	replaced := path + ".replaced"
	if err := removeIfThere(replaced); err != nil {
		return err
	}
	if err := os.Link(path, replaced); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

func copyTo(ctx context.Context, backup, file string) error {
	c, err := openConn(backup, "mode=ro")
	if err != nil {
		return err
	}
	defer c.close()
	return vacuumInto(ctx, c, file)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
