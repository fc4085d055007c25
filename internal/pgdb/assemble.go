package pgdb

import (
	"strconv"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Change is a row of the change feed.
type Change struct {
	At      position.Position // Offset: the end of the commit
	Kind    uint8
	Subject freshet.ID
	Object  freshet.ID
	Also    []freshet.ID
}

// Derive names the changes that a row stands for which was not written by the functions of the database. false: what has
// changed can't be named.
type Derive func(r *Row, tell func(Change)) bool

const (
	// changePrefix marks the messages of emit_change, besidePrefix those of triggers, which speak beside functions and rows,
	// barrierPrefix one that only moves the WAL on.
	changePrefix  = "freshet"
	besidePrefix  = "freshet.beside"
	barrierPrefix = "freshet.barrier"
	// maxTransaction bounds the changes of one transaction: beyond it everything may have changed.
	maxTransaction = 1_000_000
)

// transaction is what one commit changed.
type transaction struct {
	end     uint64
	changes []Change
	gap     bool // it changed what can't be named
}

// assembler makes transactions of what the decoder reads. A transaction in which a function of the database has spoken is
// what the functions said, and its rows are passed over; kind 0 is no change, so that one can be of nothing. Of others each row
// is told. What triggers say comes after that, in both.
type assembler struct {
	derive Derive
	at     position.Position // of its stream
	open   bool
	spoken bool
	now    transaction
	beside transaction
	done   func(transaction)
}

func (a *assembler) begin() {
	a.open, a.spoken, a.now, a.beside = true, false, transaction{}, transaction{}
}

func (a *assembler) row(r *Row) {
	if a.spoken || a.now.gap {
		return
	}
	if !a.derive(r, a.tell) {
		a.fail()
	}
}

func (a *assembler) message(prefix string, content []byte) {
	if !a.open { // outside of a transaction nothing of ours speaks
		return
	}
	if prefix == besidePrefix {
		c, ok := parseChange(string(content))
		a.beside.gap = a.beside.gap || !ok || len(a.beside.changes) == maxTransaction
		if !a.beside.gap {
			a.beside.changes = append(a.beside.changes, c)
		}
		return
	}
	if prefix != changePrefix {
		return
	}
	if !a.spoken {
		a.spoken, a.now = true, transaction{}
	}
	switch c, ok := parseChange(string(content)); {
	case !ok:
		a.fail()
	case c.Kind != 0:
		a.tell(c)
	}
}

func (a *assembler) tell(c Change) {
	if a.now.gap {
		return
	}
	if len(a.now.changes) == maxTransaction {
		a.fail()
		return
	}
	a.now.changes = append(a.now.changes, c)
}

func (a *assembler) fail() { a.now = transaction{gap: true} }

func (a *assembler) commit(end uint64) {
	if a.beside.gap {
		a.fail()
	}
	for _, c := range a.beside.changes {
		a.tell(c)
	}
	a.open, a.now.end = false, end
	at := a.at
	at.Offset = end
	for i := range a.now.changes {
		a.now.changes[i].At = at
	}
	a.done(a.now)
	a.now = transaction{}
}

// parseChange reads what emit_change wrote: kind, subject, object and further ids, in decimal.
func parseChange(text string) (c Change, ok bool) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return c, false
	}
	kind, err := strconv.ParseUint(fields[0], 10, 8)
	if err != nil {
		return c, false
	}
	ids := make([]freshet.ID, len(fields)-1)
	for i, f := range fields[1:] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil || n < 0 {
			return c, false
		}
		ids[i] = freshet.ID(n)
	}
	c = Change{Kind: uint8(kind), Subject: ids[0], Object: ids[1]}
	if len(ids) > 2 {
		c.Also = ids[2:]
	}
	return c, true
}
