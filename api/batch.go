package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// A batch is many writes of a host product's backend, each with its own result.
// It is cut into runs of one kind; a run ends before the next begins, so that
// whoever is made in a batch can follow and post further down in it. Within a
// run the operations of one actor are done in their order, and those of
// different actors at once, so that they share group commits.

type (
	batch struct {
		Operations []json.RawMessage `json:"operations" minItems:"1" nullable:"false"`
	}
	// UserOperation makes or changes a user.
	UserOperation struct {
		Op        string `json:"op" enum:"user"`
		Ref       string `json:"ref" doc:"Your own id of the user"`
		Handle    string `json:"handle,omitempty"`
		Name      string `json:"name" minLength:"1"`
		AvatarURL string `json:"avatar_url,omitempty"`
	}
	// FollowOperation begins or ends a follow.
	FollowOperation struct {
		Op     string `json:"op" enum:"follow,unfollow"`
		Actor  string `json:"actor" doc:"An id or ref:<ref>"`
		Target string `json:"target" doc:"An id or ref:<ref>"`
	}
	// PostOperation writes a post.
	PostOperation struct {
		Op     string          `json:"op" enum:"post"`
		Author string          `json:"author" doc:"An id or ref:<ref>"`
		Text   string          `json:"text,omitempty"`
		Data   json.RawMessage `json:"data,omitempty"`
		Ref    string          `json:"ref,omitempty"`
	}
	// BatchResults are the results of a batch, one for each operation in its order.
	BatchResults struct {
		Results []BatchResult `json:"results" nullable:"false"`
	}
	// BatchResult is what became of one operation.
	BatchResult struct {
		Status int         `json:"status" doc:"As if it had been a request of its own"`
		ID     freshet.ID  `json:"id,omitempty" doc:"Of the user or post"`
		Error  *BatchError `json:"error,omitempty"`
	}
	// BatchError is what was wrong with one operation.
	BatchError struct {
		Code   string `json:"code"`
		Field  string `json:"field,omitempty"`
		Detail string `json:"detail"`
	}
)

// batchWidth is how many actors' operations are under way at once: enough to
// fill group commits, few enough to leave room for others.
const batchWidth = 64

func (a *API) batchRoutes() []route {
	in := bodyOf[batch](a)
	s := a.registry().Schema(reflect.TypeFor[batch](), false, "")
	items := s.Properties["operations"]
	items.MaxItems = &a.limits.BatchItems
	s.PrecomputeMessages()
	operations := map[string]*schema{
		"user": bodyOf[UserOperation](a), "post": bodyOf[PostOperation](a),
		"follow": bodyOf[FollowOperation](a), "unfollow": bodyOf[FollowOperation](a),
	}
	in.shown = &huma.Schema{
		Type: huma.TypeObject, Required: []string{"operations"},
		Properties: map[string]*huma.Schema{"operations": {
			Type: huma.TypeArray, MinItems: items.MinItems, MaxItems: items.MaxItems,
			Items: &huma.Schema{OneOf: []*huma.Schema{
				operations["user"].root, operations["follow"].root, operations["post"].root,
			}},
		}},
	}
	delete(a.registry().Map(), "Batch") // documented by what is shown
	in.root = s
	return []route{{
		method: "POST", path: "/v1/batch", id: "batch", tag: "batch", summary: "Many writes at once",
		about: "Operations of different kinds are done in their order, those of one actor too. Each has its own result; one that fails does not undo the others. The list of operations may also be the whole body.",
		need:  someKey, batch: true, in: in, status: http.StatusOK, out: answerOf[BatchResults](a),
		serve: func(c *call) error { return runBatch(c, operations) },
	}}
}

// operation is one of a batch, decoded.
type operation struct {
	kind   string
	actor  string // whose operations are done in order
	do     func(ctx context.Context, w social.Write) (BatchResult, position.Token, error)
	result BatchResult
	at     position.Token
}

func runBatch(c *call, schemas map[string]*schema) error {
	if body := bytes.TrimSpace(c.body); len(body) > 0 && body[0] == '[' { // the operations alone
		c.body = slices.Concat([]byte(`{"operations":`), body, []byte{'}'})
	}
	var in batch
	if err := c.decode(&in); err != nil {
		return err
	}
	ops := make([]*operation, len(in.Operations))
	for i, raw := range in.Operations {
		ops[i] = c.operation(raw, schemas)
	}
	for from := 0; from < len(ops); {
		to := from + 1
		for to < len(ops) && sameRun(ops[from], ops[to]) {
			to++
		}
		c.perform(ops, from, to)
		from = to
	}
	if err := c.ctx().Err(); err != nil {
		return err
	}
	results := BatchResults{Results: make([]BatchResult, len(ops))}
	for i, op := range ops {
		c.raise(op.at)
		results.Results[i] = op.result
		c.unfinished = c.unfinished || op.result.Status >= http.StatusInternalServerError
	}
	answer, err := json.Marshal(results)
	if err != nil {
		return err
	}
	return c.json(append(c.buf, answer...))
}

func sameRun(a, b *operation) bool {
	return a.kind == b.kind || strings.HasSuffix(a.kind, "follow") && strings.HasSuffix(b.kind, "follow")
}

// perform does the operations of one run.
func (c *call) perform(ops []*operation, from, to int) {
	byActor := make(map[string][]int)
	var actors []string
	for i := from; i < to; i++ {
		if ops[i].do == nil {
			continue // refused already
		}
		actor := ops[i].actor
		if id, err := c.userNamed("actor", actor); err == nil {
			actor = id.String() // an id and a ref may name the same user
		}
		if byActor[actor] == nil {
			actors = append(actors, actor)
		}
		byActor[actor] = append(byActor[actor], i)
	}
	var (
		group sync.WaitGroup
		slots = make(chan struct{}, batchWidth)
	)
	for _, actor := range actors {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			for _, i := range byActor[actor] {
				ops[i].result, ops[i].at = c.once(i, ops[i])
			}
		})
	}
	group.Wait()
}

// once does one operation. Under an Idempotency-Key a post is written once also
// where the process died in the middle of the batch: its claim commits with it.
// The other operations may be done twice without harm.
func (c *call) once(i int, op *operation) (BatchResult, position.Token) {
	var w social.Write
	if key := c.r.Header.Get(access.IdempotencyHeader); key != "" && op.kind == "post" {
		try, err := c.api.idem.Begin(c.ctx(), c.who.Scope()+" operation "+strconv.Itoa(i), key, c.hash)
		if err != nil {
			return c.failed(err), nil
		}
		defer try.Release()
		if try.State != access.Fresh {
			return BatchResult{Status: http.StatusCreated, ID: try.Subject}, c.storePosition()
		}
		w.Idempotency = try.Claim
	}
	result, at, err := op.do(c.ctx(), w)
	if err != nil {
		return c.failed(err), nil
	}
	return result, at
}

func (c *call) failed(err error) BatchResult {
	shown, internal := asError(err)
	if internal {
		c.api.options.Log.Error("operation of a batch failed", "request_id", c.w.Header().Get("X-Request-Id"), "error", err)
	}
	p := problemOf(shown, nil, "")
	return BatchResult{Status: p.Status, Error: &BatchError{Code: p.Code, Field: p.Field, Detail: p.Detail}}
}

// operation decodes one operation; one that can't be done has its result already.
func (c *call) operation(raw json.RawMessage, schemas map[string]*schema) *operation {
	op, err := c.decodeOperation(raw, schemas)
	if err != nil {
		return &operation{result: c.failed(err)}
	}
	return op
}

func (c *call) decodeOperation(raw json.RawMessage, schemas map[string]*schema) (*operation, error) {
	var head struct {
		Op any `json:"op"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, freshet.Invalid("body", "must be a JSON object")
	}
	kind, _ := head.Op.(string)
	schema, ok := schemas[kind]
	if !ok {
		return nil, freshet.Invalid("op", "must be user, follow, unfollow or post")
	}
	switch kind {
	case "user":
		var in UserOperation
		err := schema.fill(raw, &in)
		return &operation{kind: kind, actor: "ref:" + in.Ref, do: c.upsert(&in)}, err
	case "post":
		var in PostOperation
		err := schema.fill(raw, &in)
		return &operation{kind: kind, actor: in.Author, do: c.post(&in)}, err
	default:
		var in FollowOperation
		err := schema.fill(raw, &in)
		return &operation{kind: kind, actor: in.Actor, do: c.follow(&in)}, err
	}
}

type do = func(ctx context.Context, w social.Write) (BatchResult, position.Token, error)

func (c *call) upsert(in *UserOperation) do {
	return func(ctx context.Context, w social.Write) (BatchResult, position.Token, error) {
		u, created, at, err := c.api.social.UpsertUser(ctx, freshet.NewUser{
			Ref: in.Ref, Handle: in.Handle, Name: in.Name, AvatarURL: in.AvatarURL,
		}, w)
		if err != nil {
			return BatchResult{}, nil, err
		}
		status := http.StatusOK
		if created {
			status = http.StatusCreated
		}
		return BatchResult{Status: status, ID: u.ID}, at, nil
	}
}

func (c *call) follow(in *FollowOperation) do {
	return func(ctx context.Context, w social.Write) (BatchResult, position.Token, error) {
		actor, err := c.userNamed("actor", in.Actor)
		if err != nil {
			return BatchResult{}, nil, err
		}
		target, err := c.userNamed("target", in.Target)
		if err != nil {
			return BatchResult{}, nil, err
		}
		status, requested := http.StatusNoContent, false
		var at position.Token
		if in.Op == "unfollow" {
			at, err = c.api.social.Unfollow(ctx, actor, target, w)
		} else {
			requested, at, err = c.api.social.Follow(ctx, actor, target, w)
		}
		if requested {
			status = http.StatusAccepted
		}
		return BatchResult{Status: status}, at, err
	}
}

func (c *call) post(in *PostOperation) do {
	return func(ctx context.Context, w social.Write) (BatchResult, position.Token, error) {
		author, err := c.userNamed("author", in.Author)
		if err != nil {
			return BatchResult{}, nil, err
		}
		p, at, err := c.api.social.Post(ctx, freshet.NewPost{Author: author, Text: in.Text, Data: in.Data, Ref: in.Ref}, w)
		if err != nil {
			return BatchResult{}, nil, err
		}
		return BatchResult{Status: http.StatusCreated, ID: p.Post.ID}, at, nil
	}
}

// userNamed finds the user whom a field names, by id or as ref:<ref>.
func (c *call) userNamed(field, name string) (freshet.ID, error) {
	var err error
	var id freshet.ID
	if ref, ok := strings.CutPrefix(name, "ref:"); ok {
		id, err = c.api.social.UserByRef(c.ctx(), ref)
	} else if id, err = freshet.ParseID(name); err != nil {
		return 0, freshet.Invalid(field, "is neither an id nor ref:<ref>")
	} else {
		_, err = c.api.social.User(c.ctx(), id, id)
	}
	if errors.Is(err, freshet.ErrNotFound) || freshet.CodeOf(err) == freshet.CodeNotFound {
		return 0, &freshet.Error{Code: freshet.CodeNotFound, Field: field, Message: "names a user who does not exist"}
	}
	return id, err
}
