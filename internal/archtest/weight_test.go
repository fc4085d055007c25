package archtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet/internal/archtest"
	"github.com/freshet/freshet/internal/testenv"
)

// mostModules is how many modules a program gets that imports only cache, this
// one included.
const mostModules = 6

// TestCacheIsLight builds a module of somebody else that imports only cache.
func TestCacheIsLight(t *testing.T) {
	modules := modulesOf(t, archtest.Module+"/cache")
	t.Log(strings.Join(modules, " "))
	for _, known := range []string{archtest.Module, "github.com/maypok86/otter/v2"} {
		if !slices.Contains(modules, known) {
			t.Errorf("%s is not counted", known)
		}
	}
	if len(modules) > mostModules {
		t.Errorf("importing cache brings %d modules, more than %d: %q", len(modules), mostModules, modules)
	}
}

// modulesOf compiles a module whose only import is that package and returns the
// modules that its build consists of, besides itself.
func modulesOf(t *testing.T, importPath string) []string {
	t.Helper()
	root, dir := testenv.ModuleRoot(t), t.TempDir()
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.sum":  string(sums),
		"main.go": fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", importPath),
		"go.mod": fmt.Sprintf("module example.test/user\n\ngo 1.26.0\n\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n",
			archtest.Module, root),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goCommand(t, dir, "build", "-mod=mod", "-o", os.DevNull, ".")
	out := goCommand(t, dir, "list", "-mod=mod", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	modules := strings.Fields(out)
	slices.Sort(modules)
	return slices.DeleteFunc(slices.Compact(modules), func(m string) bool { return m == "example.test/user" })
}

// goCommand runs the go command in a folder and returns what it prints.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
