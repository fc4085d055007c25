package pgdb

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// wire writes a message: numbers by their size, texts with a NUL behind, bytes as they are.
func wire(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch v := p.(type) {
		case rune:
			b = append(b, byte(v))
		case int8:
			b = append(b, byte(v))
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		case string:
			b = append(append(b, v...), 0)
		case []byte:
			b = append(b, v...)
		}
	}
	return b
}

func tuple(values ...any) []byte {
	b := wire(int16(len(values)))
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = append(b, wire('t', uint32(len(v)), []byte(v))...)
		case rune: // n for NULL, u for unchanged
			b = append(b, byte(v))
		}
	}
	return b
}

var (
	begin    = wire('B', int64(1), int64(2), uint32(3))
	describe = wire('R', uint32(7), "freshet", "posts", 'f', int16(3), int8(1), "id", uint32(20), uint32(0),
		int8(0), "text", uint32(25), uint32(0), int8(0), "author", uint32(20), uint32(0))
	inserted  = wire('I', uint32(7), 'N', tuple("1", 'n', "9"))
	updated   = wire('U', uint32(7), 'N', tuple("1", 'u', "9"))
	moved     = wire('U', uint32(7), 'O', tuple("1", "x", "9"), 'N', tuple("2", "y", "9"))
	deleted   = wire('D', uint32(7), 'K', tuple("2", 'n', 'n'))
	truncated = wire('T', uint32(1), int8(0), uint32(7))
)

func end(at int64) []byte { return wire('C', int8(0), int64(1), at, int64(2)) }

func message(prefix, text string) []byte {
	return wire('M', int8(1), int64(1), prefix, uint32(len(text)), []byte(text))
}

// script writes down what a decoder tells.
type script struct{ lines []string }

func (s *script) begin()            { s.lines = append(s.lines, "begin") }
func (s *script) commit(end uint64) { s.lines = append(s.lines, fmt.Sprint("commit ", end)) }
func (s *script) message(prefix string, content []byte) {
	s.lines = append(s.lines, fmt.Sprintf("message %s %s", prefix, content))
}

func (s *script) row(r *Row) {
	line := string(r.Op) + " " + r.Table
	for _, c := range []string{"id", "text", "author", "none"} {
		old, hadOld := r.Old(c)
		now, hasNow := r.New(c)
		line += fmt.Sprintf(" %s=%s,%t>%s,%t", c, old, hadOld, now, hasNow)
	}
	s.lines = append(s.lines, line)
}

func TestPgoutputIsRead(t *testing.T) {
	var s script
	d := newDecoder()
	for _, m := range [][]byte{
		wire('M', int8(0), int64(1), "freshet", uint32(1), []byte("x")), wire('O', int64(1), "there"), wire('Y', uint32(1), "s", "n"),
		begin, describe, inserted, updated, moved, deleted, message("freshet", "7 1 2"), truncated, end(42),
	} {
		if err := d.decode(m, &s); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"message freshet x", "begin",
		"I posts id=,false>1,true text=,false>,false author=,false>9,true none=,false>,false",
		"U posts id=,false>1,true text=,false>,false author=,false>9,true none=,false>,false",
		"U posts id=1,true>2,true text=x,true>y,true author=9,true>9,true none=,false>,false",
		"D posts id=2,true>,false text=,false>,false author=,false>,false none=,false>,false",
		"message freshet 7 1 2",
		"T posts id=,false>,false text=,false>,false author=,false>,false none=,false>,false",
		"commit 42",
	}
	if got := strings.Join(s.lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("read as\n%s", got)
	}
}

// A message that ends early, wherever that is, is an error and tells nothing.
func TestPgoutputThatEndsEarlyIsRefused(t *testing.T) {
	for _, m := range [][]byte{begin, describe, inserted, updated, moved, deleted, message("freshet", "7 1 2"), truncated, end(42)} {
		for n := range m {
			var s script
			d := newDecoder()
			d.open = m[0] == 'C'
			if m[0] != 'R' {
				if err := d.decode(describe, &s); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.decode(m[:n], &s); err == nil || len(s.lines) > 0 {
				t.Fatalf("%d bytes of %q were read as %v, %v", n, m, s.lines, err)
			}
		}
	}
	for _, m := range [][]byte{end(1), inserted, wire('?')} { // no transaction, no table, no message
		if err := newDecoder().decode(m, &script{}); err == nil {
			t.Errorf("%q was read", m)
		}
	}
}

func FuzzPgoutput(f *testing.F) {
	for _, m := range [][]byte{begin, describe, inserted, updated, moved, deleted, message("freshet", "7 1 2 3"), truncated, end(42)} {
		f.Add(m, m)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, a := newDecoder(), &assembler{derive: func(r *Row, tell func(Change)) bool {
			id, ok := r.New("id")
			r.Old("id")
			tell(Change{Kind: 1, Subject: freshet.ID(len(id))})
			return ok
		}, done: func(transaction) {}}
		for _, m := range [][]byte{describe, first, second} {
			if err := d.decode(m, a); err != nil {
				return // ends the stream
			}
		}
	})
}

// assembled is what the messages of a stream become; each row tells one change, of kind 99.
func assembled(t *testing.T, messages ...[]byte) (out []transaction) {
	t.Helper()
	d, a := newDecoder(), &assembler{
		derive: func(r *Row, tell func(Change)) bool {
			tell(Change{Kind: 99})
			return r.Op != Truncate
		},
		at:   position.Position{System: 5, Timeline: 2},
		done: func(t transaction) { out = append(out, t) },
	}
	for _, m := range append([][]byte{describe}, messages...) {
		if err := d.decode(m, a); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestWhatATransactionTells(t *testing.T) {
	at := position.Position{System: 5, Timeline: 2, Offset: 42}
	like := Change{At: at, Kind: 9, Subject: 1, Object: 2}
	erased := Change{At: at, Kind: 2, Subject: 3, Also: []freshet.ID{4, 5}}
	row := Change{At: at, Kind: 99}
	for _, x := range []struct {
		name     string
		messages [][]byte
		want     transaction
	}{
		{"rows", [][]byte{inserted, deleted}, transaction{changes: []Change{row, row}}},
		{"messages alone, in their order", [][]byte{message("freshet", "9 1 2"), message("freshet", "2 3 0 4 5")}, transaction{changes: []Change{like, erased}}},
		{"messages win over rows before and behind", [][]byte{inserted, message("freshet", "9 1 2"), deleted}, transaction{changes: []Change{like}}},
		{"also over a truncation", [][]byte{truncated, message("freshet", "9 1 2"), truncated}, transaction{changes: []Change{like}}},
		{"a message of no change", [][]byte{inserted, message("freshet", "0 0 0"), deleted}, transaction{}},
		{"messages of others", [][]byte{message("theirs", "9 1 2"), message(barrierPrefix, ""), inserted}, transaction{changes: []Change{row}}},
		{"triggers beside rows, behind them", [][]byte{message(besidePrefix, "9 1 2"), inserted}, transaction{changes: []Change{row, like}}},
		{"triggers beside messages", [][]byte{inserted, message(besidePrefix, "9 1 2"), message("freshet", "2 3 0 4 5")}, transaction{changes: []Change{erased, like}}},
		{"a trigger that is none of ours", [][]byte{message(besidePrefix, "nine"), message("freshet", "9 1 2")}, transaction{gap: true}},
		{"nothing", nil, transaction{}},
		{"a truncation", [][]byte{inserted, truncated, inserted}, transaction{gap: true}},
		{"a message that is none of ours", [][]byte{message("freshet", "9 1 2"), message("freshet", "nine"), message("freshet", "9 1 2")}, transaction{gap: true}},
	} {
		messages := append([][]byte{begin}, x.messages...)
		x.want.end = 42
		if got := assembled(t, append(messages, end(42))...); len(got) != 1 || !reflect.DeepEqual(got[0], x.want) {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
	}
	if got := assembled(t, message("freshet", "9 1 2"), begin, end(42)); len(got[0].changes) > 0 {
		t.Errorf("a message that is no part of a transaction became %+v", got)
	}
}

func TestATransactionHasABound(t *testing.T) {
	a := &assembler{done: func(got transaction) {
		if !got.gap || got.changes != nil {
			t.Errorf("a transaction with too many changes has %d, gap %t", len(got.changes), got.gap)
		}
	}}
	a.begin()
	for range maxTransaction + 2 {
		a.message(changePrefix, []byte("9 1 2"))
	}
	a.commit(1)
}

func TestSlotNames(t *testing.T) {
	seen := make(map[string]string)
	for _, x := range [][2]string{
		{"db", "fences"},
		{"other", "fences"},
		{"db", "Fences"},
		{"db", "node 7"},
		{"db", "node-7"},
		{"db", "node_7"},
		{"db", ""},
		{"db", strings.Repeat("x", 200)},
		{"db", strings.Repeat("x", 201)},
		{"db", "knoten ü"},
	} {
		name := slotName(x[0], x[1])
		if len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("slot of %q: %q", x, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share %s", x, other, name)
		}
		seen[name] = fmt.Sprint(x)
	}
}
