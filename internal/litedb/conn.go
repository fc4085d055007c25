package litedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"modernc.org/sqlite"
)

// Conn is one connection with its prepared statements. It talks to the driver
// without database/sql, whose locks and conversions cost more than a point read
// itself. A Conn is used by one goroutine at a time.
//
// Arguments may be int, int64, uint64, freshet.ID, string, []byte, bool,
// time.Time (kept as nanoseconds since 1970, the zero time as 0), float64 and nil.
type Conn struct {
	dc    driver.Conn
	stmts map[string]*stmt
	args  []driver.NamedValue
	live  []*Rows         // not closed yet
	ctx   context.Context // ends long reads between two rows; nil on the writer
	wrote bool            // a statement that writes ran since it was last cleared
	lost  bool            // SQLite rolled the transaction back by itself
}

// errLost stands for every use of a transaction that SQLite has ended: a
// statement after it would commit on its own.
var errLost = errors.New("litedb: the transaction was rolled back by an earlier error")

type stmt struct {
	driver.Stmt
	exec   driver.StmtExecContext
	query  driver.StmtQueryContext
	writes bool
	vals   []driver.Value // of the row being read: a query is used once at a time
}

// uri names a file for the driver, whatever characters are in its path.
func uri(path, query string) string {
	u := "file:" + (&url.URL{Path: path}).EscapedPath()
	if query != "" {
		u += "?" + query
	}
	return u
}

func openConn(path, query string, pragmas ...string) (*Conn, error) {
	db, err := sql.Open("sqlite", "")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	dc, err := db.Driver().Open(uri(path, query))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c := &Conn{dc: dc, stmts: make(map[string]*stmt)}
	for _, p := range pragmas {
		if err := c.script(context.Background(), "PRAGMA "+p); err != nil {
			c.close()
			return nil, fmt.Errorf("open %s: pragma %s: %w", path, p, err)
		}
	}
	return c, nil
}

// watchRollback notes in lost that a transaction was rolled back, also where
// SQLite did it by itself: on a full disk, an I/O error, out of memory.
func (c *Conn) watchRollback() {
	c.dc.(sqlite.HookRegisterer).RegisterRollbackHook(func() { c.lost = true })
}

// script runs SQL once, without keeping it prepared.
func (c *Conn) script(ctx context.Context, sql string, args ...any) error {
	_, err := c.dc.(driver.ExecerContext).ExecContext(ctx, sql, c.bind(args))
	return err
}

// run is Exec for what frames a transaction.
func (c *Conn) run(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.exec.ExecContext(context.Background(), nil)
	return err
}

// Exec runs a statement and tells how many rows it changed.
func (c *Conn) Exec(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	if c.lost {
		return 0, errLost
	}
	c.wrote = c.wrote || s.writes
	res, err := s.exec.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a statement that returns rows. An error shows in [Rows.Err].
// Close the rows, or read them to the end, before the next use of query.
func (c *Conn) Query(query string, args ...any) *Rows {
	s, err := c.prepare(query)
	if err == nil && c.lost {
		err = errLost
	}
	if err != nil {
		return &Rows{err: err}
	}
	c.wrote = c.wrote || s.writes
	rows, err := s.query.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return &Rows{err: err}
	}
	if s.vals == nil {
		s.vals = make([]driver.Value, len(rows.Columns()))
	}
	r := &Rows{conn: c, rows: rows, vals: s.vals}
	c.live = append(c.live, r)
	return r
}

// One runs a statement that returns at most one row and reads it with scan.
func (c *Conn) One(query string, args []any, scan func(*Rows)) (found bool, err error) {
	rows := c.Query(query, args...)
	defer rows.Close()
	if rows.Next() {
		found = true
		scan(rows)
	}
	return found, rows.Err()
}

// Each runs a statement and reads every row with scan.
func (c *Conn) Each(query string, args []any, scan func(*Rows)) error {
	rows := c.Query(query, args...)
	defer rows.Close()
	for rows.Next() {
		scan(rows)
	}
	return rows.Err()
}

func (c *Conn) prepare(query string) (*stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	ds, err := c.dc.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s := &stmt{Stmt: ds, exec: ds.(driver.StmtExecContext), query: ds.(driver.StmtQueryContext), writes: writes(query)}
	c.stmts[query] = s
	return s, nil
}

// writes tells whether a statement may change something. In doubt it says yes,
// which costs a position that nothing moved to.
func writes(query string) bool {
	for word := range strings.FieldsSeq(query) {
		switch strings.ToUpper(word) {
		case "SELECT", "VALUES", "EXPLAIN", "PRAGMA":
			return false
		}
		break
	}
	return true
}

func (c *Conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		switch v := a.(type) {
		case freshet.ID:
			a = int64(v)
		case int:
			a = int64(v)
		case uint64:
			a = int64(v)
		case time.Time:
			a = nanos(v)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// tidy closes rows that an op or a read left open, which would hold the
// snapshot of their statement.
func (c *Conn) tidy() {
	for len(c.live) > 0 {
		c.live[len(c.live)-1].Close()
	}
}

func (c *Conn) close() error {
	c.tidy()
	for _, s := range c.stmts {
		s.Close()
	}
	return c.dc.Close()
}
