package cache

import (
	"io"
	"os"
)

// journalDisk is what a journal writes through. Tests put one in its place that fails, or forgets what was not synced.
type journalDisk interface {
	Create(path string) (journalFile, error)
	Rename(from, to string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
}

type journalFile interface {
	io.WriteCloser
	Sync() error
}

// osDisk is the disk of this machine.
type osDisk struct{}

func (osDisk) Create(path string) (journalFile, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
