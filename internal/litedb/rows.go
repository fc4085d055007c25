package litedb

import (
	"database/sql/driver"
	"io"
	"time"

	"github.com/freshet/freshet"
)

// Rows reads the answer of a query, column by column.
type Rows struct {
	conn *Conn
	rows driver.Rows
	vals []driver.Value
	n    int // rows read
	err  error
}

// Next steps to the next row; false at the end or on an error.
func (r *Rows) Next() bool {
	if r.rows == nil || r.err != nil {
		return false
	}
	if r.n++; r.n&0xff == 0 && r.conn.ctx != nil {
		if r.err = r.conn.ctx.Err(); r.err != nil {
			r.Close()
			return false
		}
	}
	if err := r.rows.Next(r.vals); err != nil {
		if err != io.EOF {
			r.err = err
		}
		r.Close()
		return false
	}
	return true
}

// Err is the error that ended the rows, if one did.
func (r *Rows) Err() error { return r.err }

// Close lets go of the statement. It may be called more than once.
func (r *Rows) Close() {
	if r.rows == nil {
		return
	}
	// Resetting a statement repeats the error that its last step returned.
	if err := r.rows.Close(); err != nil && r.err == nil {
		r.err = err
	}
	r.rows = nil
	live := r.conn.live
	for i := len(live) - 1; i >= 0; i-- {
		if live[i] == r {
			live[i], live[len(live)-1] = live[len(live)-1], nil
			r.conn.live = live[:len(live)-1]
			return
		}
	}
}

// Int is column i as an integer; NULL is 0.
func (r *Rows) Int(i int) int64 {
	switch v := r.vals[i].(type) {
	case int64:
		return v
	case bool:
		if v {
			return 1
		}
	}
	return 0
}

// ID is column i as an id.
func (r *Rows) ID(i int) freshet.ID { return freshet.ID(r.Int(i)) }

// Text is column i as text; NULL is "".
func (r *Rows) Text(i int) string {
	switch v := r.vals[i].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// Blob is column i as bytes; NULL and an empty blob are nil.
func (r *Rows) Blob(i int) []byte {
	switch v := r.vals[i].(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// Time is column i, nanoseconds since 1970, as a time in UTC; 0 and NULL are the zero time.
func (r *Rows) Time(i int) time.Time {
	if n := r.Int(i); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
