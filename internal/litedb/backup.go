package litedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// vacuumInto writes a compact copy of what c sees into a new file, or none.
func vacuumInto(ctx context.Context, c *Conn, file string) error {
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("write %s: the file exists", file)
	}
	tmp := file + ".partial"
	if err := removeIfThere(tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if err := c.script(ctx, "VACUUM INTO ?", tmp); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := syncPath(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return err
	}
	return syncPath(filepath.Dir(file))
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Copy writes a copy of the database at path, which must not be open, into a
// new file, without bringing its schema up to date.
func Copy(ctx context.Context, path, file string) error { return copyTo(ctx, path, file) }
