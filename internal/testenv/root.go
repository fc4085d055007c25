package testenv

import (
	"os"
	"path/filepath"
)

// ModuleRoot returns the folder of the go.mod that the working directory
// belongs to. A test runs in the folder of its package.
func ModuleRoot(t TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find the module's root: %v", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			t.Fatalf("find the module's root: no go.mod above %s", dir)
		}
	}
}

// tempDir makes a folder that other system users may pass through, as a server
// that runs under its own user must, and removes it with the test.
func tempDir(t TB, pattern string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		t.Fatalf("make a temporary folder: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("open a temporary folder to servers: %v", err)
	}
	return dir
}
