package pgdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// As much of pgoutput, version 1, as the change feed needs (PostgreSQL documentation, "Logical Replication Message Formats").
// In this version a transaction is sent once it has committed, as a whole and in the order of commits: a huge one comes late,
// while the server spills it to its disk, and delays those behind it. Version 2 would send it early, and a change that may be
// rolled back is of no use to a cache.

// Op is what was done to a row.
type Op byte

// The operations.
const (
	Insert   Op = 'I'
	Update   Op = 'U'
	Delete   Op = 'D'
	Truncate Op = 'T' // of all rows
)

// Row is one row that a transaction changed. It is valid until the function that it is handed to returns.
type Row struct {
	Table string
	Op    Op
	table *relation
	old   [][]byte // of an Update only where the key or, with REPLICA IDENTITY FULL, anything has changed
	now   [][]byte
}

// New is the text of a column after an Insert or Update. It is not there where the column is NULL, or is a large value that
// stayed as it was: the WAL has none of that.
func (r *Row) New(column string) (string, bool) { return r.table.column(r.now, column) }

// Old is the text of a column before an Update or Delete. It is there for what the table's replica identity holds.
func (r *Row) Old(column string) (string, bool) { return r.table.column(r.old, column) }

// HasOld reports whether the WAL told what was before.
func (r *Row) HasOld() bool { return r.old != nil }

type relation struct {
	name    string
	columns []string
}

func (t *relation) column(values [][]byte, name string) (string, bool) {
	for i, c := range t.columns {
		if c == name && i < len(values) && values[i] != nil {
			return string(values[i]), true
		}
	}
	return "", false
}

// events is told what a stream holds, in its order.
type events interface {
	begin()
	row(*Row)
	message(prefix string, content []byte)
	commit(end uint64) // end is where the next record begins
}

// decoder reads pgoutput's messages. It keeps what the stream says about tables.
type decoder struct {
	tables map[uint32]*relation
	open   bool // between Begin and Commit
}

func newDecoder() *decoder { return &decoder{tables: make(map[uint32]*relation)} }

var errShort = errors.New("it ends early")

// decode reads one message and tells e.
func (d *decoder) decode(data []byte, e events) error {
	if len(data) == 0 {
		return errShort
	}
	kind, b := data[0], &bytesReader{data[1:], nil}
	switch kind {
	case 'B': // the commit's position, its time, the transaction's number
		b.take(8 + 8 + 4)
		if d.open && b.err == nil {
			b.err = errors.New("a transaction begins in another")
		}
		if b.err == nil {
			d.open = true
			e.begin()
		}
	case 'C': // flags, the commit's position, its end, its time
		b.take(1 + 8)
		end := b.uint64()
		b.take(8)
		if !d.open && b.err == nil {
			b.err = errors.New("a commit without a transaction")
		}
		if b.err == nil {
			d.open = false
			e.commit(end)
		}
	case 'R':
		d.relation(b)
	case 'I', 'U', 'D':
		d.change(Op(kind), b, e)
	case 'T':
		d.truncate(b, e)
	case 'M': // flags, position, prefix, content
		b.take(1 + 8)
		prefix := b.text()
		content := b.take(int(b.uint32()))
		if b.err == nil {
			e.message(prefix, content)
		}
	case 'O', 'Y': // where a transaction came from first; a type's name
	default:
		b.err = errors.New("its kind is unknown")
	}
	if b.err != nil {
		return fmt.Errorf("decode pgoutput message %q of %d bytes: %w", kind, len(data), b.err)
	}
	return nil
}

// relation reads what precedes the first row of a table, and of one that was altered.
func (d *decoder) relation(b *bytesReader) {
	id := b.uint32()
	schema, t := b.text(), &relation{name: b.text()}
	if schema != Schema { // of somebody else
		t.name = schema + "." + t.name
	}
	b.take(1) // replica identity
	for range b.uint16() {
		b.take(1) // flags
		t.columns = append(t.columns, b.text())
		b.take(4 + 4) // type and its modifier
		if b.err != nil {
			return
		}
	}
	if b.err == nil {
		d.tables[id] = t
	}
}

func (d *decoder) change(op Op, b *bytesReader, e events) {
	t := d.table(b)
	if b.err != nil {
		return
	}
	r := Row{Table: t.name, Op: op, table: t}
	part := b.byte()
	if op != Insert && (part == 'K' || part == 'O') { // the key, or the whole row
		r.old = b.tuple()
		if op == Update {
			part = b.byte()
		}
	} else if op == Delete && b.err == nil {
		b.err = errors.New("a deletion without its row")
	}
	if op != Delete {
		if part != 'N' && b.err == nil {
			b.err = fmt.Errorf("part %q of a row", part)
		}
		r.now = b.tuple()
	}
	if b.err == nil {
		e.row(&r)
	}
}

func (d *decoder) truncate(b *bytesReader, e events) {
	n := b.uint32()
	b.take(1) // options
	for range n {
		t := d.table(b)
		if b.err != nil {
			return
		}
		e.row(&Row{Table: t.name, Op: Truncate, table: t})
	}
}

func (d *decoder) table(b *bytesReader) *relation {
	id := b.uint32()
	t := d.tables[id]
	if t == nil && b.err == nil {
		b.err = fmt.Errorf("a row of table %d, which was not described", id)
	}
	return t
}

// bytesReader reads numbers and texts until something is missing.
type bytesReader struct {
	rest []byte
	err  error
}

func (b *bytesReader) take(n int) []byte {
	if b.err == nil && (n < 0 || n > len(b.rest)) {
		b.err = errShort
	}
	if b.err != nil {
		return nil
	}
	taken := b.rest[:n:n]
	b.rest = b.rest[n:]
	return taken
}

func (b *bytesReader) byte() byte {
	if v := b.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (b *bytesReader) uint16() int {
	if v := b.take(2); v != nil {
		return int(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (b *bytesReader) uint32() uint32 {
	if v := b.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (b *bytesReader) uint64() uint64 {
	if v := b.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// text reads up to a NUL.
func (b *bytesReader) text() string {
	end := bytes.IndexByte(b.rest, 0)
	if end < 0 {
		end = len(b.rest)
	}
	text := b.take(end + 1)
	if text == nil {
		return ""
	}
	return string(text[:end])
}

// tuple reads the columns of a row; nil for NULL and for what the WAL does not hold.
func (b *bytesReader) tuple() [][]byte {
	n := b.uint16()
	if n > len(b.rest) { // a column takes a byte at least
		b.take(n)
		return nil
	}
	values := make([][]byte, n)
	for i := range values {
		switch kind := b.byte(); kind {
		case 't':
			values[i] = b.take(int(b.uint32()))
		case 'n', 'u': // NULL; a large value that was not changed
		default:
			if b.err == nil {
				b.err = fmt.Errorf("column of kind %q", kind)
			}
		}
		if b.err != nil {
			return nil
		}
	}
	return values
}
