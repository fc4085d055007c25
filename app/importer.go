package app

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Import says what to load.
type Import struct {
	Follows string // a CSV file with the columns follower, followee; may be gzipped; "": none
	Posts   string // a CSV file with the columns author, created_at, text; likewise
	Strict  bool   // stop at the first broken line instead of passing it over
	MaxText int    // characters of a post; longer ones are broken lines

	Now    time.Time                // rows later than this are broken
	Report func(BrokenLine)         // hears of every line that was passed over
	Total  func(follows, posts int) // hears how many sound rows there are, before the first is loaded
	Loaded func(rows int)           // hears how many rows were loaded so far
}

// BrokenLine is a line of an input file that can't be loaded.
type BrokenLine struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Last   int    `json:"last_line,omitempty"` // where a quote swallowed lines: the last of them
	Reason string `json:"reason"`
}

func (b BrokenLine) Error() string {
	if b.Last > b.Line {
		return fmt.Sprintf("%s:%d: %s, and so the lines up to %d are lost", b.File, b.Line, b.Reason, b.Last)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Reason)
}

// ImportResult counts what an import found and what was new in it.
type ImportResult struct {
	Follows int      `json:"follows"` // sound rows in the files
	Posts   int      `json:"posts"`
	Broken  int      `json:"broken"` // lines that were passed over
	New     NewCount `json:"new"`
}

// NewCount counts what was not there before.
type NewCount struct {
	Users   int `json:"users"`
	Follows int `json:"follows"`
	Posts   int `json:"posts"`
}

// A chunk of rows is one transaction: large enough that the fsync does not
// count, small enough that live writes behind it wait some 50 ms, and that it
// fits into a command on the socket, where JSON may take six bytes for one.
const (
	importChunk = 2000
	importBytes = 8 << 20
)

// RunImport reads the files and loads them chunk by chunk. What an earlier,
// interrupted run loaded is known and stays as it is, so that running it again
// ends the same.
func RunImport(ctx context.Context, a *Admin, in Import) (ImportResult, error) {
	r := reader{ctx: ctx, in: in}
	follows, err := r.follows()
	if err != nil {
		return r.result, err
	}
	posts, err := r.posts()
	if err != nil {
		return r.result, err
	}
	r.result.Follows, r.result.Posts = len(follows), len(posts)
	if in.Total != nil {
		in.Total(len(follows), len(posts))
	}
	if err := load(ctx, a, importFollows, follows,
		func(store.ImportedFollow) int { return 2 * freshet.MaxHandle },
		func(n store.ImportCount, done int) { r.count(n, done) }); err != nil {
		return r.result, err
	}
	err = load(ctx, a, importPosts, posts,
		func(p store.ImportedPost) int { return len(p.Text) },
		func(n store.ImportCount, done int) { r.count(n, len(follows)+done) })
	return r.result, err
}

func load[T any](ctx context.Context, a *Admin, o op[[]T, store.ImportCount], rows []T, size func(T) int, loaded func(n store.ImportCount, done int)) error {
	for done := 0; done < len(rows); {
		end, bytes := done, 0
		for end < len(rows) && end-done < importChunk && bytes < importBytes {
			bytes += size(rows[end])
			end++
		}
		chunk := rows[done:end]
		n, err := o.do(ctx, a, chunk)
		if err != nil {
			return fmt.Errorf("load rows %d to %d: %w", done+1, done+len(chunk), err)
		}
		done += len(chunk)
		loaded(n, done)
	}
	return nil
}

// reader turns files into rows.
type reader struct {
	ctx    context.Context // of the one RunImport that it lives in
	in     Import
	result ImportResult
}

func (r *reader) count(n store.ImportCount, done int) {
	r.result.New.Users += n.Users
	r.result.New.Follows += n.Follows
	r.result.New.Posts += n.Posts
	if r.in.Loaded != nil {
		r.in.Loaded(done)
	}
}

func (r *reader) follows() (rows []store.ImportedFollow, err error) {
	err = r.each(r.in.Follows, []string{"follower", "followee"}, func(v []string) error {
		f := store.ImportedFollow{Follower: v[0], Followee: v[1]}
		if err := cmp.Or(freshet.CheckHandle("follower", f.Follower), freshet.CheckHandle("followee", f.Followee)); err != nil {
			return err
		}
		if strings.EqualFold(f.Follower, f.Followee) {
			return errors.New("follower and followee are the same")
		}
		rows = append(rows, f)
		return nil
	})
	return rows, err
}

func (r *reader) posts() ([]store.ImportedPost, error) {
	type identity struct {
		author string
		at     time.Time
		text   string
	}
	var rows []store.ImportedPost
	seen := make(map[identity]int)
	err := r.each(r.in.Posts, []string{"author", "created_at", "text"}, func(v []string) error {
		p, err := r.post(v)
		if err != nil {
			return err
		}
		id := identity{strings.ToLower(p.Author), p.CreatedAt, p.Text}
		p.Occurrence = seen[id]
		seen[id]++
		rows = append(rows, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Ids rise in the order (created_at, line of the file), whatever the bucket.
	slices.SortStableFunc(rows, func(a, b store.ImportedPost) int { return a.CreatedAt.Compare(b.CreatedAt) })
	last := int64(-1)
	for i := range rows {
		last = max(freshet.Millis(rows[i].CreatedAt), last+1)
		rows[i].Millis = last
	}
	return rows, nil
}

func (r *reader) post(v []string) (p store.ImportedPost, err error) {
	at, err := time.Parse(time.RFC3339Nano, v[1])
	switch {
	case err != nil:
		return p, fmt.Errorf("created_at %q is not an RFC 3339 time", v[1])
	case at.Before(freshet.Epoch):
		return p, fmt.Errorf("created_at %s is before the year 2000", v[1])
	case at.After(r.in.Now):
		return p, fmt.Errorf("created_at %s is in the future", v[1])
	case v[2] == "":
		return p, errors.New("text is empty")
	}
	p = store.ImportedPost{Author: v[0], CreatedAt: at.UTC(), Text: v[2]}
	return p, cmp.Or(freshet.CheckHandle("author", p.Author), freshet.CheckText("text", p.Text, r.in.MaxText))
}

// each reads a CSV file and hands out the columns asked for, line by line. What
// is wrong with a line is reported with its number.
func (r *reader) each(file string, columns []string, do func(values []string) error) error {
	if file == "" {
		return nil
	}
	in, err := openMaybeGzip(file)
	if err != nil {
		return err
	}
	defer in.Close()
	c := csv.NewReader(in)
	c.FieldsPerRecord = -1
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("read %s: no header line: %w", file, err)
	}
	at := make([]int, len(columns))
	for i, name := range columns {
		if at[i] = slices.Index(header, name); at[i] < 0 {
			return fmt.Errorf("read %s: no column %q, only %q", file, name, header)
		}
	}
	values := make([]string, len(columns))
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		line, last, err := linesOf(c, err)
		if line == 0 {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if err == nil && len(record) != len(header) {
			err = fmt.Errorf("has %d columns, the header has %d", len(record), len(header))
		}
		if err == nil {
			for i, j := range at {
				values[i] = record[j]
			}
			err = do(values)
		}
		if err == nil {
			continue
		}
		broken := BrokenLine{file, line, last, err.Error()}
		if r.in.Strict {
			return broken
		}
		r.result.Broken += max(1, last-line+1)
		if r.in.Report != nil {
			r.in.Report(broken)
		}
	}
}

// linesOf gives the line that a record began in and, for a broken one, the line
// it was read to; 0 where the file itself can't be read.
func linesOf(c *csv.Reader, err error) (first, last int, _ error) {
	if broken, ok := errors.AsType[*csv.ParseError](err); ok {
		return broken.StartLine, broken.Line, broken.Err
	}
	if err != nil {
		return 0, 0, err
	}
	first, _ = c.FieldPos(0)
	return first, 0, nil
}
