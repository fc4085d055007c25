package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// bodies spoils the body as a whole.
func (m *badMaker) bodies() {
	const body = "body"
	valid := m.e.valid
	spoil := func(name, text string, status int, field string) {
		m.add(name, status, field, func(c *badCase) { c.req.raw = text })
	}
	for name, text := range map[string]string{
		"JSON that does not end": valid[:len(valid)-1], "no JSON": "text=x", "JSON and more": valid + "x", "two bodies": valid + valid,
		"a comma too many": strings.TrimSuffix(valid, "}") + ",}",
		"not UTF-8":        strings.Replace(valid, ":", ":\"\xff\",\"x\":", 1), "half of a surrogate pair": `{"x":"\ud800"}`,
		"a nest": strings.Repeat("[", 30_000), "a control character": "{\"x\":\"a\x01b\"}",
	} {
		spoil(name, text, http.StatusBadRequest, body)
	}
	if !m.e.optional {
		spoil("no body", " ", http.StatusBadRequest, body)
	}
	if !m.e.array {
		spoil("a list as a body", "["+valid+"]", http.StatusUnprocessableEntity, body)
	}
	for name, text := range map[string]string{"a text": `"x"`, "null": "null", "a number": "1"} {
		spoil(name+" as a body", text, http.StatusUnprocessableEntity, body)
	}
	spoil("a number out of range", `{"x":1e999}`, 0, "")
	huge := `{"x":"` + strings.Repeat("x", m.e.limit) + `"}`
	spoil("a huge body", huge, http.StatusRequestEntityTooLarge, body)
	m.add("a huge body in chunks", http.StatusRequestEntityTooLarge, body, func(c *badCase) { c.req.raw, c.chunks = huge, true })
	m.add("another Content-Type", 0, "Content-Type", func(c *badCase) { c.req.header["Content-Type"] = "text/plain" })
	m.add("no Content-Type", 0, "Content-Type", func(c *badCase) { c.req.header["Content-Type"] = "" })
}

// fields spoils one field at a time.
func (m *badMaker) fields() {
	with := func(field string, value string) string {
		object := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(m.e.valid), &object); err != nil {
			panic("the table holds " + m.e.valid)
		}
		object[field] = json.RawMessage(value)
		return encode(object)
	}
	spoil := func(name, field, text string) {
		m.add(name, 0, field, func(c *badCase) { c.req.raw = text })
	}
	spoil("an unknown field", "colour", with("colour", `"red"`))
	for _, field := range slices.Sorted(maps.Keys(m.e.wrong)) {
		spoil("a wrong "+field, field, with(field, encode(m.e.wrong[field])))
		spoil(field+" in capitals", strings.ToUpper(field), with(strings.ToUpper(field), `"x"`))
		spoil("two of "+field, field, strings.TrimSuffix(with(field, `"x"`), "}")+`,"`+field+`":"y"}`)
	}
	for _, field := range m.e.texts {
		for name, text := range map[string]string{
			"a NUL": `"a\u0000b"`, "an ESC": `"a\u001bb"`, "a DEL": `"a\u007fb"`, "a C1 control": `"a\u0085b"`,
			"too much text": encode(strings.Repeat("é", 6_000)),
		} {
			spoil(name+" in "+field, field, with(field, text))
		}
	}
}
