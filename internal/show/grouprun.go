package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

const (
	groupWriters = 64
	groupAuthors = 1_000
)

// groupFile is one file of the store, with authors who write.
type groupFile struct {
	file    *litedb.DB
	store   *sqlite.DB
	authors []freshet.ID
	texts   []string
	posts   int // acknowledged
}

// openGroupFile makes a file in a fresh folder. Somebody listens to its changes,
// as in a running node, so that a post writes a row for them too.
func openGroupFile(ctx context.Context, dir string, groupMax int) (*groupFile, error) {
	lock, err := litedb.LockFolder(dir) // it makes the folder
	if err != nil {
		return nil, err
	}
	if err := errors.Join(lock.Unlock(), onDisk(dir)); err != nil {
		return nil, err
	}
	file, err := litedb.Open(ctx, filepath.Join(dir, "group.db"), litedb.Options{
		Migrations: []litedb.Migrations{sqlite.Migrations()}, GroupMax: groupMax,
	})
	if err != nil {
		return nil, err
	}
	g := &groupFile{file: file, store: sqlite.New(file), authors: make([]freshet.ID, groupAuthors)}
	if err := g.fill(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return g, nil
}

func (g *groupFile) fill(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 1_000 {
		g.texts = append(g.texts, postText(rng, strconv.Itoa(i)))
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	heard := make(chan error, 1)
	go func() {
		_, err := g.store.Changes(ctx, "show", position.Position{}, 1)
		heard <- err
	}()
	err := each(ctx, groupWriters, len(g.authors), func(ctx context.Context, i int) error {
		u, _, err := g.store.CreateUser(ctx, freshet.NewUser{Handle: authorName(i), Name: "Author"}, store.Write{})
		g.authors[i] = u.ID
		return err
	})
	return errors.Join(err, <-heard)
}

// fanOut is the effect that a post has in mode push.
func fanOut(author freshet.ID) freshet.Effect {
	return freshet.Effect{Kind: "fanout", Key: author.String(), Args: binary.AppendVarint(nil, int64(author))}
}

// rate is how fast posts were written, and in how many transactions.
type rate struct {
	perSecond float64
	commits   int64
	cpu       time.Duration // of this process, for one post
}

// clocked measures what writes posts.
func (g *groupFile) clocked(posts int, write func() error) (r rate, err error) {
	commits, _ := g.file.Counts()
	cpu, err := cpuOf(os.Getpid())
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := write(); err != nil {
		return r, err
	}
	r.perSecond = float64(posts) / time.Since(began).Seconds()
	after, err := cpuOf(os.Getpid())
	r.cpu = (after - cpu) / time.Duration(posts)
	r.commits, _ = g.file.Counts()
	r.commits -= commits
	g.posts += posts
	return r, err
}

// throughPort has 64 goroutines call the store's port.
func (g *groupFile) throughPort(ctx context.Context, posts int) (rate, error) {
	return g.clocked(posts, func() error {
		return each(ctx, groupWriters, posts, func(ctx context.Context, i int) error {
			author := g.authors[i*7%len(g.authors)]
			_, _, err := g.store.CreatePost(ctx, freshet.NewPost{Author: author, Text: g.texts[i%len(g.texts)]},
				store.Write{Effects: []freshet.Effect{fanOut(author)}})
			return err
		})
	})
}

// The statements of a post, word for word those of store/sqlite.
const (
	countPost  = "UPDATE users SET posts_count = posts_count + 1 WHERE id = ?"
	insertPost = "INSERT INTO posts (id, author, created_at, ref, text, data) VALUES (?, ?, ?, ?, ?, ?)"
)

// inOneTransaction writes as many posts with the same statements in one
// transaction, by one goroutine: what SQLite can do at most.
func (g *groupFile) inOneTransaction(ctx context.Context, posts int) (rate, error) {
	return g.clocked(posts, func() error {
		_, err := g.file.Write(ctx, func(t *litedb.Tx) error {
			for i := range posts {
				if err := g.statements(t, g.authors[i*7%len(g.authors)], g.texts[i%len(g.texts)]); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
}

func (g *groupFile) statements(t *litedb.Tx, author freshet.ID, text string) error {
	if n, err := t.Exec(countPost, author); err != nil || n != 1 {
		return fmt.Errorf("count a post: %d, %w", n, err)
	}
	id := t.NextID(author.Bucket())
	if _, err := t.Exec(insertPost, id, author, t.Now().UTC(), "", text, nil); err != nil {
		return err
	}
	if err := t.Change(uint8(store.PostCreated), id, author, nil); err != nil {
		return err
	}
	return t.Emit(fanOut(author), id)
}

// check compares what is in the file with what was acknowledged, and closes it.
func (g *groupFile) check(ctx context.Context) error {
	err := g.file.View(ctx, func(c *litedb.Conn) error {
		for what, query := range map[string]string{
			"posts":    "SELECT COUNT(*) FROM posts",
			"jobs":     "SELECT COUNT(*) FROM jobs",
			"changes":  "SELECT COUNT(*) FROM changes WHERE kind = " + strconv.Itoa(int(store.PostCreated)),
			"counters": "SELECT SUM(posts_count) FROM users",
		} {
			var n int64
			if _, err := c.One(query, nil, func(r *litedb.Rows) { n = r.Int(0) }); err != nil {
				return err
			}
			if n != int64(g.posts) {
				return fmt.Errorf("%d posts were acknowledged, the file has %d %s", g.posts, n, what)
			}
		}
		return nil
	})
	return errors.Join(err, g.file.Close())
}

// postWorker is the helper process whose system calls are counted: it writes
// posts through the port, with 64 goroutines.
const postWorker = "post-worker"

// worked is what it prints.
type worked struct {
	Posts   int
	Commits int64
}

func writePosts(ctx context.Context, args []string, _ io.Reader, out, log io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(log, "usage: post-worker FOLDER POSTS")
		return exitUsage
	}
	posts, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintln(log, err)
		return exitUsage
	}
	g, err := openGroupFile(ctx, args[0], 0)
	if err != nil {
		fmt.Fprintln(log, err)
		return exitShort
	}
	r, err := g.throughPort(ctx, posts)
	if err = errors.Join(err, g.file.Close()); err != nil {
		fmt.Fprintln(log, err)
		return exitShort
	}
	if err := json.NewEncoder(out).Encode(worked{posts, r.commits}); err != nil {
		return exitShort
	}
	return exitDone
}
