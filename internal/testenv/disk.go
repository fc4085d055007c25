package testenv

import (
	"os"
	"path/filepath"
)

// DiskDir returns a fresh folder on a file system that is backed by a disk, and
// removes it with the test. What is measured or killed there has really been
// written: in memory (tmpfs) an fsync costs nothing and proves nothing.
func DiskDir(t TB) string {
	t.Helper()
	candidates := []string{os.TempDir(), "/var/tmp", filepath.Join(ModuleRoot(t), "bin")}
	if cache, err := os.UserCacheDir(); err == nil {
		candidates = append(candidates, cache)
	}
	for _, parent := range candidates {
		if os.MkdirAll(parent, 0o755) != nil || inMemory(parent) {
			continue
		}
		if dir, err := os.MkdirTemp(parent, "freshet-disk-"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	t.Fatalf("find a folder on a disk: none of %q is both writable and not in memory\nhint: set TMPDIR to a folder on a disk", candidates)
	return ""
}
