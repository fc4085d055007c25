package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
)

// readBody reads a whole body of at most limit bytes. What can't be JSON text
// at all is refused here, before anything is made of it.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, errBodySize(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return nil, errBodySize(limit)
	}
	if err != nil {
		return nil, malformed("body", "ended early or did not arrive in time")
	}
	if len(body) > 0 {
		t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if charset := params["charset"]; err != nil || t != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
			return nil, malformed("Content-Type", "must be application/json, in UTF-8")
		}
	}
	return body, nil
}

func errBodySize(limit int) error {
	return &freshet.Error{Code: freshet.CodeTooLarge, Field: "body", Message: "is longer than " + strconv.Itoa(limit) + " bytes"}
}

func malformed(field, message string) *freshet.Error {
	return &freshet.Error{Code: freshet.CodeMalformed, Field: field, Message: message}
}

// schema checks the bodies of one operation and decodes them.
type schema struct {
	registry huma.Registry
	root     *huma.Schema
	shown    *huma.Schema // in the document; nil: root
	optional bool         // an empty body is {}
}

// decode reads a body into v, a pointer to a struct whose type made the schema.
// Unreadable JSON is malformed; a field that is unknown, missing or of the wrong
// type is invalid, all of them at once.
func (s *schema) decode(body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		if !s.optional {
			return malformed("body", "is empty, must be a JSON object")
		}
		body = []byte("{}")
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	return s.fill(body, v)
}

// fill is decode of what checkJSON has passed.
func (s *schema) fill(body []byte, v any) error {
	var parsed any
	if err := json.Unmarshal(body, &parsed); err != nil {
		return freshet.Invalid("body", "holds a number that is out of range")
	}
	object, ok := parsed.(map[string]any)
	if !ok {
		return freshet.Invalid("body", "must be a JSON object")
	}
	if wrong := s.check(object); len(wrong) > 0 {
		return wrong
	}
	if err := json.Unmarshal(body, v); err != nil {
		return freshet.Invalid("body", "does not have the documented form")
	}
	return nil
}

// check adds to huma's validation what it lets pass: names in another case, null
// for what can be left out, and the name that was meant.
func (s *schema) check(object map[string]any) (wrong fieldErrors) {
	root := s.root
	for root.Ref != "" {
		root = s.registry.SchemaFromRef(root.Ref)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		p, known := root.Properties[name]
		switch {
		case !known:
			wrong = append(wrong, unknown(name, "field", slices.Sorted(maps.Keys(root.Properties))))
			delete(object, name)
		case object[name] == nil && p.Type != "" && !p.Nullable:
			wrong = append(wrong, freshet.Invalid(name, "is null, must be of type %s; leave it out instead", p.Type))
			delete(object, name)
		}
	}
	var res huma.ValidateResult
	huma.Validate(s.registry, root, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, object, &res)
	for _, err := range res.Errors {
		d, ok := err.(*huma.ErrorDetail)
		if !ok {
			continue
		}
		wrong = appendUnlessNamed(wrong, fieldError(d))
	}
	return wrong
}

// fieldError words one of huma's findings, without the value.
func fieldError(d *huma.ErrorDetail) *freshet.Error {
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name, _ = strings.CutSuffix(name, " to be present")
		if d.Location != "" {
			name = d.Location + "." + name
		}
		return freshet.Invalid(name, "is missing")
	}
	field := d.Location
	if field == "" {
		field = "body"
	}
	return freshet.Invalid(field, "is wrong: %s", d.Message)
}

func appendUnlessNamed(wrong fieldErrors, e *freshet.Error) fieldErrors {
	if slices.ContainsFunc(wrong, func(w *freshet.Error) bool { return w.Field == e.Field }) {
		return wrong
	}
	return append(wrong, e)
}

// unknown reports a name that is not one of those known, with the nearest.
func unknown(name, what string, known []string) *freshet.Error {
	nearest, least := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), k); d < least && d < len(k) {
			nearest, least = k, d
		}
	}
	hint := ""
	if nearest != "" {
		hint = "; did you mean " + nearest + "?"
	}
	return freshet.Invalid(clip(name), "is not a known %s%s", what, hint)
}

// clip keeps what a client named short and printable enough to be shown back.
func clip(name string) string {
	const most = 64
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if len(name) <= most {
		return name
	}
	cut := most
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}

// schemaOf is the schema that huma makes of T.
func schemaOf[T any](r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return r.Schema(t, true, t.Name())
}
