package litedb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked says that another process owns a folder.
var ErrLocked = errors.New("another freshet uses this data folder")

// Lock is the ownership of a data folder. The system lets go of it when the
// process ends, however it ends.
type Lock struct{ f *os.File }

// LockFolder makes the folder if needed and takes its lock, or fails at once
// with [ErrLocked].
func LockFolder(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &Lock{f}, nil
}

// Unlock lets go of the folder.
func (l *Lock) Unlock() error { return l.f.Close() }
