package testenv_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/freshet/freshet/internal/testenv"
)

// TestShape checks, of the generated network and of the real one, what tests
// may rely on.
func TestShape(t *testing.T) {
	for name, open := range map[string]func(testenv.TB) string{"generated": testenv.GeneratedData, "at hand": testenv.RealData} {
		t.Run(name, func(t *testing.T) {
			dir := open(t)
			users := checkFollows(t, readCSV(t, filepath.Join(dir, testenv.FollowsFile)))
			checkPosts(t, readCSV(t, filepath.Join(dir, testenv.PostsFile)), users)
		})
	}
}

func checkFollows(t *testing.T, rows [][]string) (users map[string]bool) {
	t.Helper()
	if got := strings.Join(rows[0], ","); got != "follower,followee" {
		t.Errorf("header of follows: %q", got)
	}
	users = make(map[string]bool)
	followers, following := make(map[string]int), make(map[string]int)
	for _, r := range rows[1:] {
		following[r[0]]++
		followers[r[1]]++
		users[r[0]], users[r[1]] = true, true
	}
	within(t, "edges", len(rows)-1, 60_000, 80_000)
	within(t, "users with an edge", len(users), 9_000, 15_000)
	within(t, "most followers", most(followers), 300, 1_000)
	within(t, "most followed", most(following), 1_500, 5_000)
	return users
}

func checkPosts(t *testing.T, rows [][]string, users map[string]bool) {
	t.Helper()
	if got := strings.Join(rows[0], ","); got != "author,created_at,text" {
		t.Errorf("header of posts: %q", got)
	}
	has := make(map[string]bool)
	authors, perSecond := make(map[string]int), make(map[string]int)
	for i, r := range rows[1:] {
		authors[r[0]]++
		perSecond[r[1]]++
		if _, err := time.Parse(time.RFC3339, r[1]); err != nil {
			t.Fatalf("post %d: %v", i, err)
		}
		if !utf8.ValidString(r[2]) || r[2] == "" {
			t.Fatalf("post %d: text %q", i, r[2])
		}
		has["a line break"] = has["a line break"] || strings.Contains(r[2], "\n")
		has["right-to-left text"] = has["right-to-left text"] || strings.ContainsFunc(r[2], func(r rune) bool { return unicode.In(r, unicode.Arabic, unicode.Hebrew) })
		has["emoji"] = has["emoji"] || strings.ContainsFunc(r[2], func(r rune) bool { return r > 0x1F300 })
		has["a second with several posts"] = has["a second with several posts"] || perSecond[r[1]] > 1
		has["an author in the graph"] = has["an author in the graph"] || users[r[0]]
	}
	within(t, "posts", len(rows)-1, 10_000, 14_000)
	within(t, "authors", len(authors), 9_000, 13_000)
	for _, want := range []string{"a line break", "right-to-left text", "emoji", "a second with several posts", "an author in the graph"} {
		if !has[want] {
			t.Errorf("no post has %s", want)
		}
	}
}

func TestGeneratedDataIsTheSameEachTime(t *testing.T) {
	dir := testenv.GeneratedData(t)
	again, err := testenv.GenerateNetwork()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range again {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs the second time (%v)", name, err)
		}
	}
}

func TestRealDataAbsent(t *testing.T) {
	t.Setenv("FRESHET_REALDATA", t.TempDir())
	said := &recorder{TB: t}
	if dir := testenv.RealData(said); len(readCSV(t, filepath.Join(dir, testenv.PostsFile))) < 2 {
		t.Error("no posts")
	}
	if len(said.lines) != 1 || !strings.HasPrefix(said.lines[0], "real data: absent at ") {
		t.Errorf("said %q", said.lines)
	}
}

// TestRealDataAtHand: a folder that is named and whole is taken as it is.
func TestRealDataAtHand(t *testing.T) {
	dir := testenv.GeneratedData(t)
	t.Setenv("FRESHET_REALDATA", dir)
	if got := testenv.RealData(t); got != dir {
		t.Errorf("got %s, want %s", got, dir)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func within(t *testing.T, what string, got, low, high int) {
	t.Helper()
	t.Logf("%s: %d", what, got)
	if got < low || got > high {
		t.Errorf("%s: %d, want %d to %d", what, got, low, high)
	}
}

func most(counts map[string]int) (m int) {
	for _, n := range counts {
		m = max(m, n)
	}
	return m
}
