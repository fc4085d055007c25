package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// TestVerdicts runs the mutants of a small tree, one of each sort.
func TestVerdicts(t *testing.T) {
	var out bytes.Buffer
	ok, err := run(t.Context(), &out, fakeTree(t, nil), options{dir: "mutants", parallel: 2, timeout: 5 * time.Second})
	if err != nil || ok {
		t.Errorf("got %v, %v; want not all red, and no error", ok, err)
	}
	got := out.String()
	for name, want := range map[string]string{
		"a-red":              "red",
		"b-survives":         "SURVIVED",
		"c-does-not-compile": "BROKEN",
		"d-does-not-apply":   "BROKEN",
		"e-hangs":            "BROKEN",
		"f-may-hang":         "red",
		"g-copies":           "red",
	} {
		if row := regexp.MustCompile(`(?m)^` + name + ` .* ` + want + `$`); !row.MatchString(got) {
			t.Errorf("%s is not %s", name, want)
		}
	}
	for _, want := range []string{
		"c-does-not-compile: BROKEN\nit does not compile:", "undefined: lowest",
		"d-does-not-apply: BROKEN\nthe patch does not apply:",
		"e-hangs: BROKEN\nthe test hung for 5s",
		"\n7 mutants: 3 red, 1 survived, 3 broken\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestAllRed: that is success; the tree itself is left as it was.
func TestAllRed(t *testing.T) {
	root := fakeTree(t, nil)
	before, err := os.ReadFile(filepath.Join(root, "limit/limit.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ok, err := run(t.Context(), &out, root, options{dir: "mutants", only: regexp.MustCompile("^a-"), parallel: 2, timeout: time.Minute})
	if err != nil || !ok {
		t.Errorf("got %v, %v\n%s", ok, err, out.String())
	}
	if after, err := os.ReadFile(filepath.Join(root, "limit/limit.go")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the tree has changed (%v)", err)
	}
}

// TestRefused: what says nothing about guards ends the run before it begins.
func TestRefused(t *testing.T) {
	const diff = "--- a/x\n+++ b/x\n"
	for want, files := range map[string]map[string]string{
		"no mutants in mutants":                  {},
		`it needs a line "# guard: …"`:           {"mutants/x.patch": "# test: ./limit -run A\n" + diff},
		`a line "# gaurd: x"`:                    {"mutants/x.patch": "# gaurd: x\n" + diff},
		"names no package or has no -run":        {"mutants/x.patch": "# guard: x\n# test: ./limit\n" + diff},
		"one package, and flags":                 {"mutants/x.patch": "# guard: x\n# test: ./limit ./other -run A\n" + diff},
		"error parsing regexp":                   {"mutants/x.patch": "# guard: x\n# test: ./limit -run (\n" + diff},
		"no test is called ^TestGone$":           {"mutants/x.patch": "# guard: x\n# test: ./limit -run ^TestGone$\n" + diff},
		"is not green without any patch":         {"mutants/x.patch": "# guard: x\n# test: ./limit -run ^TestRed$\n" + diff, "limit/red_test.go": "package limit\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Error() }\n"},
		"./gone  is not green without any patch": {"mutants/x.patch": "# guard: x\n# test: ./gone -run A\n" + diff},
	} {
		files["mutants/a-red.patch"] = ""
		_, err := run(t.Context(), &bytes.Buffer{}, fakeTree(t, files), options{dir: "mutants", only: regexp.MustCompile("^x"), parallel: 1, timeout: time.Minute})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		run, test string
		want      bool
	}{
		{"^TestA$", "TestA", true},
		{"^TestA$", "TestA/sub", true},
		{"^TestA$", "TestAB", false},
		{"^TestA$/^sub$", "TestA/sub", true},
		{"^TestA$/^sub$", "TestA", false},
		{"^TestA$/^sub$", "TestA/other", false},
		{"^TestA$|^TestB$", "TestB", true},
		{"^TestA$/x|^TestB$/y", "TestB/y", true},
		{"^Test(A|B)$", "TestB", true},
		{"^Test[A|B]$", "TestB", true},
	} {
		if got := (mutant{run: c.run}).names(c.test); got != c.want {
			t.Errorf("-run %s names %s: %v", c.run, c.test, got)
		}
	}
}

// fakeTree writes the tree of testdata/fake.txtar and these files over it, under
// git but not committed.
func fakeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/fake.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(content)})
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("git", "init", "-q")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}
