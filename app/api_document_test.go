package app

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet/freshet/api"
)

var updateAPI = flag.Bool("update-api", false, "write docs/reference/openapi.json")

func described(t testing.TB) *api.API {
	t.Helper()
	return startAPI(t, nil).handler.(*api.API)
}

func TestAPIDocument(t *testing.T) {
	const path = "../docs/reference/openapi.json"
	got := described(t).Document()
	if *updateAPI {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the routes say; write it again with: go test ./app -run TestAPIDocument$ -update-api", path)
	}
}

// TestAPIDocumentHoldsTogether follows every reference, and wants each operation
// named, summed up and grouped once.
func TestAPIDocumentHoldsTogether(t *testing.T) {
	var doc struct {
		OpenAPI    string                               `json:"openapi"`
		Tags       []struct{ Name string }              `json:"tags"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct{ Schemas map[string]any }     `json:"components"`
	}
	raw := described(t).Document()
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("openapi %q, want 3.1", doc.OpenAPI)
	}
	for _, ref := range regexp.MustCompile(`"\$ref": "#/components/schemas/(\w+)"`).FindAllSubmatch(raw, -1) {
		if doc.Components.Schemas[string(ref[1])] == nil {
			t.Errorf("nothing is called %s", ref[1])
		}
	}
	tags := make(map[string]bool)
	for _, tag := range doc.Tags {
		tags[tag.Name] = true
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			group, _ := op["tags"].([]any)
			if op["summary"] == nil || op["operationId"] == nil || len(group) != 1 || !tags[group[0].(string)] {
				t.Errorf("%s %s: summary %v, id %v, tags %v", method, path, op["summary"], op["operationId"], group)
			}
		}
	}
}

// TestAPIContractRoutes wants every route of CONTRACT.md that this version has.
func TestAPIContractRoutes(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(described(t).Document(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{
		"POST /v1/users", "PUT /v1/users/by-ref/{ref}", "GET /v1/users/{id}", "GET /v1/users/by-handle/{handle}",
		"GET /v1/users/by-ref/{ref}", "PATCH /v1/users/me", "DELETE /v1/users/me", "GET /v1/users/me/export",
		"POST /v1/sessions", "GET /v1/sessions", "DELETE /v1/sessions/{id}", "POST /v1/tokens",
		"PUT /v1/users/{id}/follow", "DELETE /v1/users/{id}/follow", "PUT /v1/users/{id}/block", "DELETE /v1/users/{id}/block",
		"PUT /v1/users/{id}/mute", "DELETE /v1/users/{id}/mute", "GET /v1/blocks", "GET /v1/mutes",
		"GET /v1/notifications", "POST /v1/notifications/seen", "GET /v1/follow-requests", "PUT /v1/follow-requests/{id}", "DELETE /v1/follow-requests/{id}",
		"GET /v1/users/{id}/followers", "GET /v1/users/{id}/following", "GET /v1/users/{id}/posts",
		"POST /v1/posts", "POST /v1/batch", "GET /v1/posts/{id}", "PATCH /v1/posts/{id}", "DELETE /v1/posts/{id}",
		"PUT /v1/posts/{id}/like", "DELETE /v1/posts/{id}/like", "POST /v1/posts/{id}/comments", "GET /v1/posts/{id}/comments",
		"DELETE /v1/comments/{id}", "GET /v1/feed", "GET /v1/feed/explain", "GET /v1/posts/{id}/stats",
		"GET /v1/admin/caches", "GET /v1/admin/caches/{space}/{key}", "DELETE /v1/admin/caches/{space}/{key}",
		"DELETE /v1/admin/caches/{space}", "POST /v1/admin/caches/purge",
	} {
		method, path, _ := strings.Cut(route, " ")
		if doc.Paths[path][strings.ToLower(method)] == nil {
			t.Errorf("%s is not there", route)
		}
	}
}

func TestAPIDocsPageNeedsNoOtherHost(t *testing.T) {
	a := described(t)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest("GET", "/docs", nil))
	page := w.Body.String()
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	if found := regexp.MustCompile(`(src|href|url)\s*[=(]\s*["']?(https?:)?//[^"' )]*`).FindString(page); found != "" {
		t.Errorf("the page loads %s", found)
	}
	if strings.Contains(page, "<script") {
		t.Error("the page has a script")
	}
	for _, route := range []string{"/v1/feed", "/v1/users/{id}/follow", "/v1/batch", `id="invalid"`, `id="schema-Post"`, "Idempotency-Key"} {
		if !strings.Contains(page, route) {
			t.Errorf("the page has no %s", route)
		}
	}
	seen := make(map[string]bool)
	for _, id := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if seen[id[1]] {
			t.Errorf("the id %s stands twice", id[1])
		}
		seen[id[1]] = true
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !seen[link[1]] {
			t.Errorf("the link to %s leads nowhere", link[1])
		}
	}
}
