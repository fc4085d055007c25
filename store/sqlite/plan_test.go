package sqlite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store/sqlite"
)

// TestHomePlan: the pull query seeks each author's newest posts in the index and
// reads nothing else of the posts, without statistics too.
func TestHomePlan(t *testing.T) {
	db, readers := network(t, 50, 500, 20)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, db, "ANALYZE")
		}
		plan := planOf(t, db, sqlite.HomeQuery, readers[0].id, int64(1)<<62, 50)
		follows := slices.IndexFunc(plan, func(s string) bool {
			return strings.Contains(s, "COVERING INDEX follows_id (follower=?)") || strings.Contains(s, "follows USING PRIMARY KEY (follower=?)")
		})
		posts := slices.Index(plan, "SEARCH p USING COVERING INDEX posts_author (author=? AND rowid<?)")
		if follows < 0 || posts < follows {
			t.Errorf("analyzed %v: the plan is\n%s", analyzed, strings.Join(plan, "\n"))
		}
	}
}

// TestPartPlans: what a part is asked for is sought by its author or bucket,
// from the newest or the oldest, and nothing else is read.
func TestPartPlans(t *testing.T) {
	db, _ := network(t, 50, 500, 20)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			exec(t, db, "ANALYZE")
		}
		for _, q := range []struct {
			query string
			args  []any
			want  string
		}{
			{sqlite.PostsOfQuery, []any{"[1,2]", int64(1) << 62, 50}, "SEARCH p USING COVERING INDEX posts_author (author=? AND rowid<?)"},
			{sqlite.PendingQuery, []any{"[1,2]", 50}, "SEARCH m USING INDEX mirrors_bucket (bucket=?)"},
		} {
			plan := planOf(t, db, q.query, q.args...)
			if i := slices.Index(plan, q.want); i != 1 {
				t.Errorf("analyzed %v: the plan is\n%s", analyzed, strings.Join(plan, "\n"))
			}
		}
	}
}

func planOf(t *testing.T, db *sqlite.DB, query string, args ...any) (plan []string) {
	t.Helper()
	if err := db.File().View(t.Context(), func(c *litedb.Conn) error {
		return c.Each("EXPLAIN QUERY PLAN "+query, args, func(r *litedb.Rows) { plan = append(plan, r.Text(3)) })
	}); err != nil {
		t.Fatal(err)
	}
	return plan
}
