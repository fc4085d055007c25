package api

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// API is the handler of everything under /v1, the document and the health pages.
type API struct {
	social  *social.Service
	gate    *access.Gate
	idem    *access.Idempotency
	cursors *freshet.Cursors
	signer  *position.Signer
	options Options
	limits  Limits

	huma     huma.API
	mux      *mux
	origins  map[string]bool
	asked    map[string]bool // schemas of bodies; the others are of answers
	nothing  schema          // of the bodies of routes that take none
	document []byte          // /openapi.json
	pages    []byte          // /docs

	counters counters
	other    *series   // requests that no route matches
	calls    sync.Pool // of *call
	sealed   atomic.Pointer[sealed]
	tokens   Tokens
	ids      requestIDs
}

// New makes the handler. It panics where its own routes contradict each other.
func New(o Options) *API {
	o = o.withDefaults()
	a := &API{
		social: o.Social, gate: o.Gate, idem: o.Idempotency, cursors: o.Cursors, signer: o.Signer,
		options: o, limits: o.Limits, tokens: o.Tokens, origins: make(map[string]bool, len(o.Origins)), asked: make(map[string]bool), ids: newRequestIDs(),
	}
	if a.tokens == nil {
		a.tokens = new(lastTokens)
	}
	for _, origin := range o.Origins {
		a.origins[origin] = true
	}
	a.calls.New = func() any { return new(call) }
	a.mux = newMux(a.unmatched)
	a.other = a.series("", "other")
	a.huma = humago.New(a.mux, documentConfig(o.Version))
	a.nothing = schema{registry: a.registry(), root: &huma.Schema{Type: huma.TypeObject}, optional: true}
	for _, routes := range [][]route{
		a.userRoutes(), a.sessionRoutes(), a.graphRoutes(), a.postRoutes(), a.commentRoutes(), a.feedRoutes(), a.leaderRoutes(), a.notificationRoutes(), a.batchRoutes(), a.cacheRoutes(),
	} {
		for _, r := range routes {
			a.register(r)
		}
	}
	a.serveDocument()
	a.serveHealth()
	return a
}

// series makes the metrics of a route.
func (a *API) series(method, route string) *series {
	s := &series{method: method, route: route}
	a.counters.routes = append(a.counters.routes, s)
	return s
}

// ServeHTTP does what every request needs, and hands it to its route.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	id := a.ids.of(r)
	h["X-Request-Id"] = []string{id}
	if len(a.origins) > 0 && a.cors(h, w, r) {
		return
	}
	defer a.rescue(w, r)
	if !isHealth(r.URL.Path) { // who looks whether all is well takes nobody's place
		defer a.counters.inFlight.Add(-1)
		if n := a.counters.inFlight.Add(1); n > int64(a.limits.InFlight) {
			a.counters.refused.Add(1)
			a.other.observe(a.writeProblem(w, r, errOverloaded, ""), 0)
			return
		}
	}
	a.mux.ServeHTTP(w, r)
}

// rescue answers a request whose handler panicked.
func (a *API) rescue(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); {
	case p == nil:
	case p == http.ErrAbortHandler: //nolint:errorlint // net/http compares it so
		panic(p)
	default:
		a.counters.panics.Add(1)
		a.options.Log.Error("handler panicked", "request_id", w.Header().Get("X-Request-Id"),
			"method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
		a.other.observe(a.writeProblem(w, r, &freshet.Error{Code: codeInternal, Message: "something went wrong here"}, ""), 0)
	}
}

var (
	nosniff       = []string{"nosniff"}
	errOverloaded = &freshet.Error{
		Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "too many requests at once; try again",
	}
)

// unmatched answers what no route matches.
func (a *API) unmatched(w http.ResponseWriter, r *http.Request, allow []string) {
	err := &freshet.Error{Code: freshet.CodeNotFound, Message: "there is nothing at this path; the paths are listed at /docs"}
	if len(allow) > 0 {
		w.Header()["Allow"] = []string{strings.Join(allow, ", ")}
		err = &freshet.Error{Code: codeMethod, Message: "this path does not answer to " + clip(r.Method)}
	}
	a.other.observe(a.writeProblem(w, r, about{err, "path"}, ""), 0)
}

// cors lets pages of the configured origins read answers, and reports whether
// the request was a preflight, which it has answered then (fetch.spec.whatwg.org).
func (a *API) cors(h http.Header, w http.ResponseWriter, r *http.Request) (done bool) {
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !a.origins[origin] {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", "Freshet-Token, Idempotency-Replayed, Retry-After, X-Request-Id, Location, ETag")
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Freshet-Token, Freshet-User, Idempotency-Key, X-Request-Id")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// requestIDs name requests: a random beginning for each process and a number.
type requestIDs struct {
	process string
	last    *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var raw [6]byte
	rand.Read(raw[:]) // never fails
	return requestIDs{process: hex.EncodeToString(raw[:]) + "-", last: new(atomic.Uint64)}
}

// of takes the id that a proxy has given, if it is short and plain.
func (ids requestIDs) of(r *http.Request) string {
	if v := r.Header["X-Request-Id"]; len(v) == 1 && plain(v[0]) {
		return v[0]
	}
	var b [32]byte
	return string(strconv.AppendUint(append(b[:0], ids.process...), ids.last.Add(1), 10))
}

func plain(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}
