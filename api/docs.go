package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// The documentation at /docs is one page made from the OpenAPI document: no
// script, nothing from another host, so that it works where there is no internet.

//go:embed docs.html
var docsHTML string

type docsData struct {
	Title, Version string
	About          template.HTML
	Groups         []docsGroup
	Schemas        []docsSchema
	Codes          any
}

type docsGroup struct {
	Name, About string
	Operations  []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary string
	About                     template.HTML
	Credentials               string
	Parameters                []docsField
	Body                      []template.HTML
	Answers                   []docsAnswer
	Errors                    []string
}

type docsAnswer struct {
	Status string
	Shape  template.HTML
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, In, Type string
	Required       bool
	About          template.HTML
}

func docsPage(doc *huma.OpenAPI) []byte {
	data := docsData{Title: doc.Info.Title, Version: doc.Info.Version, About: prose(doc.Info.Description), Codes: docsCodes()}
	for _, tag := range doc.Tags {
		data.Groups = append(data.Groups, docsGroup{Name: tag.Name, About: tag.Description, Operations: docsOperations(doc, tag.Name)})
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		data.Schemas = append(data.Schemas, docsSchema{name, docsFields(schemas[name])})
	}
	var page bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsHTML)).Execute(&page, data); err != nil {
		panic("api: make the documentation: " + err.Error())
	}
	return page.Bytes()
}

func docsCodes() (codes []struct {
	Code, Title, About string
	Status             int
},
) {
	for _, k := range kinds {
		codes = append(codes, struct {
			Code, Title, About string
			Status             int
		}{k.code.String(), k.title, k.about, k.status})
	}
	return codes
}

func docsOperations(doc *huma.OpenAPI, tag string) (ops []docsOperation) {
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil && slices.Contains(op.Tags, tag) {
				ops = append(ops, docsOperationOf(op))
			}
		}
	}
	return ops
}

func docsOperationOf(op *huma.Operation) docsOperation {
	out := docsOperation{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: prose(op.Description),
		Credentials: docsCredentials(op.Security),
	}
	for _, p := range op.Parameters {
		out.Parameters = append(out.Parameters, docsField{
			Name: p.Name, In: p.In, Required: p.Required, Type: typeOf(p.Schema), About: prose(p.Description + limitsOf(p.Schema)),
		})
	}
	if op.RequestBody != nil {
		out.Body = docsBody(op.RequestBody.Content["application/json"].Schema)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		if n, err := strconv.Atoi(status); err == nil && n >= http.StatusBadRequest {
			out.Errors = append(out.Errors, status)
			continue
		}
		a := docsAnswer{Status: status}
		for media, content := range op.Responses[status].Content {
			a.Shape = shape(content.Schema)
			if media != "application/json" {
				a.Shape += template.HTML(" as " + template.HTMLEscapeString(media))
			}
		}
		out.Answers = append(out.Answers, a)
	}
	return out
}

func docsCredentials(security []map[string][]string) string {
	switch {
	case slices.ContainsFunc(security, func(s map[string][]string) bool { return len(s) == 0 }):
		return "no credentials needed"
	case len(security) == 1:
		return "an API key"
	default:
		return "a user"
	}
}

// docsBody gives the forms that a body may have.
func docsBody(s *huma.Schema) (forms []template.HTML) {
	if operations := s.Properties["operations"]; operations != nil && operations.Items != nil {
		for _, one := range operations.Items.OneOf {
			forms = append(forms, "one of <code>operations</code>: "+shape(one))
		}
		return forms
	}
	return []template.HTML{shape(s)}
}

func docsFields(s *huma.Schema) (fields []docsField) {
	required := make(map[string]bool, len(s.Required))
	for _, name := range s.Required {
		required[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		fields = append(fields, docsField{
			Name: name, Required: required[name], Type: typeOf(p), About: prose(p.Description + limitsOf(p)),
		})
	}
	return fields
}

// shape says what a schema is: a link to it, or a list of it.
func shape(s *huma.Schema) template.HTML {
	if name, ok := strings.CutPrefix(s.Ref, schemaPrefix); ok {
		name = template.HTMLEscapeString(name)
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	}
	if items := s.Properties["items"]; items != nil && items.Items != nil {
		return "<code>items</code> of " + shape(items.Items) + ", <code>next_cursor</code>"
	}
	return template.HTML(template.HTMLEscapeString(typeOf(s)))
}

func typeOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == "":
		return "any JSON"
	case s.Type == huma.TypeArray && s.Items != nil:
		return "list of " + typeOf(s.Items)
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

// limitsOf words what a schema allows.
func limitsOf(s *huma.Schema) string {
	var parts []string
	add := func(format string, v any) { parts = append(parts, fmt.Sprintf(format, v)) }
	if s.MinLength != nil {
		add("at least %v characters", *s.MinLength)
	}
	if s.MaxLength != nil {
		add("at most %v characters", *s.MaxLength)
	}
	if s.Minimum != nil && s.Type == huma.TypeInteger {
		add("from %v", *s.Minimum)
	}
	if s.Maximum != nil {
		add("to %v", *s.Maximum)
	}
	if s.MaxItems != nil {
		add("at most %v", *s.MaxItems)
	}
	if s.Default != nil {
		add("default %v", s.Default)
	}
	if len(s.Enum) > 0 {
		add("one of %v", strings.Trim(fmt.Sprint(s.Enum), "[]"))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// prose sets the little Markdown that descriptions use: paragraphs, `code` and
// **strong**.
func prose(s string) template.HTML {
	s = template.HTMLEscapeString(strings.TrimSpace(s))
	s = pairs(pairs(s, "**", "strong"), "`", "code")
	return template.HTML(strings.ReplaceAll(s, "\n\n", "<p>"))
}

func pairs(s, mark, tag string) string {
	parts := strings.Split(s, mark)
	var b strings.Builder
	for i, part := range parts {
		switch {
		case i > 0 && i%2 == 1 && i < len(parts)-1:
			b.WriteString("<" + tag + ">")
		case i > 0 && i%2 == 0:
			b.WriteString("</" + tag + ">")
		case i > 0:
			b.WriteString(mark)
		}
		b.WriteString(part)
	}
	return b.String()
}
