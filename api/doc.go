// Package api is the HTTP interface of freshet: JSON in, JSON out, problems as
// application/problem+json, described by the document at /openapi.json and the
// pages at /docs.
//
//	handler := api.New(api.Options{
//		Social: svc, Gate: gate, Idempotency: idem, Cursors: cursors, Signer: signer,
//	})
//	srv := &http.Server{Addr: "127.0.0.1:8080", Handler: handler}
//	err := srv.ListenAndServe()
//
// # The way of a request
//
//	ServeHTTP      request id, security headers, CORS, bound on requests at once
//	   │
//	route          who asks, rate limit, token ── read:  handler ─▶ ETag or private
//	   │                                       └─ write: body, idempotency ─▶ handler ─▶ save, token
//	GET /v1/feed   the same steps by hand, into pooled memory (feed.go)
//
// huma keeps the document: schemas are made from the Go types that bodies are
// decoded into, and those schemas are what bodies are checked against.
//
// Invariants: an error is turned into a status in one place (problem.go) and
// shows nothing internal; every 4xx names what is wrong; a post looks the same
// wherever it is shown, because one renderer writes it; what is answered with
// credentials is private, what is answered without holds nothing personal; a
// cursor of a personal list works for its reader alone.
//
// It is not where anything is decided: who may ask is package access, what
// happens is package social.
package api
