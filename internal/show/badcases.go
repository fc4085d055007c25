package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// badCase is one request that must be refused.
type badCase struct {
	name   string
	req    request
	auth   string
	status int    // 0: any 4xx
	field  string // that the problem must name; "": none need be
	chunks bool   // the body comes without its length
}

// cases makes all wrong calls of one endpoint.
func (w *badWorld) cases(e endpoint) []badCase {
	m := &badMaker{w: w, e: e}
	m.credentials()
	m.headers()
	m.query()
	m.ids()
	if e.limit > 0 {
		m.bodies()
		m.fields()
	}
	return m.cases
}

// badMaker collects cases.
type badMaker struct {
	w     *badWorld
	e     endpoint
	cases []badCase
}

// right is a call that would succeed.
func (m *badMaker) right() badCase {
	auth, actFor := m.w.who(m.e.who)
	return badCase{auth: auth, req: request{
		method: m.e.method, path: m.w.path(m.e.path), actFor: actFor, raw: m.e.valid, header: map[string]string{},
	}}
}

// add adds the right call after something in it was made wrong.
func (m *badMaker) add(name string, status int, field string, spoil func(*badCase)) {
	c := m.right()
	c.name, c.status, c.field = name, status, field
	spoil(&c)
	m.cases = append(m.cases, c)
}

func (m *badMaker) credentials() {
	const authorization = "Authorization"
	for name, auth := range map[string]string{
		"a forged session": flip(m.w.ann), "a forged API key": flip(m.w.key), "a token of no kind": "Bearer abc",
		"a forged user token": "Bearer ft_" + strings.Repeat("A", 76), "half a session": m.w.ann[:len(m.w.ann)-4],
	} {
		m.add(name, http.StatusUnauthorized, authorization, func(c *badCase) { c.auth = auth })
	}
	m.add("another scheme", 0, authorization, func(c *badCase) { c.auth = "Basic YTpi" })
	m.add("a session that acts for another", http.StatusForbidden, "", func(c *badCase) { c.auth, c.req.actFor = m.w.ann, m.w.ids["user:bob"] })
	for _, user := range []string{"bob", "1", "0", "-5", "ref:nobody", "ref:two words", "9223372036854775808"} {
		m.add("acting for "+user, 0, "Freshet-User", func(c *badCase) { c.auth, c.req.actFor = m.w.key, user })
	}
	if m.e.who == asNobody {
		return
	}
	m.add("no credentials", http.StatusUnauthorized, authorization, func(c *badCase) { c.auth, c.req.actFor = "", "" })
	m.add("a forged cookie", http.StatusUnauthorized, authorization, func(c *badCase) {
		c.auth, c.req.actFor = "", ""
		c.req.header["Cookie"] = "freshet_session=" + strings.TrimPrefix(flip(m.w.ann), "Bearer ")
	})
	if m.e.who == asAnn || m.e.who == asKeyForAnn {
		m.add("a key that acts for nobody", http.StatusBadRequest, "Freshet-User", func(c *badCase) { c.auth, c.req.actFor = m.w.key, "" })
	}
	if m.e.who == asAdmin {
		m.add("a session of no administrator", http.StatusForbidden, authorization, func(c *badCase) { c.auth, c.req.actFor = m.w.ann, "" })
		m.add("a key of no administrator", http.StatusForbidden, authorization, func(c *badCase) { c.auth, c.req.actFor = m.w.key, "" })
		m.add("a key of no administrator, for a user", http.StatusForbidden, authorization, func(c *badCase) { c.auth, c.req.actFor = m.w.key, m.w.ids["user:ann"] })
	}
	if m.e.who == asKey || m.e.who == asKeyForAnn {
		m.add("a session where a key is needed", http.StatusForbidden, "", func(c *badCase) { c.auth, c.req.actFor = m.w.ann, "" })
	}
}

// flip changes one character of a token, not one of the last, whose bits a codec may pass over.
func flip(token string) string {
	at, other := len(token)-6, byte('A')
	if token[at] == other {
		other = 'B'
	}
	return token[:at] + string(other) + token[at+1:]
}

func (m *badMaker) headers() {
	for name, token := range map[string]string{"a forged token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "no token at all": "!"} {
		m.add(name+" in Freshet-Token", 0, "Freshet-Token", func(c *badCase) { c.req.header["Freshet-Token"] = token })
	}
	if m.e.method == http.MethodGet {
		return
	}
	const key = "Idempotency-Key"
	m.add("a long "+key, 0, key, func(c *badCase) { c.req.header[key] = strings.Repeat("k", 300) })
	m.add("an unprintable "+key, 0, key, func(c *badCase) { c.req.header[key] = "k\u00e9y" })
	if m.e.valid != "" {
		m.add("an "+key+" with another body", http.StatusUnprocessableEntity, key, func(c *badCase) {
			c.req.header[key], c.req.raw = usedKey(m.e), m.e.other
		})
		return
	}
	m.add("an "+key+" of another request", http.StatusUnprocessableEntity, key, func(c *badCase) { c.req.header[key] = usedElsewhere })
	m.add("a body where none belongs", 0, "text", func(c *badCase) { c.req.raw = `{"text":"x"}` })
}

// usedKey is the Idempotency-Key under which the endpoint was called rightly.
func usedKey(e endpoint) string { return "used " + e.method + " " + e.path }

// usedElsewhere is one under which ann has written a post, and the administrator
// has purged a tag.
const usedElsewhere = "used for a post"

func (m *badMaker) query() {
	add := func(name, query, field string) {
		m.add(name, http.StatusUnprocessableEntity, field, func(c *badCase) { c.req.path += "?" + query })
	}
	add("an unknown parameter", "colour=red", "colour")
	m.add("a query that can't be read", 0, "", func(c *badCase) { c.req.path += "?limit=%zz" })
	numbers := func(name string, most int) {
		for _, n := range []string{"0", strconv.Itoa(most + 1), "-1", "abc", "", "1.5", "1e2", "99999999999999999999", "+5", "05"} {
			add(name+"="+n, name+"="+strings.ReplaceAll(n, "+", "%2B"), name)
		}
		add("two of "+name, name+"=5&"+name+"=6", name)
	}
	if m.e.number != "" {
		numbers(m.e.number, m.e.most)
	}
	if m.e.list == "" {
		add("a limit where there is no list", "limit=5", "limit")
		return
	}
	numbers("limit", 100)
	mine := m.w.cursors[m.e.path]
	for name, cursor := range map[string]string{
		"a cursor of nothing": "abc", "a cursor that is cut": mine[:len(mine)-1], "a cursor that is longer": mine + "A",
		"a forged cursor": "A" + swapLast(mine[1:]), "a cursor of zeros": strings.Repeat("A", len(mine)), "another spelling of a cursor": mine + "=",
	} {
		add(name, "cursor="+cursor, "cursor")
	}
	for _, list := range slices.Sorted(maps.Keys(m.w.cursors)) {
		if list != m.e.path {
			add("a cursor of "+list, "cursor="+m.w.cursors[list], "cursor")
		}
	}
	add("a cursor of the same list of another", "cursor="+m.w.foreign[m.e.path], "cursor")
}

func swapLast(s string) string {
	if strings.HasSuffix(s, "A") {
		return s[:len(s)-1] + "Q"
	}
	return s[:len(s)-1] + "A"
}

// ids puts ids of nothing and of others into the path.
func (m *badMaker) ids() {
	_, after, found := strings.Cut(m.e.path, "{")
	if !found {
		return
	}
	placeholder, _, _ := strings.Cut(after, "}")
	kind, _, _ := strings.Cut(placeholder, ":")
	put := func(id string) func(*badCase) {
		return func(c *badCase) { c.req.path = strings.ReplaceAll(c.req.path, m.w.ids[placeholder], id) }
	}
	switch kind {
	case "space":
		m.add("a space that is none", http.StatusNotFound, "space", put("nothing"))
		if key := m.w.ids["key:one"]; strings.HasSuffix(m.e.path, "{key:one}") {
			m.add("a key that is no number", http.StatusUnprocessableEntity, "key", func(c *badCase) { c.req.path = strings.Replace(c.req.path, key, "abc", 1) })
		}
		return
	case "handle":
		m.add("a handle of nobody", http.StatusNotFound, "handle", put("nobody"))
		m.add("a handle that is not UTF-8", 0, "handle", put("%ff"))
		return
	case "ref":
		m.add("a ref with a space", 0, "ref", put("a%20b"))
		m.add("a ref that is not ASCII", 0, "ref", put("%C3%A9"))
		m.add("a long ref", 0, "ref", put(strings.Repeat("r", 129)))
		if m.e.method == http.MethodGet {
			m.add("a ref of nobody", http.StatusNotFound, "ref", put("nobody"))
		}
		return
	}
	for _, id := range []string{"0", "-1", "abc", "1.5", "01", "%2B1", "9223372036854775808", "%00", "1%20"} {
		m.add("the id "+id, 0, "id", put(id))
	}
	m.add("the id of nothing", http.StatusNotFound, "id", put("4611686018427387904"))
	m.add("the id of a thing of another kind", http.StatusNotFound, "id", put(m.w.ids[map[string]string{"user": "post:ann", "post": "user:ann", "comment": "post:bob", "session": "post:ann"}[kind]]))
	if m.e.method == http.MethodPatch || m.e.method == http.MethodDelete && (kind == "comment" || kind == "session" || strings.HasSuffix(m.e.path, ":ann}")) {
		m.add("what is another's", 0, "id", put(m.w.ids[kind+":bob"]))
	}
	if kind == "user" && m.e.who == asAnn && m.e.method == http.MethodPut {
		m.add("oneself", 0, "id", put(m.w.ids["user:ann"]))
	}
}

// encode is JSON, or the text itself where it is no value of Go.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("the table holds %v: %v", v, err))
	}
	return string(text)
}
