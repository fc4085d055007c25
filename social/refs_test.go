package social

import (
	"fmt"
	"slices"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

func ExampleRefsOf() {
	refs := RefsOf(store.Change{Kind: store.LikeChanged, Subject: 31, Object: 7})
	fmt.Println("counts of posts", refs.Counts, "likes of readers", refs.Liked)
	// Output: counts of posts [31] likes of readers [7]
}

func TestRefsOfEveryKind(t *testing.T) {
	type ids = []freshet.ID
	type rows = []cache.Dependency
	posts, comments := rows{{Table: "posts", Key: "2"}}, rows{{Table: "comments", Key: "1"}}
	lists := func(table string, keys ...string) (r rows) {
		for _, k := range keys {
			r = append(r, cache.Dependency{Table: table, Key: k})
		}
		return r
	}
	follows := func(followers, followed []string) rows {
		return append(lists("following", followers...), lists("followers", followed...)...)
	}
	both, erased, imported := []string{"1", "2"}, []string{"1", "3", "4"}, []string{"3", "4"}
	for kind, want := range map[store.ChangeKind]Refs{
		store.UserChanged: {Users: ids{1}},
		store.UserErased: {
			Users: ids{1, 3, 4}, Relations: ids{1, 3, 4}, Liked: ids{1}, Timelines: ids{1}, Rows: follows(erased, erased),
		},
		store.FollowChanged: {
			Users: ids{1, 2}, Relations: ids{1}, Timelines: ids{1}, Rows: follows(both[:1], both[1:]),
		},
		store.BlockChanged: {
			Users: ids{1, 2}, Relations: ids{1, 2}, Timelines: ids{1, 2}, Rows: follows(both, both),
		},
		store.MuteChanged:    {Relations: ids{1}},
		store.PostCreated:    {Posts: ids{1}, Counts: ids{1}, Users: ids{2}, Rows: posts},
		store.PostEdited:     {Posts: ids{1}},
		store.PostDeleted:    {Posts: ids{1}, Counts: ids{1}, Removed: ids{1}, Users: ids{2}, Rows: append(posts, comments...)},
		store.LikeChanged:    {Counts: ids{1}, Liked: ids{2}},
		store.CommentChanged: {Counts: ids{1}, Rows: comments},
		store.RequestChanged: {},
		store.Notified:       {},
		store.SessionEnded:   {},
		store.KeyRevoked:     {},
		store.Imported: {
			Users: ids{3, 4}, Relations: ids{3, 4}, History: true,
			Rows: append(follows(imported, imported), lists("posts", imported...)...),
		},
	} {
		got := RefsOf(store.Change{Kind: kind, Subject: 1, Object: 2, Also: ids{3, 4}})
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("kind %d touches %+v, want %+v", kind, got, want)
		}
	}
}

func TestCollectFillsPagesAndKnowsTheEnd(t *testing.T) {
	// 1..20 descending; odd ones may not be seen.
	list := func(from freshet.ID, n int) (rows []freshet.ID, _ error) {
		if from == 0 {
			from = 21
		}
		for id := from - 1; id > 0 && len(rows) < n; id-- {
			rows = append(rows, id)
		}
		return rows, nil
	}
	show := func(rows []freshet.ID) ([]*freshet.ID, error) {
		out := make([]*freshet.ID, len(rows))
		for i := range rows {
			if rows[i]%2 == 0 {
				out[i] = &rows[i]
			}
		}
		return out, nil
	}
	for limit := 1; limit <= 12; limit++ {
		var got []freshet.ID
		pages := 0
		for from := freshet.ID(0); ; {
			items, next, err := collect(from, limit, list, func(id freshet.ID) freshet.ID { return id }, show)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, i := range items {
				got = append(got, *i)
			}
			if next == 0 {
				break
			}
			if len(items) != limit {
				t.Errorf("limit %d: a page that is not the last has %d items", limit, len(items))
			}
			from = next
		}
		if want := (10 + limit - 1) / limit; pages != want {
			t.Errorf("limit %d: %d pages, want %d", limit, pages, want)
		}
		if !slices.Equal(got, []freshet.ID{20, 18, 16, 14, 12, 10, 8, 6, 4, 2}) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
}

func TestLikedSet(t *testing.T) {
	l := newLikedSet([]freshet.ID{9, 5, 2})
	for id, want := range map[freshet.ID]bool{9: true, 5: true, 2: true, 1: false, 3: false, 10: false} {
		if l.has(id) != want {
			t.Errorf("has(%d) = %t", id, !want)
		}
	}
	if l.floor != 0 {
		t.Error("a set that holds all likes has a floor")
	}
	full := make([]freshet.ID, likedKept)
	for i := range full {
		full[i] = freshet.ID(2*likedKept - i)
	}
	if l := newLikedSet(full); l.floor != full[likedKept-1] {
		t.Errorf("floor %d", l.floor)
	}
}
