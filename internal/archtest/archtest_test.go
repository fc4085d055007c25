package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/freshet/freshet/internal/archtest"
	"github.com/freshet/freshet/internal/testenv"
)

// TestTree holds this module to the rules.
func TestTree(t *testing.T) {
	tree, err := archtest.Load(os.DirFS(testenv.ModuleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range archtest.Rules {
		t.Run(rule.Name, func(t *testing.T) {
			violations := rule.Broken(tree)
			for _, v := range violations {
				t.Error(v)
			}
			if len(violations) > 0 {
				t.Log("why: " + rule.Why)
			}
		})
	}
}

// TestRules shows each rule a small tree, testdata/<rule>.txtar, that breaks it
// and keeps to it in as many ways as matter; its file want has what the rule
// says of it.
func TestRules(t *testing.T) {
	swap(t, &archtest.Skips, nil)
	for _, rule := range archtest.Rules {
		if rule.Name == "lines" {
			continue // TestLines: six hundred lines are no testdata
		}
		t.Run(rule.Name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			files := make(fstest.MapFS)
			for _, f := range archive.Files {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			want := string(files["want"].Data)
			if got := broken(t, rule, files); got != want || want == "" {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	lines := func(n int) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package feed\n" + strings.Repeat("\n", n-1))}
	}
	files := fstest.MapFS{
		"feed/just.go":      lines(archtest.MaxLines),
		"feed/long.go":      lines(archtest.MaxLines + 1),
		"feed/long_test.go": lines(archtest.MaxLines + 1),
		"feed/excepted.go":  lines(archtest.MaxLines + 1),
		"feed/was.go":       lines(1),
	}
	swap(t, &archtest.LongFiles, map[string]string{"feed/excepted.go": "a table", "feed/was.go": "was a table", "feed/gone.go": "was there"})
	want := "feed/gone.go: is short enough: take it off LongFiles\n" +
		"feed/long.go: 601 lines, more than 600\nfeed/was.go: is short enough: take it off LongFiles\n"
	if got := broken(t, ruleCalled(t, "lines"), files); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestExceptedSkip(t *testing.T) {
	files := fstest.MapFS{"feed/a_test.go": {Data: []byte("package feed\nfunc TestA(t *T) { t.Skip() }\nfunc TestB(t *T) { t.Skip() }\nfunc TestC(t *T) {}\n")}}
	swap(t, &archtest.Skips, map[string]string{"feed/a_test.go: TestA": "another process of it", "feed/a_test.go: TestC": "it skipped once"})
	want := "feed/a_test.go: TestC: skips nothing: take it off Skips\n" +
		"feed/a_test.go:3: skips a test: let it fail or do less (testenv.Size)\n"
	if got := broken(t, ruleCalled(t, "skips"), files); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// TestDependenciesPageMissing: without the page nothing is named.
func TestDependenciesPageMissing(t *testing.T) {
	if got := broken(t, ruleCalled(t, "dependencies"), fstest.MapFS{}); !strings.Contains(got, "docs/dependencies.md: cannot be read") {
		t.Errorf("got %q", got)
	}
}

// broken returns what a rule says of a tree, a line each.
func broken(t *testing.T, rule archtest.Rule, files fstest.MapFS) string {
	t.Helper()
	tree, err := archtest.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, v := range rule.Broken(tree) {
		lines.WriteString(v.String() + "\n")
	}
	return lines.String()
}

func ruleCalled(t *testing.T, name string) archtest.Rule {
	t.Helper()
	for _, r := range archtest.Rules {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no rule called %s", name)
	return archtest.Rule{}
}

// swap puts another list of exceptions in place for the time of a test.
func swap(t *testing.T, list *map[string]string, other map[string]string) {
	before := *list
	*list = other
	t.Cleanup(func() { *list = before })
}
