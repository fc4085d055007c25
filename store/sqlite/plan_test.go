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
		var plan []string
		if err := db.File().View(t.Context(), func(c *litedb.Conn) error {
			return c.Each("EXPLAIN QUERY PLAN "+sqlite.HomeQuery, []any{readers[0].id, int64(1) << 62, 50}, func(r *litedb.Rows) {
				plan = append(plan, r.Text(3))
			})
		}); err != nil {
			t.Fatal(err)
		}
		follows := slices.IndexFunc(plan, func(s string) bool {
			return strings.Contains(s, "COVERING INDEX follows_id (follower=?)") || strings.Contains(s, "follows USING PRIMARY KEY (follower=?)")
		})
		posts := slices.Index(plan, "SEARCH p USING COVERING INDEX posts_author (author=? AND rowid<?)")
		if follows < 0 || posts < follows {
			t.Errorf("analyzed %v: the plan is\n%s", analyzed, strings.Join(plan, "\n"))
		}
	}
}
