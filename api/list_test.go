package api

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/freshet/freshet"
)

func asking(query string) *call {
	a := &API{cursors: freshet.NewCursors(bytes.Repeat([]byte("k"), 32)), limits: Limits{}.withDefaults()}
	return &call{api: a, r: httptest.NewRequest("GET", "/?"+query, nil)}
}

func TestWindow(t *testing.T) {
	cursor := asking("").api.next(window{list: "feed", reader: 5}, 99)
	for _, test := range []struct {
		query string
		limit int
		from  freshet.ID
		field string // "": accepted
	}{
		{"", 50, 0, ""},
		{"limit=1", 1, 0, ""},
		{"limit=100", 100, 0, ""},
		{"cursor=" + cursor, 50, 99, ""},
		{"cursor=" + cursor + "&limit=7", 7, 99, ""},
		{"cursor=", 50, 0, ""},
		{"limit=0", 0, 0, "limit"},
		{"limit=101", 0, 0, "limit"},
		{"limit=-1", 0, 0, "limit"},
		{"limit=+5", 0, 0, "limit"},
		{"limit=05", 0, 0, "limit"},
		{"limit=ten", 0, 0, "limit"},
		{"limit=", 0, 0, "limit"},
		{"limit=5&limit=5", 0, 0, "limit"},
		{"limit=99999999999999999999", 0, 0, "limit"},
		{"limt=5", 0, 0, "limt"},
		{"LIMIT=5", 0, 0, "LIMIT"},
		{"limit=5;cursor=x", 0, 0, "query"},
		{"limit=%zz", 0, 0, "query"},
		{"cursor=" + cursor[1:], 0, 0, "cursor"},
		{"cursor=" + cursor + "x", 0, 0, "cursor"},
		{"cursor=99", 0, 0, "cursor"},
	} {
		t.Run(test.query, func(t *testing.T) {
			w, err := asking(test.query).window("feed", 5)
			if test.field != "" {
				if shown, internal := asError(err); err == nil || internal || shown.Field != test.field {
					t.Errorf("got %v, want an error that names %s", err, test.field)
				}
				return
			}
			if err != nil || w.limit != test.limit || w.from != test.from {
				t.Errorf("got %d after %d, %v; want %d after %d", w.limit, w.from, err, test.limit, test.from)
			}
		})
	}
}

// TestCursorsAreOfOneListAndReader tries the cursor of each list at every other.
func TestCursorsAreOfOneListAndReader(t *testing.T) {
	lists := []window{
		{list: "feed", reader: 1},
		{list: "feed", reader: 2},
		{list: listName("blocks", 1), reader: 1},
		{list: listName("mutes", 1), reader: 1},
		{list: listName("sessions", 1), reader: 1},
		{list: listName("followers", 1)},
		{list: listName("followers", 11)},
		{list: listName("following", 1)},
		{list: listName("posts", 1)},
		{list: listName("comments", 1)},
	}
	for i, of := range lists {
		cursor := asking("").api.next(of, 42)
		for j, at := range lists {
			w, err := asking("cursor="+cursor).window(at.list, at.reader)
			if i == j && (err != nil || w.from != 42) {
				t.Errorf("%v refuses its own cursor: %v", at, err)
			}
			if i != j && err == nil {
				t.Errorf("%v takes a cursor of %v", at, of)
			}
		}
	}
}

func TestInMemoryList(t *testing.T) {
	items := func() []freshet.ID { return []freshet.ID{3, 1, 5, 2, 4} }
	self := func(id freshet.ID) freshet.ID { return id }
	var got []freshet.ID
	for from := freshet.ID(0); ; {
		part, next := inMemory(window{from: from, limit: 2}, items(), self)
		got = append(got, part...)
		if next == 0 {
			break
		}
		from = next
	}
	if fmt.Sprint(got) != "[5 4 3 2 1]" {
		t.Errorf("walked %v", got)
	}
	if part, next := inMemory(window{limit: 5}, items(), self); len(part) != 5 || next != 0 {
		t.Errorf("a page that holds all goes on: %v, %v", part, next)
	}
}
