package sqlite

import "github.com/freshet/freshet/internal/litedb"

// File lets tests look behind the ports.
func (d *DB) File() *litedb.DB { return d.file }

// The statements whose plans a test looks at.
const (
	HomeQuery    = home
	PostsOfQuery = postsOf
	PendingQuery = pending
)

// RowsQueries are the statements that list rows of a move after a key, each with
// the number of the key's columns.
func RowsQueries() map[string]int {
	queries := make(map[string]int)
	for _, m := range movables {
		queries[m.after], queries[m.keysAfter] = m.table.KeyLen(), m.table.KeyLen()
	}
	return queries
}
