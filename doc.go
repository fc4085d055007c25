// Package freshet holds the domain of an activity feed: users who follow each
// other, the posts they write, the likes and comments on them, and the few
// values every layer speaks of — [ID], [Effect], [Error], [Cursors].
//
//	id, err := freshet.ParseID("1234")
//	when, home := id.Time(), id.Bucket()
//	err = freshet.Invalid("text", "is longer than 5000 characters")
//	cursor := cursors.Seal("feed", reader, id)
//
// Invariants: the package imports the standard library alone; its types are
// plain data, safe to copy, and know nothing of how they are stored, cached or
// shown. What a type means is said here once; adapters translate.
//
// It is not a service: the use cases live in package social, the system of
// record behind package store.
package freshet
