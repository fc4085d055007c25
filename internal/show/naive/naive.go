// Package naive evaluates the home feed from CSV files, as somebody would who
// has never heard of timelines: for a reader, look at every post there is and
// keep those of the followed and the reader's own, newest first.
//
//	var n naive.Network
//	err := errors.Join(n.ReadFollows("follows.csv.gz"), n.ReadPosts("posts.csv.gz"))
//	for _, p := range n.Home("ada") { fmt.Println(p.At, p.Author, p.Text) }
//
// It is what the server is held against, so it shares no code with it: it
// imports the standard library alone, which its test checks. Its cost is one
// look at each post for each reader; it is not for anything else.
package naive

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"time"
)

// Post is one row of the posts.
type Post struct {
	Author string
	At     time.Time
	Text   string

	author int
}

// Network is who follows whom and who wrote what. The zero value is empty. Once
// it is read it may be used by several goroutines.
type Network struct {
	names     []string
	numbers   map[string]int
	following []map[int]bool // by user: whom it follows
	followers []int          // by user: how many follow it
	written   []int          // by user: how many posts
	edges     int
	posts     []Post // by (At, line), ascending, once sorted
	sorted    bool
}

// ReadFollows adds the rows of a file with the columns follower and followee.
// An edge that is there twice counts once.
func (n *Network) ReadFollows(file string) error {
	return rows(file, []string{"follower", "followee"}, func(v []string) error {
		from, to := n.user(v[0]), n.user(v[1])
		if !n.following[from][to] {
			n.following[from][to] = true
			n.followers[to]++
			n.edges++
		}
		return nil
	})
}

// ReadPosts adds the rows of a file with the columns author, created_at and text.
func (n *Network) ReadPosts(file string) error {
	n.sorted = false
	return rows(file, []string{"author", "created_at", "text"}, func(v []string) error {
		at, err := time.Parse(time.RFC3339Nano, v[1])
		if err != nil {
			return err
		}
		author := n.user(v[0])
		n.written[author]++
		n.posts = append(n.posts, Post{Author: v[0], At: at, Text: v[2], author: author})
		return nil
	})
}

// Sort puts the posts in order: by time, those of one time by their line. It is
// called once after reading.
func (n *Network) Sort() {
	sort.SliceStable(n.posts, func(i, j int) bool { return n.posts[i].At.Before(n.posts[j].At) })
	n.sorted = true
}

func (n *Network) user(name string) int {
	if i, known := n.numbers[name]; known {
		return i
	}
	if n.numbers == nil {
		n.numbers = map[string]int{}
	}
	i := len(n.names)
	n.numbers[name] = i
	n.names = append(n.names, name)
	n.following = append(n.following, map[int]bool{})
	n.followers = append(n.followers, 0)
	n.written = append(n.written, 0)
	return i
}

// Users are the names, in the order in which they were met.
func (n *Network) Users() []string { return slices.Clone(n.names) }

// Follows is how many edges there are.
func (n *Network) Follows() int { return n.edges }

// Posts is how many posts there are.
func (n *Network) Posts() int { return len(n.posts) }

// Counts gives a user's followers, followed and posts.
func (n *Network) Counts(name string) (followers, following, posts int) {
	i := n.numbers[name]
	return n.followers[i], len(n.following[i]), n.written[i]
}

// Followed gives whom a user follows, in no order.
func (n *Network) Followed(name string) []string {
	var out []string
	for i := range n.following[n.numbers[name]] {
		out = append(out, n.names[i])
	}
	return out
}

// Home is the query: the posts of the followed and of the reader, newest first.
func (n *Network) Home(reader string) []*Post {
	if !n.sorted {
		panic("naive: Home before Sort")
	}
	me, known := n.numbers[reader]
	if !known {
		return nil
	}
	wanted := make([]bool, len(n.names))
	wanted[me] = true
	for i := range n.following[me] {
		wanted[i] = true
	}
	var home []*Post
	for i := len(n.posts) - 1; i >= 0; i-- {
		if wanted[n.posts[i].author] {
			home = append(home, &n.posts[i])
		}
	}
	return home
}

// rows hands out the columns asked for, row by row.
func rows(file string, columns []string, do func([]string) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = bufio.NewReader(f)
	if head, _ := in.(*bufio.Reader).Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		if in, err = gzip.NewReader(in); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	c := csv.NewReader(in)
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	values := make([]string, len(columns))
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		for i, name := range columns {
			at := slices.Index(header, name)
			if at < 0 {
				return fmt.Errorf("read %s: no column %s", file, name)
			}
			values[i] = record[at]
		}
		if err := do(values); err != nil {
			line, _ := c.FieldPos(0)
			return fmt.Errorf("read %s:%d: %w", file, line, err)
		}
	}
}
