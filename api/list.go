package api

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	"github.com/freshet/freshet"
)

// A list is paged by keyset. Its cursor is sealed for the list's name, which
// includes whose list it is, and for the reader where the list is personal: a
// cursor of one list is refused by every other, and a personal one by everybody
// else. The cursors of public lists work for all.

// window is the part of a list that a request asks for.
type window struct {
	list   string
	reader freshet.ID // zero: a public list
	from   freshet.ID // go on after it; zero: from the start
	limit  int
}

// window reads limit and cursor of a request for a list.
func (c *call) window(list string, reader freshet.ID) (window, error) {
	w := window{list: list, reader: reader, limit: c.api.limits.PageDefault}
	raw := c.r.URL.RawQuery
	if raw == "" {
		return w, nil
	}
	q, err := parseQuery(raw, listParameters)
	if err != nil {
		return w, err
	}
	if text, given := q["limit"]; given {
		if w.limit, err = readNumber("limit", text, c.api.limits.Page); err != nil {
			return w, err
		}
	}
	w.from, err = c.api.cursors.Open(list, reader, q["cursor"])
	return w, err
}

var listParameters = []string{"cursor", "limit"}

// next seals the cursor behind a page; zero, the end, has none.
func (a *API) next(w window, after freshet.ID) string {
	if after == 0 {
		return ""
	}
	return a.cursors.Seal(w.list, w.reader, after)
}

// readNumber reads a parameter that counts something.
func readNumber(name, text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most || text[0] == '0' || text[0] == '+' {
		return 0, freshet.Invalid(name, "must be a number from 1 to %d", most)
	}
	return n, nil
}

// parseQuery reads the parameters of a request. A name that nothing asks for is
// more often a slip than harmless: limt=5 would answer 50 items.
func parseQuery(raw string, known []string) (map[string]string, error) {
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("query", "is not readable: %-escapes or semicolons are wrong")
	}
	out := make(map[string]string, len(values))
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, unknown(name, "query parameter", known)
		}
		if len(values[name]) > 1 {
			return nil, freshet.Invalid(name, "is given more than once")
		}
		out[name] = values[name][0]
	}
	return out, nil
}

// listName names a list of one subject.
func listName(kind string, subject freshet.ID) string { return kind + ":" + subject.String() }

// inMemory cuts a window out of a short list that comes whole, newest first.
func inMemory[T any](w window, items []T, id func(T) freshet.ID) (part []T, next freshet.ID) {
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(id(b), id(a)) })
	if w.from != 0 {
		items = slices.DeleteFunc(items, func(x T) bool { return id(x) >= w.from })
	}
	if len(items) > w.limit {
		items = items[:w.limit]
		next = id(items[w.limit-1])
	}
	return items, next
}
