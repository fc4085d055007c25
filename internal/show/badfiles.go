package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// badFile is a CSV file of which some lines are broken.
type badFile struct {
	text   strings.Builder
	line   int
	broken []int // their numbers
	sound  int
}

func (f *badFile) add(broken bool, record string) {
	if f.line++; broken {
		f.broken = append(f.broken, f.line)
	} else {
		f.sound++
	}
	f.text.WriteString(record + "\n")
	f.line += strings.Count(record, "\n")
}

func brokenFollows() *badFile {
	f := &badFile{line: 1}
	f.text.WriteString("follower,followee\n")
	f.add(false, "ann,bob")
	f.add(true, "ann")
	f.add(true, "ann,bob,carl")
	f.add(true, "ann,ann")
	f.add(true, "two words,bob")
	f.add(true, "ann,")
	f.add(false, `"bob","ann"`)
	f.add(true, `a"nn,bob`)
	f.add(true, "é,bob")
	f.add(true, "ann,bob\x00")
	f.add(true, strings.Repeat("a", 31)+",bob")
	f.add(false, "carl,ann")
	return f
}

func brokenPosts() *badFile {
	const at = "2020-05-05T05:05:05Z"
	f := &badFile{line: 1}
	f.text.WriteString("author,created_at,text\n")
	f.add(false, "ann,"+at+",fine")
	f.add(false, "ann,"+at+",\"of\nthree\nlines\"")
	f.add(true, "ann,yesterday,no time")
	f.add(true, "ann,2020-13-05T05:05:05Z,no month")
	f.add(true, "ann,2099-05-05T05:05:05Z,in the future")
	f.add(true, "ann,1999-12-31T23:59:59Z,too old")
	f.add(true, "ann,"+at+",")
	f.add(true, "ann,"+at+",a\x07bell")
	f.add(true, "ann,"+at+",not \xff UTF-8")
	f.add(false, "bob,"+at+",\"a \"\"quote\"\", a comma\"")
	f.add(true, "bob,"+at+",a \"bare\" quote")
	f.add(true, "bob,"+at)
	f.add(true, "no body,"+at+",x")
	f.add(true, "bob,"+at+","+strings.Repeat("é", 5_001))
	f.add(false, "bob,"+at+",fine too")
	return f
}

var passedOver = regexp.MustCompile(`(?m)^.*\.csv:(\d+): .*passed over$`)

// badFiles is what importing broken files must do: pass over each broken line
// with its number, or, with --strict, stop at the first and load nothing.
func (l *lab) badFiles(ctx context.Context) error {
	follows, posts := brokenFollows(), brokenPosts()
	f, p := filepath.Join(l.dir, "broken-follows.csv"), filepath.Join(l.dir, "broken-posts.csv")
	if err := errors.Join(os.WriteFile(f, []byte(follows.text.String()), 0o600), os.WriteFile(p, []byte(posts.text.String()), 0o600)); err != nil {
		return err
	}
	data := l.folder("broken")
	for _, one := range []struct {
		flag, file string
		made       *badFile
	}{{"--follows", f, follows}, {"--posts", p, posts}} {
		r, err := l.freshet(ctx, "import", one.flag, one.file, "--data", data, "--strict")
		if err != nil {
			return err
		}
		if at := fmt.Sprintf("%s:%d: ", one.file, one.made.broken[0]); r.code != 1 || !strings.Contains(r.errOut, at) || !strings.Contains(r.errOut, "\nhint: ") {
			return fmt.Errorf("import --strict exits with %d and does not name %s with a hint\n%s", r.code, at, r.errOut)
		}
	}
	if err := l.nobody(ctx, data); err != nil {
		return fmt.Errorf("after import --strict: %w", err)
	}
	r, err := l.must(ctx, "import", "--follows", f, "--posts", p, "--data", data, "--json")
	if err != nil {
		return err
	}
	var got []int
	for _, m := range passedOver.FindAllStringSubmatch(r.errOut, -1) {
		n, _ := strconv.Atoi(m[1])
		got = append(got, n)
	}
	want := append(slices.Clone(follows.broken), posts.broken...)
	shown := regexp.MustCompile(`and (\d+) more broken lines`).FindStringSubmatch(r.errOut)
	if more := len(want) - len(got); more > 0 && (shown == nil || shown[1] != strconv.Itoa(more)) || !slices.Equal(got, want[:len(got)]) || len(got) == 0 {
		return fmt.Errorf("import reports the lines %v, broken are %v\n%s", got, want, r.errOut)
	}
	var n importJSON
	if err := decode("import", r.out, &n); err != nil {
		return err
	}
	if n.Broken != len(want) || n.Follows != follows.sound || n.New.Follows != follows.sound || n.New.Posts != posts.sound {
		return fmt.Errorf("import says %+v; sound are %d follows and %d posts, broken %d lines", n, follows.sound, posts.sound, len(want))
	}
	for _, file := range []string{filepath.Join(l.dir, "absent.csv"), l.bin, f} {
		if r, err := l.freshet(ctx, "import", "--posts", file, "--data", data); err != nil || r.code == 0 {
			return fmt.Errorf("importing %s as posts exits with %d, %w", filepath.Base(file), r.code, err)
		}
	}
	l.detail("%d broken CSV lines named and passed over, %d sound ones loaded; --strict stops at the first and loads nothing", len(want), follows.sound+posts.sound)
	_, err = l.verify(ctx, data)
	return err
}

// nobody reports whether a folder holds no users.
func (l *lab) nobody(ctx context.Context, data string) error {
	r, err := l.must(ctx, "user", "list", "--data", data, "--json")
	if err != nil {
		return err
	}
	var users []userJSON
	if err := decode("user list", r.out, &users); err != nil {
		return err
	}
	if len(users) > 0 {
		return fmt.Errorf("%d users are there", len(users))
	}
	return nil
}
