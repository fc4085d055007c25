package testenv

import (
	"os"
	"path/filepath"
	"sync"
)

// Prepared is a file that many tests of a process begin with: made once, then
// copied. An empty SQLite store takes a second to migrate under the race
// detector, and no time to copy. The zero value is ready; it may be used by
// several goroutines at once.
type Prepared struct {
	once    sync.Once
	content []byte
	err     error
}

// Put puts a copy of what fill writes at path, where nothing is yet.
func (p *Prepared) Put(t Fataler, path string, fill func(path string) error) {
	t.Helper()
	p.once.Do(func() {
		dir, err := os.MkdirTemp("", "freshet-prepared-")
		if err != nil {
			p.err = err
			return
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "file")
		if p.err = fill(file); p.err == nil {
			p.content, p.err = os.ReadFile(file)
		}
	})
	if p.err == nil {
		if err := os.WriteFile(path, p.content, 0o600); err != nil {
			t.Fatalf("put a prepared file: %v", err)
		}
		return
	}
	t.Fatalf("prepare a file: %v", p.err)
}

// Fataler is the part of [TB] that [Prepared.Put] needs.
type Fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}
