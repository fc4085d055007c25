package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/freshet/freshet"
)

// route is one operation: what the document says of it and what answers it.
type route struct {
	method, path string
	id, tag      string // operationId; the group it is shown in
	summary      string
	about        string // more, in Markdown
	need         need
	list         bool          // takes limit and cursor
	query        []*huma.Param // what it takes in the query besides
	batch        bool          // has the body limit of a batch
	ticket       bool          // may be asked for by the ticket of a stream
	direct       bool          // bound to the mux without huma's adapter
	in           *schema       // of the body; nil: none
	status       int           // where all went well
	accepted     *huma.Schema  // of the answer 202, where it may come to that instead; nil: it may not
	out          *huma.Schema  // of the answer; nil: none
	media        string        // of the answer; default application/json
	errors       []int         // besides those that follow from the above

	serve func(c *call) error
	// resume answers a write that was made already and whose answer was lost;
	// made is what it made, zero where that is nothing new. Default: 204 where
	// that is the answer, else serve without the claim.
	resume func(c *call, made freshet.ID) error
	// replayed does what a saved answer needs besides being sent; nil: nothing.
	replayed func(c *call)

	subject string // the parameter of the path, which an error is about that names no field
	series  *series
}

// need says who may ask.
type need uint8

const (
	anybody   need = iota // also without credentials
	someUser              // a user, by whatever token
	someKey               // an API key
	someAdmin             // an administrator: a user or an API key
)

func (rt *route) writes() bool { return rt.method != http.MethodGet }

func (rt *route) bodyLimit(l Limits) int {
	if rt.batch {
		return l.BatchBody
	}
	return l.Body
}

// again answers a write that is there, but not its answer.
func (rt *route) again(c *call, made freshet.ID) error {
	switch {
	case rt.resume != nil:
		return rt.resume(c, made)
	case rt.status == http.StatusNoContent:
		return nil
	default:
		c.write.Idempotency = nil
		return rt.serve(c)
	}
}

// register adds a route to the document and, by huma's adapter, to the mux.
func (a *API) register(rt route) {
	r := &rt
	if from := strings.IndexByte(r.path, '{'); from >= 0 {
		r.subject = r.path[from+1 : from+strings.IndexByte(r.path[from:], '}')]
	}
	r.series = a.series(r.method, r.path)
	op := a.operation(r)
	a.huma.OpenAPI().AddOperation(op)
	if r.direct {
		a.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { a.serve(r, w, req) })
		return
	}
	a.huma.Adapter().Handle(op, func(ctx huma.Context) {
		req, w := humago.Unwrap(ctx)
		a.serve(r, w, req)
	})
}

// operation describes a route.
func (a *API) operation(r *route) *huma.Operation {
	op := &huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Tags: []string{r.tag}, Summary: r.summary, Description: r.about,
		Responses: map[string]*huma.Response{},
		Security:  security[r.need],
	}
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			op.Parameters = append(op.Parameters, pathParameter(strings.TrimSuffix(name, "}")))
		}
	}
	errs := append([]int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusTooManyRequests}, r.errors...)
	if r.subject != "" {
		errs = append(errs, http.StatusNotFound)
	}
	if r.need != anybody {
		errs = append(errs, http.StatusUnauthorized)
	}
	op.Parameters = append(op.Parameters, r.query...)
	if r.need == someAdmin {
		errs = append(errs, http.StatusForbidden)
	}
	if r.list {
		op.Parameters = append(op.Parameters, a.listParameters()...)
	}
	if r.writes() {
		op.Parameters = append(op.Parameters, idempotencyParameter)
		errs = append(errs, http.StatusForbidden, http.StatusConflict, http.StatusRequestEntityTooLarge)
	}
	op.Parameters = append(op.Parameters, tokenParameter, actForParameter)
	if r.in != nil {
		shown := r.in.shown
		if shown == nil {
			shown = r.in.root
		}
		op.RequestBody = &huma.RequestBody{
			Required: !r.in.optional,
			Content:  map[string]*huma.MediaType{"application/json": {Schema: shown}},
		}
	}
	ok := &huma.Response{Description: http.StatusText(r.status), Headers: map[string]*huma.Param{}}
	if r.writes() || r.need != anybody {
		ok.Headers[tokenHeader] = tokenReturned
	}
	if r.out != nil {
		media := r.media
		if media == "" {
			media = "application/json"
		}
		ok.Content = map[string]*huma.MediaType{media: {Schema: r.out}}
	}
	op.Responses[strconv.Itoa(r.status)] = ok
	if r.accepted != nil {
		op.Responses[strconv.Itoa(http.StatusAccepted)] = &huma.Response{
			Description: http.StatusText(http.StatusAccepted), Headers: ok.Headers,
			Content: map[string]*huma.MediaType{"application/json": {Schema: r.accepted}},
		}
	}
	for _, status := range errs {
		op.Responses[strconv.Itoa(status)] = a.problemResponse(status)
	}
	return op
}
