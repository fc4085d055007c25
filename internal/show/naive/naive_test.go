package naive_test

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet/freshet/internal/show/naive"
)

// What checks the server must not be wrong in the same way as the server.
func TestItImportsTheStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	n := network(t,
		"followee,follower\nb,a\nc,a\nc,a\na,d\n",
		"author,text,created_at\nb,late,2020-01-01T00:00:09Z\nc,first of a second,2020-01-01T00:00:05Z\nb,second of it,2020-01-01T00:00:05Z\na,\"own,\nof two lines\",2020-01-01T00:00:07Z\ne,of a stranger,2020-01-01T00:00:08Z\n")
	if got := len(n.Users()); got != 5 || n.Follows() != 3 || n.Posts() != 5 {
		t.Errorf("%d users, %d follows, %d posts, want 5, 3, 5", got, n.Follows(), n.Posts())
	}
	for reader, want := range map[string][]string{
		"a":      {"late", "own,\nof two lines", "second of it", "first of a second"},
		"b":      {"late", "second of it"},
		"d":      {"own,\nof two lines"},
		"nobody": nil,
	} {
		var got []string
		for _, p := range n.Home(reader) {
			got = append(got, p.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("home of %s is %q, want %q", reader, got, want)
		}
	}
	if followers, following, posts := n.Counts("a"); followers != 1 || following != 2 || posts != 1 {
		t.Errorf("counts of a are %d, %d, %d, want 1, 2, 1", followers, following, posts)
	}
}

func network(t *testing.T, follows, posts string) *naive.Network {
	t.Helper()
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var n naive.Network
	if err := errors.Join(n.ReadFollows(write("f.csv", follows)), n.ReadPosts(write("p.csv", posts))); err != nil {
		t.Fatal(err)
	}
	n.Sort()
	return &n
}
