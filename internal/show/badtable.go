package main

// whoAsks is who may call an endpoint.
type whoAsks uint8

const (
	asNobody whoAsks = iota
	asAnn            // by session
	asKey            // the API key for itself
	asKeyForAnn
	asAdmin // an API key that is an administrator
)

// endpoint is a row of point 7's table: how it is called rightly, from which the
// wrong calls are made.
type endpoint struct {
	method, path string
	who          whoAsks
	valid        string         // a body that is right; "" for an endpoint that takes none
	other        string         // another one
	texts        []string       // fields that hold text
	wrong        map[string]any // by field: a value of a type or form that is wrong
	list         string         // "public" or "personal": takes limit and cursor
	number       string         // a parameter of the query that takes 1 to most
	most         int
	limit        int  // bytes of a body; 0: none is taken
	optional     bool // the body may be left out
	array        bool // it may be an array
}

const (
	bodyLimit  = 64 << 10
	batchLimit = 4 << 20
)

// badTable has every endpoint there is; the document at /openapi.json is held
// against it. {ann} … {comment} stand for ids, {key} … for names.
func badTable() []endpoint {
	type e = endpoint
	var table []e
	for _, verb := range []string{"follow", "block", "mute"} {
		table = append(table,
			e{method: "PUT", path: "/v1/users/{user:bob}/" + verb, who: asAnn},
			e{method: "DELETE", path: "/v1/users/{user:bob}/" + verb, who: asAnn})
	}
	for _, list := range []string{"followers", "following", "posts"} {
		table = append(table, e{method: "GET", path: "/v1/users/{user:ann}/" + list, list: "public"})
	}
	for _, list := range []string{"/v1/feed", "/v1/blocks", "/v1/mutes", "/v1/sessions"} {
		table = append(table, e{method: "GET", path: list, who: asAnn, list: "personal"})
	}
	const caches = "/v1/admin/caches"
	table = append(table,
		e{method: "GET", path: caches, who: asAdmin},
		e{method: "GET", path: caches + "/{space:post}/{key:one}", who: asAdmin},
		e{method: "DELETE", path: caches + "/{space:post}/{key:one}", who: asAdmin},
		e{method: "DELETE", path: caches + "/{space:post}", who: asAdmin},
		e{
			method: "POST", path: caches + "/purge", who: asAdmin, limit: bodyLimit,
			valid: `{"tags":["a"]}`, other: `{"tags":["b"]}`,
			wrong: map[string]any{"tags": "all"},
		})
	return append(table, []e{
		{
			method: "POST", path: "/v1/users", limit: bodyLimit,
			valid: `{"handle":"carl","name":"Carl","password":"correct horse"}`,
			other: `{"handle":"carla","name":"Carla","password":"correct horse"}`,
			texts: []string{"handle", "name", "email"},
			wrong: map[string]any{"handle": 1, "name": true, "password": []int{1}, "email": map[string]int{}},
		},
		{
			method: "PUT", path: "/v1/users/by-ref/{ref:carl}", who: asKey, limit: bodyLimit,
			valid: `{"name":"Carl"}`, other: `{"name":"Carla"}`,
			texts: []string{"handle", "name", "avatar_url"},
			wrong: map[string]any{"handle": "two words", "name": 1, "avatar_url": false},
		},
		{method: "GET", path: "/v1/users/{user:ann}"},
		{method: "GET", path: "/v1/users/by-handle/{handle:ann}"},
		{method: "GET", path: "/v1/users/by-ref/{ref:dora}"},
		{method: "GET", path: "/v1/users/me", who: asAnn},
		{
			method: "PATCH", path: "/v1/users/me", who: asAnn, limit: bodyLimit,
			valid: `{"bio":"a bio"}`, other: `{"bio":"another"}`,
			texts: []string{"name", "bio", "email"},
			wrong: map[string]any{"name": "", "bio": 3, "email": []string{}},
		},
		{method: "DELETE", path: "/v1/users/me", who: asAnn},
		{method: "GET", path: "/v1/users/me/export", who: asAnn},
		{
			method: "POST", path: "/v1/sessions", limit: bodyLimit,
			valid: `{"handle":"ann","password":"` + badPassword + `"}`, other: `{"handle":"bob","password":"` + badPassword + `"}`,
			texts: []string{"handle"},
			wrong: map[string]any{"handle": 7, "password": nil},
		},
		{method: "DELETE", path: "/v1/sessions/{session:ann}", who: asAnn},
		{
			method: "POST", path: "/v1/tokens", who: asKeyForAnn, limit: bodyLimit, optional: true,
			valid: `{"expires_in":60}`, other: `{"expires_in":61}`,
			wrong: map[string]any{"expires_in": "60"},
		},
		{
			method: "POST", path: "/v1/posts", who: asAnn, limit: bodyLimit,
			valid: `{"text":"a post","ref":"post-a"}`, other: `{"text":"another","ref":"post-b"}`,
			texts: []string{"text", "ref"},
			wrong: map[string]any{"text": 5, "ref": "two words", "media_ids": []string{"1"}},
		},
		{method: "GET", path: "/v1/posts/{post:ann}"},
		{method: "GET", path: "/v1/posts/{post:ann}/stats", number: "hours", most: 168},
		{
			method: "PATCH", path: "/v1/posts/{post:ann}", who: asAnn, limit: bodyLimit,
			valid: `{"text":"edited"}`, other: `{"text":"edited again"}`,
			texts: []string{"text"}, wrong: map[string]any{"text": []string{"x"}},
		},
		{method: "DELETE", path: "/v1/posts/{post:ann}", who: asAnn},
		{method: "PUT", path: "/v1/posts/{post:bob}/like", who: asAnn},
		{method: "DELETE", path: "/v1/posts/{post:bob}/like", who: asAnn},
		{
			method: "POST", path: "/v1/posts/{post:bob}/comments", who: asAnn, limit: bodyLimit,
			valid: `{"text":"a comment"}`, other: `{"text":"another"}`,
			texts: []string{"text"}, wrong: map[string]any{"text": ""},
		},
		{method: "GET", path: "/v1/posts/{post:bob}/comments", list: "public"},
		{method: "DELETE", path: "/v1/comments/{comment:ann}", who: asAnn},
		{
			method: "POST", path: "/v1/batch", who: asKey, limit: batchLimit, array: true,
			valid: `{"operations":[{"op":"user","ref":"batched","name":"B"}]}`,
			other: `{"operations":[{"op":"user","ref":"batched","name":"C"}]}`,
			wrong: map[string]any{"operations": "all"},
		},
	}...)
}

// badOperation is an operation of a batch that is refused alone.
type badOperation struct{ body, field string }

func badOperations() []badOperation {
	return []badOperation{
		{`{"op":"fly"}`, "op"},
		{`{"ref":"x","name":"X"}`, "op"},
		{`{"op":"user","ref":"two words","name":"X"}`, "ref"},
		{`{"op":"user","ref":"x","name":"a\u0007b"}`, "name"},
		{`{"op":"user","ref":"x","name":"X","handle":"` + "no spaces!" + `"}`, "handle"},
		{`{"op":"user","ref":"x","name":"X","colour":"red"}`, "colour"},
		{`{"op":"follow","actor":"ref:dora","target":"ref:nobody"}`, "target"},
		{`{"op":"follow","actor":"dora","target":"ref:dora"}`, "actor"},
		{`{"op":"follow","actor":"ref:dora"}`, "target"},
		{`{"op":"follow","actor":"ref:dora","target":"ref:dora"}`, ""},
		{`{"op":"unfollow","actor":1,"target":"ref:dora"}`, "actor"},
		{`{"op":"post","author":"ref:nobody","text":"x"}`, "author"},
		{`{"op":"post","author":"ref:dora"}`, "text"},
		{`{"op":"post","author":"ref:dora","text":"a\u0000b"}`, "text"},
		{`{"op":"post","author":"ref:dora","text":7}`, "text"},
		{`[]`, ""},
		{`"post"`, ""},
		{`null`, ""},
	}
}
