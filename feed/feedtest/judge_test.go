package feedtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet"
)

func TestRegister(t *testing.T) {
	//  written:   true 10–20     false 15–30      true 40–50
	//             ├────────┤
	//                  ├──────────────┤          ├────────┤
	r := register[bool]{writes: []write[bool]{{span{10, 20}, true}, {span{15, 30}, false}, {span{40, 50}, true}}}
	for _, c := range []struct {
		read span
		may  []bool
	}{
		{span{1, 5}, []bool{false}},
		{span{1, 12}, []bool{false, true}},
		{span{16, 18}, []bool{false, true}},
		{span{22, 25}, []bool{false, true}},
		{span{31, 35}, []bool{false, true}}, // the two overlapped: either may have been the later
		{span{31, 41}, []bool{false, true}},
		{span{51, 60}, []bool{true}},
	} {
		for _, value := range []bool{false, true} {
			if got, want := r.may(c.read, value), slices.Contains(c.may, value); got != want {
				t.Errorf("a read over %v may see %v: %v, want %v", c.read, value, got, want)
			}
		}
	}
}

// TestJudge shows pages of a small history that are right, and such as are not.
func TestJudge(t *testing.T) {
	h := newHistory(3)
	h.edge(follows, 1, 2).wrote(span{1, 2}, true)
	h.edge(follows, 1, 3).wrote(span{3, 4}, true)
	h.edge(mutes, 1, 3).wrote(span{60, 70}, true)
	post := func(id freshet.ID, author int, s span) *record {
		r := &record{PageItem: PageItem{ID: id, Author: author, Text: "text"}}
		r.there.wrote(s, true)
		r.text.wrote(s, "text")
		h.posts = append(h.posts, r)
		return r
	}
	post(101, 2, span{10, 11})
	post(102, 3, span{12, 13})
	post(103, 2, span{30, 40})
	h.posts[0].there.wrote(span{80, 90}, false)
	h.posts[0].text.wrote(span{50, 51}, "text, edited")
	item := func(id freshet.ID, author int, text string) PageItem {
		return PageItem{ID: id, Author: author, Text: text, Edited: text != "text"}
	}
	a, b, c := item(101, 2, "text"), item(102, 3, "text"), item(103, 2, "text")
	edited := item(101, 2, "text, edited")

	for _, x := range []struct {
		name   string
		read   span
		before freshet.ID
		limit  int
		next   freshet.ID
		posts  []PageItem
		wrong  string
	}{
		{"both", span{20, 21}, 0, 10, 0, []PageItem{b, a}, ""},
		{"first page", span{20, 21}, 0, 1, 102, []PageItem{b}, ""},
		{"second page", span{20, 21}, 102, 1, 0, []PageItem{a}, ""},
		{"not yet", span{35, 36}, 0, 10, 0, []PageItem{b, a}, ""},
		{"already", span{35, 36}, 0, 10, 0, []PageItem{c, b, a}, ""},
		{"edited", span{52, 53}, 0, 10, 0, []PageItem{c, b, edited}, ""},
		{"muted meanwhile", span{65, 66}, 0, 10, 0, []PageItem{c, edited}, ""},
		{"deleted meanwhile", span{85, 86}, 0, 10, 0, []PageItem{c}, ""},
		{"missing", span{41, 42}, 0, 10, 0, []PageItem{b, a}, "103 by user 2 is missing"},
		{"skipped", span{20, 21}, 0, 1, 101, []PageItem{a}, "102 by user 3 is missing"},
		{"too early", span{20, 21}, 0, 10, 0, []PageItem{c, b, a}, "103 by user 2 is there"},
		{"deleted", span{91, 92}, 0, 10, 0, []PageItem{c, edited}, "101 by user 2 is there"},
		{"muted", span{71, 72}, 0, 10, 0, []PageItem{c, b, edited}, "102 by user 3 is there"},
		{"stale", span{52, 53}, 0, 10, 0, []PageItem{c, b, a}, "with the text"},
		{"flag", span{20, 21}, 0, 10, 0, []PageItem{b, {ID: 101, Author: 2, Text: "text", Edited: true}}, "edited=true"},
		{"order", span{20, 21}, 0, 10, 0, []PageItem{a, b}, "follows"},
		{"twice", span{20, 21}, 0, 10, 0, []PageItem{b, b, a}, "follows"},
		{"invented", span{20, 21}, 0, 10, 0, []PageItem{b, a, item(7, 2, "text")}, "nobody wrote"},
		{"too long", span{20, 21}, 0, 1, 0, []PageItem{b, a}, "2 posts came"},
		{"circle", span{20, 21}, 102, 1, 102, nil, "no progress"},
	} {
		t.Run(x.name, func(t *testing.T) {
			err := h.judge([]*reading{{span: x.read, reader: 1, before: x.before, limit: x.limit, page: Page{Posts: x.posts, Next: x.next}}})
			if x.wrong == "" && err != nil {
				t.Errorf("a page that is right: %v", err)
			}
			if x.wrong != "" && (err == nil || !strings.Contains(err.Error(), x.wrong)) {
				t.Errorf("a page that is wrong gives %v, want %q", err, x.wrong)
			}
		})
	}
}
