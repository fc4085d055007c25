package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
)

func TestCheckJSON(t *testing.T) {
	for _, test := range []struct {
		name, body string
		field      string // "": accepted
	}{
		{"object", `{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}`, ""},
		{"blanks", " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } , \"c\" : [ ] } \n", ""},
		{"scalar", `-1.5e3`, ""},
		{"a pair", `"\ud83d\ude00 \u00e9 \\ud800"`, ""},
		{"deep", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), ""},
		{"empty", ``, "body"},
		{"cut off", `{"a":`, "body"},
		{"two values", `{} {}`, "body"},
		{"garbage behind", `{}x`, "body"},
		{"comma at the end", `{"a":1,}`, "body"},
		{"single quotes", `{'a':1}`, "body"},
		{"NaN", `{"a":NaN}`, "body"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "body"},
		{"byte order mark", "\ufeff{}", "body"},
		{"twice", `{"a":1,"b":2,"a":3}`, "a"},
		{"twice, escaped", `{"a":1,"\u0061":2}`, "a"},
		{"twice further down", `{"x":[{"y":{"b":1,"b":2}}]}`, "b"},
		{"high half alone", `"\ud800"`, "body"},
		{"high half and text", `"\ud800x\udc00"`, "body"},
		{"high half twice", `"\ud800\ud800"`, "body"},
		{"low half alone", `{"a":["\udc00"]}`, "body"},
		{"half in a name", `{"\ud800":1}`, "body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := checkJSON([]byte(test.body))
			if test.field == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if freshet.CodeOf(err) != freshet.CodeMalformed {
				t.Fatalf("got %v, want malformed", err)
			}
			if shown, _ := asError(err); shown.Field != test.field {
				t.Errorf("names %q, want %q", shown.Field, test.field)
			}
		})
	}
}

// FuzzCheckJSON wants what passes to be valid, unambiguous and the same to
// encoding/json after a round trip.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"a":2}`, `[{"a":"\ud83d\ude00"},-0.1e+5,true,null]`, `"\ud800"`, "{\"\\u0061\":1,\"a\":2}", "[[[[]]]]", "\"\xff\"", `{"a" : {} , "b":[ ]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkJSON(body) != nil {
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("%q passed and is not valid", body)
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if twice := findTwice(t, d); twice {
			t.Errorf("%q passed and names a field twice", body)
		}
		if bytes.ContainsRune(body, utf8.RuneError) || bytes.Contains(bytes.ToLower(body), []byte(`\ufffd`)) {
			return
		}
		var v any
		d = json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(v); bytes.Contains(again, []byte(`\ufffd`)) || bytes.ContainsRune(again, utf8.RuneError) {
			t.Errorf("%q passed and loses something: %q", body, again)
		}
	})
}

// findTwice walks tokens, as a second opinion.
func findTwice(t *testing.T, d *json.Decoder) bool {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	twice := false
	switch token {
	case json.Delim('{'):
		for d.More() {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			twice = twice || seen[name.(string)]
			seen[name.(string)] = true
			twice = findTwice(t, d) || twice
		}
		d.Token() //nolint:errcheck // the end
	case json.Delim('['):
		for d.More() {
			twice = findTwice(t, d) || twice
		}
		d.Token() //nolint:errcheck // the end
	}
	return twice
}

func TestDecodeNamesEveryWrongField(t *testing.T) {
	registry := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	users := &schema{registry: registry, root: schemaOf[newUser](registry)}
	posts := &schema{registry: registry, root: schemaOf[newPost](registry)}
	patches := &schema{registry: registry, root: schemaOf[postPatch](registry)}
	for _, test := range []struct {
		name   string
		schema *schema
		body   string
		code   freshet.Code
		detail string // of each, joined
	}{
		{"right", users, `{"handle":"ada","name":"Ada","password":"x"}`, "", ""},
		{"empty", users, ``, freshet.CodeMalformed, "body is empty, must be a JSON object"},
		{"list", users, `[]`, freshet.CodeInvalid, "body must be a JSON object"},
		{"null", users, `null`, freshet.CodeInvalid, "body must be a JSON object"},
		{"missing", users, `{"handle":"ada"}`, freshet.CodeInvalid, "name is missing, password is missing"},
		{"types", users, `{"handle":1,"name":["x"],"password":null}`, freshet.CodeInvalid, "password is null, must be of type string; leave it out instead, handle is wrong: expected string, name is wrong: expected string"},
		{"unknown", posts, `{"txet":"x","text":"y"}`, freshet.CodeInvalid, "txet is not a known field; did you mean text?"},
		{"another case", posts, `{"Text":"x"}`, freshet.CodeInvalid, "Text is not a known field; did you mean text?"},
		{"not yet", posts, `{"media_ids":["1"],"text":"x"}`, freshet.CodeInvalid, "media_ids is not a known field"},
		{"null for nothing", posts, `{"text":"x","ref":null}`, freshet.CodeInvalid, "ref is null, must be of type string; leave it out instead"},
		{"null is JSON too", patches, `{"data":null}`, "", ""},
		{"empty name", users, `{"handle":"ada","name":"","password":"x"}`, freshet.CodeInvalid, "name is wrong: expected length >= 1"},
		{"number out of range", posts, `{"text":"x","data":1e999}`, freshet.CodeInvalid, "body holds a number that is out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var into any = new(newPost)
			switch test.schema {
			case users:
				into = new(newUser)
			case patches:
				into = new(postPatch)
			}
			err := test.schema.decode([]byte(test.body), into)
			if test.code == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			shown, _ := asError(err)
			if shown.Code != test.code {
				t.Fatalf("got %v, want %s", err, test.code)
			}
			details := []string{detail(shown)}
			if all, ok := err.(fieldErrors); ok {
				details = nil
				for _, e := range all {
					details = append(details, detail(e))
				}
			}
			if got := strings.Join(details, ", "); got != test.detail {
				t.Errorf("got  %s\nwant %s", got, test.detail)
			}
		})
	}
}

func TestClipKeepsNamesShowable(t *testing.T) {
	for in, want := range map[string]string{
		"name": "name", "a\nb\x7f": "a?b?", "\xff": "?", strings.Repeat("é", 40): strings.Repeat("é", 32) + "…",
	} {
		if got := clip(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
