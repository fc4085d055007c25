package feedtest

import (
	"strings"
	"testing"

	"github.com/freshet/freshet"
)

// page makes what a system would show of a model's posts.
func page(m *Model, numbers ...freshet.ID) (posts []Post) {
	for _, n := range numbers {
		posts = append(posts, m.Get(n))
	}
	return posts
}

// TestCheck shows the oracle pages that are right, and pages that are wrong in
// each way that it knows.
func TestCheck(t *testing.T) {
	const me, alice, bob = 1, 2, 3
	m := new(Model)
	m.Follow(me, alice)
	m.Follow(me, bob)
	for range 3 { // 1 to 6
		m.Post(alice, "a")
		m.Post(bob, "b")
	}
	m.Edit(5, "corrected")
	m.Delete(3)
	m.Mute(me, bob)
	for range 12 { // 7 to 18, hidden
		m.Post(bob, "b")
	}
	edited := page(m, 5)
	edited[0].Edited = false
	stale := page(m, 5)
	stale[0].Text = "a"
	stranger := page(m, 5)
	stranger[0].Author = bob

	for _, c := range []struct {
		name   string
		before freshet.ID
		limit  int
		got    []Post
		next   freshet.ID
		wrong  string // a part of what is said about it; "" where it is right
	}{
		{"whole", 0, 10, page(m, 5, 1), 0, ""},
		{"full and more", 7, 1, page(m, 5), 5, ""},
		{"last", 5, 1, page(m, 1), 0, ""},
		{"empty", 1, 1, nil, 0, ""},
		{"cut", 0, 1, nil, 9, ""},
		{"cut later", 0, 1, nil, 7, ""},
		{"missing", 7, 10, page(m, 1), 0, "post 0 of the page is wrong"},
		{"hidden", 0, 10, page(m, 18, 5, 1), 0, "post 0 of the page is wrong"},
		{"deleted", 0, 10, page(m, 5, 3, 1), 0, "post 1 of the page is wrong"},
		{"out of order", 0, 10, page(m, 1, 5), 0, "post 0 of the page is wrong"},
		{"twice", 0, 10, page(m, 5, 5, 1), 0, "post 1 of the page is wrong"},
		{"old text", 0, 10, append(stale, page(m, 1)...), 0, "post 0 of the page is wrong"},
		{"not edited", 0, 10, append(edited, page(m, 1)...), 0, "post 0 of the page is wrong"},
		{"wrong author", 0, 10, append(stranger, page(m, 1)...), 0, "post 0 of the page is wrong"},
		{"ends early", 0, 10, page(m, 5), 0, "the feed ends"},
		{"too long", 0, 1, page(m, 5, 1), 1, "at most 1"},
		{"goes on to nothing", 5, 1, page(m, 1), 1, "nothing follows"},
		{"goes on elsewhere", 7, 1, page(m, 5), 4, "not below its last post"},
		{"short without cause", 7, 2, page(m, 5), 5, "short"},
		{"cut too early", 0, 1, nil, 10, "short"},
		{"cut and skips", 0, 1, nil, 4, "skips 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := m.check(me, c.before, c.limit, c.got, c.next)
			if c.wrong == "" && err != nil {
				t.Errorf("a page that is right: %v", err)
			}
			if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("a page that is wrong gives %v, want %q", err, c.wrong)
			}
		})
	}
}
