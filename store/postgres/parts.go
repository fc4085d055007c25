package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Elsewhere are the buckets that are not in this database.
func (d *DB) Elsewhere(ctx context.Context) (b store.Buckets, err error) {
	err = d.db.Read(ctx, "SELECT bucket FROM elsewhere", nil, func(r pgx.Rows) error {
		var n int
		err := r.Scan(&n)
		b.Add(n)
		return err
	})
	return b, err
}

// SetElsewhere says which buckets are not in this database.
func (d *DB) SetElsewhere(ctx context.Context, b store.Buckets) error {
	_, err := d.db.Write(ctx, pgdb.Call{SQL: "SELECT set_elsewhere($1)", Args: []any{list32(b.List())}})
	return err
}

func list32(list []int) []int32 {
	out := make([]int32, len(list))
	for i, n := range list {
		out[i] = int32(n)
	}
	return out
}

// PostsOf is Home for authors who are named. Among 10,000 it looks, like Home, at the heads of all and into the posts of a page's.
func (d *DB) PostsOf(ctx context.Context, authors []freshet.ID, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	return list(ctx, d, scanRef, postsOf, numbers(authors), from(before), limit)
}

// CredentialsOf gives what a sign-in of a known user is checked against.
func (d *DB) CredentialsOf(ctx context.Context, user freshet.ID) (freshet.Credentials, error) {
	return get(ctx, d, "user", scanCredentials, "SELECT id, password_hash, admin FROM users WHERE id = $1", int64(user))
}

// halves is the query for each kind of half. IS TRUE keeps the planner from a join, which would lose the order of the index.
func halves(table, here, there string) string {
	return "SELECT " + here + ", " + there + ", id FROM " + table + " WHERE " + here + " >= $1 AND (" + here + ", " + there + ") > ($1, $2)" +
		" AND (bucket_of(" + here + ") NOT IN (SELECT bucket FROM elsewhere)) IS TRUE" +
		" AND (bucket_of(" + there + ") IN (SELECT bucket FROM elsewhere)) IS TRUE ORDER BY " + here + ", " + there + " LIMIT $3"
}

var halvesOf = map[[2]bool]string{ // by Blocks and Mirror
	{false, false}: halves("follows", "follower", "followee"),
	{false, true}:  halves("followers", "followee", "follower"),
	{true, false}:  halves("blocks", "blocker", "blocked"),
	{true, true}:   halves("blocked_by", "blocked", "blocker"),
}

// Halves lists follows or blocks between a user here and one elsewhere.
func (d *DB) Halves(ctx context.Context, q store.HalfQuery) ([]store.Half, error) {
	return list(ctx, d, func(r pgx.Rows) (h store.Half, err error) {
		err = r.Scan((*int64)(&h.Here), (*int64)(&h.There), (*int64)(&h.Edge))
		return h, err
	}, halvesOf[[2]bool{q.Blocks, q.Mirror}], int64(q.After.Here), int64(q.After.There), q.Limit)
}

// Pending lists mirrors that were written here and not settled, oldest first. Those of actors who are elsewhere are listed there.
func (d *DB) Pending(ctx context.Context, to store.Buckets, limit int) ([]store.Mirror, error) {
	return list(ctx, d, func(r pgx.Rows) (m store.Mirror, err error) {
		var also []int64
		err = r.Scan((*int64)(&m.ID), &m.Kind, (*int64)(&m.Actor), (*int64)(&m.Target), (*int64)(&m.Edge), &also)
		m.Also = toIDs(also)
		return m, err
	}, `SELECT id, kind, actor, target, edge, also FROM mirrors WHERE (kind = 5 OR bucket_of(target) = ANY ($1::integer[]))
		AND NOT is_elsewhere(actor) ORDER BY seq, id LIMIT $2`, list32(to.List()), limit)
}

// Apply makes the other halves of mirrors, each once.
func (d *DB) Apply(ctx context.Context, mirrors []store.Mirror) (applied []store.Applied, at position.Token, err error) {
	n := len(mirrors)
	ids, actors, targets, edges, also := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), []int64{}
	kinds, ends := make([]int32, n), make([]int32, n)
	for i, m := range mirrors {
		ids[i], kinds[i], actors[i], targets[i], edges[i] = int64(m.ID), int32(m.Kind), int64(m.Actor), int64(m.Target), int64(m.Edge)
		also = append(also, numbers(m.Also)...)
		ends[i] = int32(len(also))
	}
	call := pgdb.Call{
		SQL:  "SELECT refused, parents, neighbors FROM apply_mirrors($1, $2, $3, $4, $5, $6, $7, $8)",
		Args: []any{ids, kinds, actors, targets, edges, also, ends, d.db.Now()},
	}
	var before []pgdb.Call
	quiet := n > 0 && len(mirrors[0].Also) > 0 // an import's
	if !slices.ContainsFunc(mirrors, func(m store.Mirror) bool { return m.Kind != store.FollowMade || len(m.Also) > 0 != quiet }) {
		call.SQL, call.Args = "SELECT refused, '{}'::bigint[], '{}'::bigint[] FROM apply_follows($1, $2, $3, $4, $5) AS refused",
			[]any{ids, actors, targets, edges, d.db.Now()}
		if quiet {
			before = append(before, pgdb.Call{SQL: "SELECT set_config('freshet.quiet', '1', true)"})
		}
	}
	at, err = d.write(ctx, store.Write{}, append(before, gather(&applied, func(r pgx.Rows) (a store.Applied, err error) {
		var parents, neighbors []int64
		err = r.Scan(&a.Refused, &parents, &neighbors)
		a.Parents, a.Neighbors = toIDs(parents), toIDs(neighbors)
		return a, err
	}, call))...)
	if err != nil {
		return nil, nil, err
	}
	return applied, at, nil
}

// Settle forgets mirrors that were written here, and undoes the facts of those that were refused.
func (d *DB) Settle(ctx context.Context, done []store.Settled) (position.Token, error) {
	ids, refused := make([]int64, len(done)), make([]bool, len(done))
	for i, s := range done {
		ids[i], refused[i] = int64(s.ID), s.Refused
	}
	return d.write(ctx, store.Write{}, pgdb.Call{SQL: "SELECT settle_mirrors($1, $2)", Args: []any{ids, refused}})
}
