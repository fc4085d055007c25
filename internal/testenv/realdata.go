package testenv

import (
	"os"
	"path/filepath"
)

// The two files of a data folder.
const (
	FollowsFile = "follows.csv.gz" // follower,followee
	PostsFile   = "posts.csv.gz"   // author,created_at,text
)

// RealData returns a folder with [FollowsFile] and [PostsFile]: that of a real
// network where it is at hand (FRESHET_REALDATA, or ../shared/data beside the
// module), else a generated one of the same shape, which it says in one line.
// A test reads both alike and asserts only what holds of either.
func RealData(t TB) string {
	t.Helper()
	dir := os.Getenv("FRESHET_REALDATA")
	if dir == "" {
		dir = filepath.Join("..", "shared", "data")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(ModuleRoot(t), dir)
	}
	if isFile(filepath.Join(dir, FollowsFile)) && isFile(filepath.Join(dir, PostsFile)) {
		return dir
	}
	t.Logf("real data: absent at %s: this is a generated network of the same shape", dir)
	return GeneratedData(t)
}

// GeneratedData returns a folder with the generated network, always the same.
func GeneratedData(t TB) string {
	t.Helper()
	files, err := network()
	if err != nil {
		t.Fatalf("generate a network: %v", err)
	}
	dir := tempDir(t, "freshet-data-")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatalf("write the generated network: %v", err)
		}
	}
	return dir
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
