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
