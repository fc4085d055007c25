// Package position names points in the history of a database, and the token
// that carries them between a write and the reads that must see it.
//
//	tok := position.Token{}.Raise(written)
//	text := signer.Seal(tok)              // into the Freshet-Token header
//	tok, err := signer.Open(text)         // out of the next request
//	fresh := applied.Reached(tok.At(applied.System))
//
// Invariants: positions of one system and timeline are totally ordered;
// positions of different systems are not comparable; a token holds at most one
// position per system. The package imports the standard library alone.
//
// It is not a clock: nothing here says when a position was reached.
package position

import "cmp"

// Position is a point in the history of one database.
type Position struct {
	System   uint64 // the database: drawn at random when it was created
	Timeline uint32 // rises with every promotion or restore
	Offset   uint64 // SQLite: number of the commit; PostgreSQL: flushed LSN
}

// IsZero reports whether p names no point.
func (p Position) IsZero() bool { return p == Position{} }

// Compare orders two positions of one system; ok is false when they belong to
// different ones and cannot be ordered.
func (p Position) Compare(q Position) (order int, ok bool) {
	if p.System != q.System {
		return 0, false
	}
	if c := cmp.Compare(p.Timeline, q.Timeline); c != 0 {
		return c, true
	}
	return cmp.Compare(p.Offset, q.Offset), true
}

// Reached reports whether a node that is at p has everything up to want. A
// position of another system, or of another timeline, has reached nothing.
func (p Position) Reached(want Position) bool {
	return p.System == want.System && p.Timeline == want.Timeline && p.Offset >= want.Offset
}
