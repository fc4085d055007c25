package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const schemaPrefix = "#/components/schemas/"

// documentConfig is the frame of the OpenAPI document. The paths for huma's own
// pages stay empty: they load scripts from another host.
func documentConfig(version string) huma.Config {
	const bearer = "A session token (`fs_…`), a user token (`ft_…`) or an API key (`fk_…`)."
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "freshet",
				Version:     version,
				Description: description,
			},
			Servers: []*huma.Server{{URL: "/"}},
			Tags: []*huma.Tag{
				{Name: "users", Description: "Accounts and profiles"},
				{Name: "sessions", Description: "Signing in, and tokens"},
				{Name: "graph", Description: "Who follows, blocks and mutes whom"},
				{Name: "posts", Description: "What authors write, and likes"},
				{Name: "comments", Description: "Answers below posts"},
				{Name: "feed", Description: "The home feed"},
				{Name: "leaderboards", Description: "What is liked and commented on most, lately"},
				{Name: "notifications", Description: "What others did that concerns you"},
				{Name: "batch", Description: "Many writes in one request"},
				{Name: "admin", Description: "Operations, for administrators alone: API keys and users that were made with --admin"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: bearer},
					"cookie": {Type: "apiKey", In: "cookie", Name: "freshet_session", Description: "The cookie that POST /v1/sessions sets."},
				},
			},
		},
	}
}

const description = `An activity feed: users, follows, posts, likes, comments and home feeds.

**Who asks.** ` + "`Authorization: Bearer …`" + ` with a session token, a user token or an API key, or the cookie ` + "`freshet_session`" + `.
An API key acts for the user in ` + "`Freshet-User: <id>`" + ` or ` + "`Freshet-User: ref:<ref>`" + `.

**Reading what was written.** A write answers with ` + "`Freshet-Token`" + `; a read that sends it shows that write. Browsers carry it in a cookie.

**Doing things once.** A write with an ` + "`Idempotency-Key`" + ` is done once within 24 hours; the same request gets the same answer, with ` + "`Idempotency-Replayed: true`" + `.

**Lists.** ` + "`limit`" + ` and ` + "`cursor`" + `; an answer without ` + "`next_cursor`" + ` is the end.

**Errors** are ` + "`application/problem+json`" + ` with a ` + "`code`" + ` that never changes its meaning. Ids are decimal strings, times are RFC 3339 in UTC.`

// security says which credentials a need is met by; an empty object stands for none.
var security = map[need][]map[string][]string{
	anybody:   {{}, {"bearer": {}}, {"cookie": {}}},
	someUser:  {{"bearer": {}}, {"cookie": {}}},
	someKey:   {{"bearer": {}}},
	someAdmin: {{"bearer": {}}, {"cookie": {}}},
}

var (
	text = &huma.Schema{Type: huma.TypeString}

	idempotencyParameter = &huma.Param{
		Name: "Idempotency-Key", In: "header", Schema: text,
		Description: "1 to 255 printable characters: the request is done once within 24 hours.",
	}
	tokenParameter = &huma.Param{
		Name: tokenHeader, In: "header", Schema: text,
		Description: "What an earlier answer gave: this one shows at least as much.",
	}
	actForParameter = &huma.Param{
		Name: "Freshet-User", In: "header", Schema: text,
		Description: "With an API key: the user it acts for, an id or `ref:<ref>`.",
	}
	tokenReturned = &huma.Param{Schema: text, Description: "Send it with later reads, and they show this."}
)

func pathParameter(name string) *huma.Param {
	p := &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}
	switch name {
	case "id":
		p.Schema.Pattern, p.Description = "^[1-9][0-9]*$", "A decimal id"
	case "key":
		p.Description = "The bytes of the key; each that is no letter, digit, `-`, `.`, `_` or `~` is written as `%` and two hexadecimal digits, a slash too"
	}
	return p
}

func (a *API) listParameters() []*huma.Param {
	least, most := 1.0, float64(a.limits.Page)
	return []*huma.Param{
		{Name: "limit", In: "query", Description: "Items in the page", Schema: &huma.Schema{
			Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Default: a.limits.PageDefault,
		}},
		{Name: "cursor", In: "query", Description: "`next_cursor` of the page before", Schema: text},
	}
}

func (a *API) problemResponse(status int) *huma.Response {
	return &huma.Response{
		Description: http.StatusText(status),
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schemaOf[Problem](a.registry())}},
	}
}

func (a *API) registry() huma.Registry { return a.huma.OpenAPI().Components.Schemas }

// bodyOf is the schema of bodies that are decoded into a T.
func bodyOf[T any](a *API) *schema {
	s := &schema{registry: a.registry(), root: schemaOf[T](a.registry())}
	a.asked[strings.TrimPrefix(s.root.Ref, schemaPrefix)] = true
	return s
}

// answerOf is the schema of answers that look like a T.
func answerOf[T any](a *API) *huma.Schema { return schemaOf[T](a.registry()) }

// listOf is the schema of a page of T.
func listOf[T any](a *API) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"items"},
		Properties: map[string]*huma.Schema{
			"items":       {Type: huma.TypeArray, Items: schemaOf[T](a.registry())},
			"next_cursor": {Type: huma.TypeString, Description: "Absent at the end"},
		},
	}
}

// bound puts a configured limit into the schema of a field.
func bound[T any](a *API, field string, most int) {
	s := a.registry().Schema(reflect.TypeFor[T](), false, "")
	s.Properties[field].MaxLength = &most
	s.PrecomputeMessages()
}

// serveDocument adds /openapi.json and /docs. Both are made once.
func (a *API) serveDocument() {
	for name, s := range a.registry().Map() {
		if !a.asked[name] {
			s.AdditionalProperties = nil // answers gain fields with time
		}
	}
	doc, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		panic("api: describe the API: " + err.Error())
	}
	a.document, a.pages = append(doc, '\n'), docsPage(a.huma.OpenAPI())
	a.static("/openapi.json", "application/openapi+json", a.document)
	a.static("/docs", "text/html; charset=utf-8", a.pages)
}

// Document is the OpenAPI document of this API.
func (a *API) Document() []byte { return a.document }

func (a *API) static(path, media string, body []byte) {
	s := a.series(http.MethodGet, path)
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		c := &call{api: a, w: w, r: r, answer: body, status: http.StatusOK}
		h := w.Header()
		h.Set("Content-Type", media)
		h.Set("Cache-Control", "public, max-age=0, must-revalidate")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		if !c.unchanged(h) {
			w.Write(body) //nolint:errcheck // the client has gone
		}
		s.observe(c.status, 0)
	})
}
