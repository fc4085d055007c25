package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// call is one request on its way through a route.
type call struct {
	api   *API
	route *route
	w     http.ResponseWriter
	r     *http.Request
	start time.Time

	who     access.Principal
	user    freshet.ID // who asks; zero: nobody, or an API key for itself
	ticket  string     // of a stream, by which it is asked for; "": by what the headers bear
	bare    bool       // the request bears no credentials: its answer is for everybody
	token   position.Token
	context context.Context   // of the reads and writes; nil: the request's
	reading *position.Reading // of context; nil where the store has one place
	brought bool              // the request bears a token
	began   position.Token    // what the client had seen, if it is known
	body    []byte
	hash    [32]byte // of the request, where it bears an Idempotency-Key
	write   social.Write
	status  int
	answer  []byte
	sent    bool // the handler has written the answer itself
	replay  bool // the answer is a saved one
	cookies []*http.Cookie

	unfinished bool // a part of the work may be tried again: the answer is not saved

	// Memory that the next call uses again.
	buf  []byte
	page social.Page
}

// maxKept bounds the answers whose memory is kept: a page of 100 posts of 5,000
// characters is rare.
const maxKept = 256 << 10

func (c *call) ctx() context.Context {
	if c.context != nil {
		return c.context
	}
	return c.r.Context()
}

// serve answers a request of a route.
func (a *API) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	c := a.calls.Get().(*call)
	c.api, c.route, c.w, c.r, c.start, c.status = a, rt, w, r, time.Now(), rt.status
	status := 0
	if err := c.run(); err != nil {
		status = a.writeProblem(w, r, err, rt.subject)
	} else {
		if !c.sent {
			c.send()
		}
		status = c.status
	}
	a.done(rt.series, r, w, status, c.start)
	if cap(c.buf) <= maxKept {
		*c = call{buf: c.buf[:0], page: c.page}
		a.calls.Put(c)
	}
}

// done counts a request and logs it if it was slow.
func (a *API) done(s *series, r *http.Request, w http.ResponseWriter, status int, start time.Time) {
	took := time.Since(start)
	s.observe(status, took)
	if took > slow {
		a.options.Log.Warn("slow request", "request_id", w.Header().Get("X-Request-Id"),
			"method", r.Method, "route", s.route, "status", status, "took", took)
	}
}

const slow = time.Second

func (c *call) run() (err error) {
	if err := c.admit(); err != nil {
		return err
	}
	if c.token, err = c.api.tokenOf(c.r, c.who.ViaCookie); err != nil {
		return err
	}
	if c.api.options.Replicated {
		c.readAtToken()
	}
	if !c.route.list && len(c.route.query) == 0 {
		if _, err := parseQuery(c.r.URL.RawQuery, nil); err != nil {
			return err
		}
	}
	if c.route.writes() {
		return c.runWrite()
	}
	return c.route.serve(c)
}

// admit finds out who asks, and whether that is enough.
func (c *call) admit() (err error) {
	c.bare = c.r.Header.Get("Authorization") == ""
	if c.bare {
		_, none := c.r.Cookie(access.Cookie)
		c.bare = none != nil
	}
	if c.route.ticket {
		c.ticket = c.r.URL.Query().Get("ticket")
	}
	if c.ticket != "" {
		c.who, err = c.api.gate.AdmitTicket(c.r, c.ticket)
	} else {
		c.who, err = c.api.gate.Admit(c.r)
	}
	if err != nil {
		// A cookie that has expired keeps nobody from what everybody may do, above
		// all not from signing in again.
		passOver := freshet.CodeOf(err) == freshet.CodeUnauthenticated && c.route.need == anybody && c.r.Header.Get("Authorization") == ""
		if !passOver {
			return about{err, c.refusedHeader(err)}
		}
	}
	c.user = c.who.User
	switch c.route.need {
	case someUser:
		_, err = c.who.RequireUser()
	case someKey:
		err = c.who.RequireKey()
	case someAdmin:
		err = c.who.RequireAdmin()
	default:
		err = nil
	}
	if err != nil {
		return about{err, "Authorization"}
	}
	return nil
}

// refusedHeader says which header the gate has refused a request for.
func (c *call) refusedHeader(err error) string {
	switch {
	case freshet.CodeOf(err) == freshet.CodeUnauthenticated && c.ticket != "":
		return "ticket"
	case freshet.CodeOf(err) == freshet.CodeUnauthenticated:
		return "Authorization"
	case freshet.CodeOf(err) != freshet.CodeForbidden:
		return ""
	case c.r.Header.Get(access.UserHeader) != "":
		return access.UserHeader
	default:
		return "Origin"
	}
}

// about is an error with the field that it concerns, where its own text names none.
type about struct {
	error
	field string
}

func (a about) Unwrap() error { return a.error }

// runWrite reads the body and carries the write out once, however often a
// request with its Idempotency-Key comes.
func (c *call) runWrite() (err error) {
	if err := c.read(); err != nil {
		return err
	}
	if c.route.in == nil { // {} is as good as nothing
		if err := c.api.nothing.decode(c.body, &struct{}{}); err != nil {
			return err
		}
	}
	keys := c.r.Header[access.IdempotencyHeader]
	if len(keys) == 0 {
		return c.route.serve(c)
	}
	c.hash = c.fingerprint(keys[0])
	try, err := c.api.idem.Begin(c.ctx(), c.who.Scope(), keys[0], c.hash)
	if err != nil {
		return err
	}
	defer try.Release()
	if err := c.attempt(try); err != nil || c.replay || c.unfinished {
		return err
	}
	if err := try.Save(c.ctx(), c.status, c.answer); err != nil {
		// The write stands; who asks again finds its claim and gets the same answer made anew.
		c.api.options.Log.Error("answer not saved", "request_id", c.w.Header().Get("X-Request-Id"), "error", err)
	}
	return nil
}

// read takes the body in. Meanwhile the request is not in progress: a client that
// sends slowly, or not at all, takes nobody's place.
func (c *call) read() (err error) {
	c.api.counters.inFlight.Add(-1)
	c.body, err = readBody(c.w, c.r, c.route.bodyLimit(c.api.limits))
	if n := c.api.counters.inFlight.Add(1); err == nil && n > int64(c.api.limits.InFlight) {
		c.api.counters.refused.Add(1)
		return errOverloaded
	}
	return err
}

// attempt does what is left to do of a request under an idempotency key.
func (c *call) attempt(try *access.Try) error {
	switch try.State {
	case access.Replayed:
		c.status, c.answer, c.replay = try.Status, try.Answer, true
		c.raiseToStore()
		if c.route.replayed != nil {
			c.route.replayed(c)
		}
		return nil
	case access.Resumed:
		// The first attempt may have committed and then been answered 503.
		if err := c.api.social.Confirm(c.ctx()); err != nil {
			return err
		}
		c.raiseToStore()
		return c.route.again(c, try.Subject)
	}
	c.write.Idempotency = try.Claim
	err := c.route.serve(c)
	if freshet.CodeOf(err) != freshet.CodeInProgress {
		return err
	}
	if err := try.Again(c.ctx()); err != nil { // another process has made the claim since
		return err
	}
	if try.State == access.Fresh {
		return err
	}
	return c.attempt(try)
}

// fingerprint is of everything that makes two requests the same. The key is part
// of it: it is stored nowhere, so that the stored hash of a body with a password
// can't be searched.
func (c *call) fingerprint(key string) (sum [32]byte) {
	h := sha256.New()
	for _, part := range []string{key, c.r.Method, c.r.URL.EscapedPath(), c.r.URL.RawQuery} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte{' '})
		h.Write([]byte(part))
	}
	h.Write(c.body)
	h.Sum(sum[:0])
	return sum
}

// decode reads the body into v.
func (c *call) decode(v any) error { return c.route.in.decode(c.body, v) }

// viewer is who looks, for what also those may see who are not signed in: an API key alone is no user, but somebody.
func (c *call) viewer() freshet.ID {
	if c.user == 0 && c.who.Kind != access.Anonymous {
		return social.Host
	}
	return c.user
}

// id reads an id from the path.
func (c *call) id(name string) (freshet.ID, error) {
	id, err := freshet.ParseID(c.r.PathValue(name))
	if err != nil {
		return 0, malformed(name, "is not an id: a positive decimal number")
	}
	return id, nil
}

// raise notes a position that the answer shows.
func (c *call) raise(t position.Token) { c.token = c.token.Merge(t) }

// json gives the answer, which was appended to c.buf.
func (c *call) json(answer []byte) error {
	c.answer, c.buf = answer, answer
	return nil
}

// send writes the answer.
func (c *call) send() {
	h := c.w.Header()
	switch {
	case c.route.writes():
		h["Cache-Control"] = private
		c.raise(c.reading.High())
		c.keepToken()
		text := c.api.seal(c.token)
		h[tokenHeader] = text
		if c.who.ViaCookie || len(c.cookies) > 0 {
			c.cookies = append(c.cookies, c.cookie(tokenCookie, text[0], tokenAge))
		}
	case c.bare && c.route.need == anybody:
		h["Cache-Control"], h["Vary"] = public, append(h["Vary"], credentials)
		if c.unchanged(h) {
			return
		}
	default:
		c.raiseToStore()
		c.keepToken()
		h["Cache-Control"], h["Vary"] = private, append(h["Vary"], credentials)
		h[tokenHeader] = c.api.seal(c.token)
		if c.who.ViaCookie && c.reading != nil && later(c.token, c.began) {
			c.cookies = append(c.cookies, c.cookie(seenCookie, h[tokenHeader][0], tokenAge))
		}
	}
	if c.replay {
		h["Idempotency-Replayed"] = []string{"true"}
	}
	for _, cookie := range c.cookies {
		http.SetCookie(c.w, cookie)
	}
	if c.status == http.StatusNoContent {
		c.w.WriteHeader(c.status)
		return
	}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(c.answer))}
	c.w.WriteHeader(c.status)
	c.w.Write(c.answer) //nolint:errcheck // the client has gone
}

const (
	credentials = "Authorization, Cookie, Freshet-User"
	tokenAge    = 24 * time.Hour
)

// Values of headers, shared between requests and never changed.
var (
	jsonType = []string{"application/json"}
	private  = []string{"private, no-store"}
	public   = []string{"public, max-age=0, must-revalidate"}
)

// unchanged answers 304 to whoever has the answer already (RFC 9110, 13.1.2).
func (c *call) unchanged(h http.Header) bool {
	sum := sha256.Sum256(c.answer)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h["Etag"] = []string{tag}
	if !matches(c.r.Header["If-None-Match"], tag) {
		return false
	}
	c.status = http.StatusNotModified
	c.w.WriteHeader(c.status)
	return true
}

// cookie makes one of our cookies; an age below zero takes it away.
func (c *call) cookie(name, value string, age time.Duration) *http.Cookie {
	seconds := int(age / time.Second)
	if age < 0 {
		seconds = -1
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure(),
	}
}

// secure reports whether the client's side of the connection is encrypted.
func (c *call) secure() bool {
	if c.r.TLS != nil {
		return true
	}
	if c.r.Header.Get("X-Forwarded-Proto") != "https" {
		return false
	}
	from, err := netip.ParseAddrPort(c.r.RemoteAddr)
	return err == nil && slices.ContainsFunc(c.api.gate.Proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}

// writeProblem answers with an error and gives the status. subject is what the
// path names, for errors that name no field.
func (a *API) writeProblem(w http.ResponseWriter, r *http.Request, err error, subject string) int {
	shown, internal := asError(err)
	h := w.Header()
	id := h.Get("X-Request-Id")
	if internal {
		a.options.Log.Error("request failed", "request_id", id, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	all, _ := errors.AsType[fieldErrors](err)
	p := problemOf(shown, all, id)
	if concerns, ok := errors.AsType[about](err); ok {
		subject = concerns.field
	} else if shown.Code != freshet.CodeNotFound && shown.Code != freshet.CodeForbidden {
		subject = ""
	}
	if p.Field == "" {
		p.Field = subject
	}
	if seconds := retryAfter(shown); seconds > 0 {
		h["Retry-After"] = []string{strconv.Itoa(seconds)}
	}
	if p.Status == http.StatusUnauthorized {
		h["Www-Authenticate"] = []string{"Bearer"}
	}
	h.Del("Etag")
	body := p.json()
	h["Content-Type"] = problemType
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(p.Status)
	w.Write(body) //nolint:errcheck // the client has gone
	return p.Status
}

var (
	problemType = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
)
