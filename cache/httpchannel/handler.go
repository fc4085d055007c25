package httpchannel

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
)

const (
	contentType = "application/octet-stream"
	errMany     = "more nodes than may be"
)

// ServeHTTP answers other nodes. It serves POST at whatever path it is mounted.
func (r *Remote) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case !r.authorized(req):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "another secret", http.StatusUnauthorized)
		return
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	default:
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxAsk))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		http.Error(w, "a request is shorter", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "the request was not read to its end", http.StatusBadRequest)
		return
	}
	a, err := parseAsk(body)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case a.to != r.id:
		http.Error(w, errGone.Error(), http.StatusGone)
	case a.kind == askEvents && !r.out.room(a.from):
		http.Error(w, errMany, http.StatusServiceUnavailable)
	default:
		r.reply(w, req, a)
	}
}

// authorized compares digests, which takes the same time whatever was sent.
func (r *Remote) authorized(req *http.Request) bool {
	sent, due := sha256.Sum256([]byte(req.Header.Get("Authorization"))), sha256.Sum256([]byte(r.bearer))
	return subtle.ConstantTimeCompare(sent[:], due[:]) == 1
}

func (r *Remote) reply(w http.ResponseWriter, req *http.Request, a ask) {
	answer := answer{from: r.id}
	switch a.kind {
	case askEvents:
		answer.batch(r.out.poll(req.Context(), a.from, a.after, min(a.wait, r.o.Trust)))
	case askKnow:
		var ok bool
		if answer.listening, ok = r.members.meet(a.from, a.term, a.url); !ok {
			http.Error(w, errMany, http.StatusServiceUnavailable)
			return
		}
	case askLeave:
		r.out.unfollowed(a.from)
	case askConfirm:
		if err := r.out.confirm(req.Context()); err != nil {
			http.Error(w, "not confirmed", http.StatusServiceUnavailable)
			return
		}
	}
	answer.applied = r.members.token()
	w.Header().Set("Content-Type", contentType)
	if _, err := w.Write(answer.append(nil)); err == nil && answer.left {
		r.out.unfollowed(a.from)
	}
}

func (a *answer) batch(b batch) {
	a.events, a.upTo, a.gap, a.left = b.events, b.upTo, b.gap, b.left
}
