package sqlite

import (
	"fmt"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// movable is a table as a [store.Table] has it, with the statements that read and
// write its rows.
type movable struct {
	table   store.Table
	columns []column // in the order of a store.Row
	place   string   // the column whose bucket the row lies in; "0": home, with bucket 0

	first, after, one string // rows of the guarded buckets: from the start, after a key, by key
	keys, keysAfter   string // the same, keys alone
	put, drop         string
}

// column is one of a [store.Row].
type column struct {
	name string
	mark string // see movables
}

// movables are all tables. Behind a column's name: @ is a time, kept in
// nanoseconds and told in microseconds; ? is NULL where there are no bytes, ~ where
// the number is -1; # is an id that was drawn for this row or user; = is not
// kept, but read otherwise.
var movables = []movable{
	describe(store.UsersTable, "id", "id# created_at@ admin handle ref name bio avatar_url email password_hash "+
		"followers_count following_count posts_count head= claim# private notified"),
	describe(store.PostsTable, "id", "id# author created_at@ edited_at@ ref text data? likes comments"),
	describe(store.PostRefsTable, "author", "author ref post"),
	describe(store.FollowsTable, "follower", "follower followee id#"),
	describe(store.FollowersTable, "followee", "followee id follower"),
	describe(store.BlocksTable, "blocker", "blocker blocked id#"),
	describe(store.BlockedByTable, "blocked", "blocked blocker id"),
	describe(store.MutesTable, "muter", "muter muted id#"),
	describe(store.LikesTable, "post", "post user id#"),
	describe(store.CommentsTable, "id", "id# post author created_at@ text"),
	describe(store.SessionsTable, "id", "id# user hash admin agent created_at@ used_at@ expires_at@"),
	describe(store.ViewsTable, "post", "post views"),
	describe(store.ViewHoursTable, "post", "post hour views"),
	describe(store.ReadersTable, "post", "post readers"),
	describe(store.ImportedTable, "post", "hash post"),
	describe(store.ClaimsTable, "subject", "key hash subject created_at@ status answer?"),
	describe(store.MirrorsTable, "actor", "id# n kind actor target edge also?"),
	describe(store.MirroredTable, "bucket", "id bucket refused at@"),
	describe(store.EndedTable, "id", "id#"),
	describe(store.HandlesTable, "0", "handle user claim pending held~"),
	describe(store.UserRefsTable, "0", "ref user claim pending held~"),
	describe(store.KeysTable, "0", "id# name hash admin created_at@ revoked_at@"),
	describe(store.SecretsTable, "0", "name value"),
	describe(store.JournalsTable, "0", "journal seq part"),
	describe(store.RequestsTable, "target", "target requester id# accepted"),
	describe(store.NotificationsTable, "id", "id# user kind actor object post name text"),
}

var lastMovable = movables[len(movables)-1].table

// movableOf is a table's.
func movableOf(t store.Table) *movable { return &movables[t-store.UsersTable] }

func describe(t store.Table, place, columns string) movable {
	m := movable{table: t, place: place}
	for _, c := range strings.Fields(columns) {
		name := strings.TrimRight(c, "@?~#=")
		m.columns = append(m.columns, column{name, c[len(name):]})
	}
	m.prepare()
	return m
}

// guarded is the condition that a row is of a guarded bucket. 12 is where an id's
// bucket begins.
func (m *movable) guarded(row string) string {
	switch m.place {
	case "0":
		return "0 IN (SELECT bucket FROM moving)"
	case "bucket":
		return row + "bucket IN (SELECT bucket FROM moving)"
	case "subject":
		return row + "subject <> 0 AND (" + row + "subject >> 12 & 1023) IN (SELECT bucket FROM moving)"
	}
	return "(" + row + m.place + " >> 12 & 1023) IN (SELECT bucket FROM moving)"
}

func (m *movable) prepare() {
	var read, names, values []string
	for _, c := range m.columns {
		name, value := c.name, "?"
		switch c.mark {
		case "@":
			name, value = c.name+" / 1000", "? * 1000"
		case "?":
			value = "nullif(?, x'')"
		case "~":
			name, value = "coalesce("+c.name+", -1)", "nullif(?, -1)"
		case "=": // the head: the newest post
			name, value = "(SELECT coalesce(max(p.id), 0) FROM posts p WHERE p.author = users.id)", ""
		}
		read = append(read, name)
		if value != "" {
			names, values = append(names, c.name), append(values, value)
		}
	}
	if m.table == store.MirrorsTable {
		names, values = append(names, "bucket"), append(values, "?")
	}
	var key, marks []string
	for _, c := range m.columns[:m.table.KeyLen()] {
		key, marks = append(key, c.name), append(marks, "?")
	}
	keys, asked := strings.Join(key, ", "), strings.Join(marks, ", ")
	from, order := " FROM "+m.table.String()+" WHERE "+m.guarded(""), " ORDER BY "+keys+" LIMIT ?"
	above := fmt.Sprintf(" AND (%s) > (%s)", keys, asked)
	m.first = "SELECT " + strings.Join(read, ", ") + from + order
	m.after = "SELECT " + strings.Join(read, ", ") + from + above + order
	m.keys = "SELECT " + keys + from + order
	m.keysAfter = "SELECT " + keys + from + above + order
	same := fmt.Sprintf(" AND (%s) = (%s)", keys, asked)
	m.drop = "DELETE" + from + same
	if m.table == store.EndedTable { // of any user
		from = " FROM ended WHERE 1"
	}
	m.one = "SELECT " + strings.Join(read, ", ") + from + same
	// REPLACE also takes away what another key has of what must be unique.
	m.put = fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (%s)", m.table, strings.Join(names, ", "), strings.Join(values, ", "))
	if m.table == store.JournalsTable {
		m.put = `INSERT INTO view_batches (journal, seq, part) VALUES (?, ?, ?)
			ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq, part = excluded.part WHERE (seq, part) < (excluded.seq, excluded.part)`
	}
}

// scan reads a row, or a key, of n columns from column at on.
func (m *movable) scan(r *litedb.Rows, at, n int) store.Row {
	row := make(store.Row, n)
	for i := range row {
		switch m.table.Types()[i] {
		case 's':
			row[i] = r.Text(at + i)
		case 'b':
			row[i] = r.Blob(at + i)
		default:
			row[i] = r.Int(at + i)
		}
	}
	return row
}

// check fails where a row, or a key, has other columns than the table.
func (m *movable) check(row store.Row, n int) error {
	if len(row) != n {
		return fmt.Errorf("%d columns of %s, want %d", len(row), m.table, n)
	}
	for i, v := range row {
		var ok bool
		switch m.table.Types()[i] {
		case 's':
			_, ok = v.(string)
		case 'b':
			_, ok = v.([]byte)
		default:
			_, ok = v.(int64)
		}
		if !ok {
			return fmt.Errorf("column %s of %s is a %T", m.columns[i].name, m.table, v)
		}
	}
	return nil
}

// bucket is that of a whole row.
func (m *movable) bucket(row store.Row) int {
	for i, c := range m.columns {
		switch {
		case c.name != m.place:
		case m.place == "bucket":
			return int(row[i].(int64))
		default:
			return freshet.ID(row[i].(int64)).Bucket()
		}
	}
	return 0
}

// write makes a row be as it is given.
func (t *tx) putRow(m *movable, row store.Row) error {
	args := make([]any, 0, len(row)+1)
	for i, v := range row {
		switch c := m.columns[i]; {
		case c.mark == "=":
			continue
		case c.mark == "#":
			// Ids that are drawn here from now on are above those that came.
			t.PassID(freshet.ID(v.(int64)))
		case c.mark == "?":
			v = orNull(v.([]byte))
		}
		args = append(args, v)
	}
	if m.table == store.MirrorsTable {
		args = append(args, bucketOfMirror(store.MirrorKind(row[2].(int64)), freshet.ID(row[4].(int64))))
	}
	return t.exec(m.put, args...)
}
