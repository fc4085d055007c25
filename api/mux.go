package api

import (
	"net/http"
	"slices"
	"strings"
)

// mux is net/http.ServeMux with two things added that the API's paths need.
//
// /v1/users/{id}/followers and /v1/users/by-handle/{handle} overlap, and
// ServeMux takes no two patterns of which neither is the more specific. So what
// stands under a user's id is registered once for each method, and mux looks at
// the last segment itself.
//
// What nothing matches is answered by problems: 404, or 405 where the path has
// other methods.
type mux struct {
	http.ServeMux
	under   map[string]map[string]http.HandlerFunc // method → last segment → handler
	problem func(w http.ResponseWriter, r *http.Request, allow []string)
}

const underUser = "/v1/users/{id}/"

func newMux(problem func(w http.ResponseWriter, r *http.Request, allow []string)) *mux {
	m := &mux{under: make(map[string]map[string]http.HandlerFunc), problem: problem}
	m.ServeMux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { m.problem(w, r, m.allowed(r)) })
	return m
}

// HandleFunc registers a handler for "METHOD path".
func (m *mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	method, path, _ := strings.Cut(pattern, " ")
	last, ok := strings.CutPrefix(path, underUser)
	if !ok {
		m.ServeMux.HandleFunc(pattern, handler)
		return
	}
	if m.under[method] == nil {
		m.under[method] = make(map[string]http.HandlerFunc)
		m.ServeMux.HandleFunc(method+" "+underUser+"{last}", m.dispatch)
	}
	m.under[method][last] = handler
}

func (m *mux) dispatch(w http.ResponseWriter, r *http.Request) {
	if h := m.find(r.Method, r.PathValue("last")); h != nil {
		h(w, r)
		return
	}
	m.problem(w, r, m.allowed(r))
}

func (m *mux) find(method, last string) http.HandlerFunc {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return m.under[method][last]
}

// allowed gives the methods that the path of a request answers to. It costs a
// look-up for each, which only a request that went wrong pays.
func (m *mux) allowed(r *http.Request) (methods []string) {
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		probe := *r
		probe.Method = method
		_, pattern := m.ServeMux.Handler(&probe)
		known := pattern != "/" && pattern != ""
		if strings.HasSuffix(pattern, underUser+"{last}") {
			known = m.find(method, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]) != nil
		}
		if known {
			methods = append(methods, method)
		}
	}
	return slices.Clip(methods)
}
