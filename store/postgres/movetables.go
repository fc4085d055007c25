package postgres

import (
	"fmt"
	"strings"

	"github.com/freshet/freshet/store"
)

// movable is a table as a [store.Table] has it, with the statements that read and write its rows: many at a time, by arrays, one for
// each column. "@" in a statement stands for these, and it knows the columns as n.c1, n.c2 and so on.
type movable struct {
	table store.Table
	// columns of the rows. Behind a name: @ is a time, ! yes or no, # bytes that are never NULL; ? means NULL for none, which is the
	// number 0 or no bytes, ~ the same for -1; + is a list of ids.
	columns string
	place   string   // the bucket of a row, as SQL; "": of the first column; "0": home
	join    string   // further tables that the columns are from
	guarded []string // the tables whose changes are changes of a row, if not the one of its name
	clash   []string // what takes away whatever an order of puts could collide with
	put     []string // instead of one INSERT
	drop    []string // instead of one DELETE
	stays   bool     // DropRows leaves it alone

	first, after, byKey string // rows of the guarded buckets: from the start, after a key; rows of keys
	keys, keysAfter     string // keys of the guarded buckets
}

var movables = prepared([]movable{
	{
		table:   store.UsersTable,
		columns: "id created_at@ admin! handle ref name bio avatar_url email password_hash c.followers c.following c.posts c.head m.claim private! c.notified",
		join:    " LEFT JOIN user_counts c ON c.id = t.id LEFT JOIN name_claims m ON m.user_id = t.id",
		guarded: []string{"user_counts", "users", "name_claims"},
		// A claim that is drawn here from now on is above those that came.
		put: []string{`WITH n AS MATERIALIZED (SELECT * FROM @),
			counts AS (INSERT INTO user_counts (id, followers, following, posts, head, notified) SELECT c1, c11, c12, c13, c14, c17 FROM n
				ON CONFLICT (id) DO UPDATE SET followers = excluded.followers, following = excluded.following, posts = excluded.posts, head = excluded.head,
					notified = excluded.notified),
			claims AS (INSERT INTO name_claims (user_id, claim) SELECT c1, c15 FROM n ON CONFLICT (user_id) DO UPDATE SET claim = excluded.claim),
			last AS (INSERT INTO drawn AS d (bucket, id) SELECT bucket_of(c1), max(greatest(c1, c15)) FROM n GROUP BY 1
				ON CONFLICT (bucket) DO UPDATE SET id = greatest(d.id, excluded.id))
			INSERT INTO users (id, created_at, admin, handle, ref, name, bio, avatar_url, email, password_hash, private)
				SELECT c1, of_micros(c2), c3 <> 0, c4, c5, c6, c7, c8, c9, c10, c16 <> 0 FROM n
			ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, admin = excluded.admin, handle = excluded.handle, ref = excluded.ref,
				name = excluded.name, bio = excluded.bio, avatar_url = excluded.avatar_url, email = excluded.email, password_hash = excluded.password_hash,
				private = excluded.private`},
		drop: []string{
			"DELETE FROM users t USING @ WHERE t.id = n.c1", "DELETE FROM user_counts t USING @ WHERE t.id = n.c1",
			"DELETE FROM name_claims t USING @ WHERE t.user_id = n.c1",
		},
	},
	{
		table:   store.PostsTable,
		columns: "id author created_at@ edited_at@? ref text data? c.likes c.comments",
		join:    " LEFT JOIN post_counts c ON c.id = t.id",
		guarded: []string{"posts", "post_counts"},
		put: []string{`WITH n AS MATERIALIZED (SELECT * FROM @),
			counts AS (INSERT INTO post_counts (id, author, likes, comments) SELECT c1, c2, c8, c9 FROM n
				ON CONFLICT (id) DO UPDATE SET author = excluded.author, likes = excluded.likes, comments = excluded.comments)
			INSERT INTO posts (id, author, created_at, edited_at, ref, text, data)
				SELECT c1, c2, of_micros(c3), of_micros(nullif(c4, 0)), c5, c6, nullif(c7, '') FROM n
			ON CONFLICT (id) DO UPDATE SET author = excluded.author, created_at = excluded.created_at, edited_at = excluded.edited_at,
				ref = excluded.ref, text = excluded.text, data = excluded.data`},
		drop: []string{"DELETE FROM posts t USING @ WHERE t.id = n.c1", "DELETE FROM post_counts t USING @ WHERE t.id = n.c1"},
	},
	{table: store.PostRefsTable, columns: "author ref post"},
	{
		table: store.FollowsTable, columns: "follower followee id",
		clash: []string{"DELETE FROM follows t USING @ WHERE t.follower = n.c1 AND t.id = n.c3 AND t.followee <> n.c2"},
	},
	{table: store.FollowersTable, columns: "followee id follower"},
	{table: store.BlocksTable, columns: "blocker blocked id"},
	{table: store.BlockedByTable, columns: "blocked blocker id"},
	{table: store.MutesTable, columns: "muter muted id"},
	{table: store.LikesTable, columns: "post user_id id"},
	{table: store.CommentsTable, columns: "id post author created_at@ text"},
	{
		table: store.SessionsTable, columns: "id user_id hash# admin! agent created_at@ used_at@ expires_at@",
		clash: []string{"DELETE FROM sessions t USING @ WHERE t.hash = n.c3 AND t.id <> n.c1"},
	},
	{table: store.ViewsTable, columns: "post views"},
	{table: store.ViewHoursTable, columns: "post hour views"},
	{table: store.ReadersTable, columns: "post readers#"},
	{table: store.ImportedTable, columns: "hash# post", place: "bucket_of(t.post)"},
	{
		// Another claim under the same key is none of the move's.
		table: store.ClaimsTable, columns: "key# hash# subject created_at@ status answer?",
		place: "CASE t.subject WHEN 0 THEN -1 ELSE bucket_of(t.subject) END",
		drop:  []string{"DELETE FROM claims t USING @ WHERE t.key = n.c1 AND t.subject <> 0 AND bucket_of(t.subject) IN " + movingBuckets},
	},
	{
		table: store.MirrorsTable, columns: "id seq kind actor target edge also+", place: "bucket_of(t.actor)",
		clash: []string{"SELECT raise_mirrors((SELECT array_agg(n.c2) FROM @))"},
	},
	{table: store.MirroredTable, columns: "id bucket refused! at@", place: "t.bucket"},
	{
		table: store.EndedTable, columns: "id",
		drop: []string{
			"DELETE FROM ended t USING @ WHERE t.id = n.c1",
			"DELETE FROM name_claims t USING @ WHERE t.user_id = n.c1 AND NOT EXISTS (SELECT FROM users u WHERE u.id = n.c1)",
		},
	},
	{table: store.HandlesTable, columns: "handle user_id claim pending! held~", place: atHome},
	{table: store.UserRefsTable, columns: "ref user_id claim pending! held~", place: atHome},
	{
		table: store.KeysTable, columns: "id name hash# admin! created_at@ revoked_at@?", place: atHome,
		clash: []string{
			"DELETE FROM api_keys t USING @ WHERE t.hash = n.c3 AND t.id <> n.c1",
			"DELETE FROM api_keys t USING @ WHERE t.name = n.c2 AND t.revoked_at IS NULL AND n.c6 = 0 AND t.id <> n.c1",
		},
	},
	{table: store.SecretsTable, columns: "name value#", place: atHome},
	{
		// A part needs those that it has added itself, wherever home is.
		table: store.JournalsTable, columns: "journal# seq part", place: atHome, stays: true,
		put: []string{`INSERT INTO view_batches AS t (journal, seq, part) SELECT n.c1, n.c2, n.c3 FROM @
			ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq, part = excluded.part WHERE (t.seq, t.part) < (excluded.seq, excluded.part)`},
	},
	{table: store.RequestsTable, columns: "target requester id accepted!"},
	{
		table: store.NotificationsTable, columns: "id user_id kind actor object post name text",
		clash: []string{"DELETE FROM notifications t USING @ WHERE t.actor = n.c4 AND t.kind = n.c3 AND t.object = n.c5 AND t.name = n.c7 AND t.id <> n.c1"},
	},
})

const (
	atHome        = "0"
	movingBuckets = "(SELECT unnest(buckets) FROM move)"
)

// movableOf is a table's.
func movableOf(t store.Table) *movable { return &movables[t-store.UsersTable] }

// sqlTypes are the types of a row's columns.
var sqlTypes = map[byte]string{'i': "bigint", 's': "text", 'b': "bytea"}

// given stands for n columns of rows: unnest($1::bigint[], …) AS n (c1, …).
func given(types string) string {
	arrays, names := make([]string, len(types)), make([]string, len(types))
	for i := range len(types) {
		arrays[i], names[i] = fmt.Sprintf("$%d::%s[]", i+1, sqlTypes[types[i]]), fmt.Sprintf("c%d", i+1)
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") AS n (" + strings.Join(names, ", ") + ")"
}

func prepared(list []movable) []movable {
	for i := range list {
		list[i].prepare()
	}
	return list
}

func (m *movable) prepare() {
	name, types, keyLen := m.table.String(), m.table.Types(), m.table.KeyLen()
	var read, names, values, sets []string
	for i, column := range strings.Fields(m.columns) {
		c := strings.TrimRight(column, "@!#?~+")
		names = append(names, c)
		read = append(read, readAs(c, column[len(c):]))
		values = append(values, putAs(fmt.Sprintf("n.c%d", i+1), column[len(c):]))
		if i >= keyLen {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	if m.guarded == nil {
		m.guarded = []string{name}
	}
	if m.place == "" {
		m.place = "bucket_of(t." + names[0] + ")"
	}
	if m.put == nil {
		key, set := strings.Join(names[:keyLen], ", "), "NOTHING"
		if len(sets) > 0 {
			set = "UPDATE SET " + strings.Join(sets, ", ")
		}
		m.put = []string{fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM @ ON CONFLICT (%s) DO %s", name, strings.Join(names, ", "), strings.Join(values, ", "), key, set)}
	}
	m.prepareReads(read, names[:keyLen])
	for _, statements := range [][]string{m.clash, m.put} {
		for i := range statements {
			statements[i] = strings.ReplaceAll(statements[i], "@", given(types))
		}
	}
	for i := range m.drop {
		m.drop[i] = strings.ReplaceAll(m.drop[i], "@", given(types[:keyLen]))
	}
}

// prepareReads makes the queries. A page begins at its key and goes on in the order of the primary key; IS TRUE keeps the planner
// from a join, which would lose that order. Text is in the order of its bytes.
func (m *movable) prepareReads(read, key []string) {
	name, types := m.table.String(), m.table.Types()
	var columns, order, same, asked []string
	for i, c := range key {
		columns, same = append(columns, "t."+c), append(same, fmt.Sprintf("t.%s = n.c%d", c, i+1))
		asked = append(asked, fmt.Sprintf("$%d::%s", i+1, sqlTypes[types[i]]))
		if c = "t." + c; types[i] == 's' {
			c += ` COLLATE "C"`
		}
		order = append(order, c)
	}
	if m.drop == nil {
		m.drop = []string{"DELETE FROM " + name + " t USING @ WHERE " + strings.Join(same, " AND ")}
	}
	m.byKey = fmt.Sprintf("SELECT %s FROM %s t JOIN %s ON %s%s", strings.Join(read, ", "), name, given(types[:len(key)]), strings.Join(same, " AND "), m.join)
	if m.table == store.EndedTable {
		m.prepareEnds()
		return
	}
	from := fmt.Sprintf(" FROM %s t%%s WHERE (%s IN %s) IS TRUE", name, m.place, movingBuckets)
	after := fmt.Sprintf(" AND %s >= $1 AND (%s) > (%s)", order[0], strings.Join(order, ", "), strings.Join(asked, ", "))
	if len(key) == 1 {
		after = fmt.Sprintf(" AND %s > %s", order[0], asked[0])
	}
	page := func(columns []string, join, after string, limit int) string {
		return fmt.Sprintf("SELECT %s%s%s ORDER BY %s LIMIT $%d", strings.Join(columns, ", "), fmt.Sprintf(from, join), after, strings.Join(order, ", "), limit)
	}
	m.first, m.after = page(read, m.join, "", 1), page(read, m.join, after, len(key)+1)
	m.keys, m.keysAfter = page(columns, "", "", 1), page(columns, "", after, len(key)+1)
}

// prepareEnds: who has a claim on names and is no user will never be one.
func (m *movable) prepareEnds() {
	page := func(after, limit string) string {
		return fmt.Sprintf(`(SELECT id FROM ended WHERE (bucket_of(id) IN %[1]s) IS TRUE AND id > %[2]s ORDER BY id LIMIT %[3]s)
			UNION (SELECT user_id FROM name_claims WHERE (bucket_of(user_id) IN %[1]s) IS TRUE AND user_id > %[2]s
				AND EXISTS (SELECT FROM users u WHERE u.id = user_id) IS FALSE ORDER BY user_id LIMIT %[3]s)
			ORDER BY 1 LIMIT %[3]s`, movingBuckets, after, limit)
	}
	m.first, m.after = page("0", "$1"), page("$1", "$2")
	m.keys, m.keysAfter = m.first, m.after
	m.byKey = "SELECT n.c1 FROM " + given("i") + ` WHERE EXISTS (SELECT FROM ended WHERE id = n.c1)
		OR EXISTS (SELECT FROM name_claims WHERE user_id = n.c1) AND NOT EXISTS (SELECT FROM users u WHERE u.id = n.c1)`
}

func readAs(column, marks string) string {
	name := "t." + column
	switch {
	case strings.Contains(column, "."): // of a joined table
		return "coalesce(" + column + ", 0)"
	case strings.HasPrefix(marks, "@"):
		return "micros(" + name + ")"
	case marks == "!":
		return name + "::int"
	case marks == "~":
		return "coalesce(" + name + ", -1)"
	case marks == "+":
		return "bytes_of(" + name + ")"
	}
	return name
}

func putAs(value, marks string) string {
	switch marks {
	case "@":
		return "of_micros(" + value + ")"
	case "@?":
		return "of_micros(nullif(" + value + ", 0))"
	case "!":
		return value + " <> 0"
	case "#":
		return "coalesce(" + value + ", '')"
	case "?":
		return "nullif(" + value + ", '')"
	case "~":
		return "nullif(" + value + ", -1)"
	case "+":
		return "ids_of(" + value + ")"
	}
	return value
}
