package sqlite

import "github.com/freshet/freshet/internal/litedb"

// File lets tests look behind the ports.
func (d *DB) File() *litedb.DB { return d.file }

// HomeQuery is the statement whose plan a test looks at.
const HomeQuery = home
