package api

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/freshet/freshet"
)

// readyPatience is how long /readyz waits for the store.
const readyPatience = 2 * time.Second

func isHealth(path string) bool { return path == "/livez" || path == "/readyz" || path == "/metrics" }

// serveHealth adds what machines ask: is it alive, can it work, how does it do.
func (a *API) serveHealth() {
	a.plain("/livez", func(context.Context) ([]byte, error) { return []byte("ok\n"), nil })
	a.plain("/readyz", func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, readyPatience)
		defer cancel()
		if err := a.options.Ready(ctx); err != nil {
			return nil, &freshet.Error{Code: freshet.CodeUnavailable, Message: "the store is not ready", Err: err}
		}
		return []byte("ok\n"), nil
	})
	a.plain("/metrics", func(context.Context) ([]byte, error) {
		var b bytes.Buffer
		a.counters.write(&b)
		a.options.Metrics(&b)
		return b.Bytes(), nil
	})
}

func (a *API) plain(path string, text func(context.Context) ([]byte, error)) {
	s := a.series(http.MethodGet, path)
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		body, err := text(r.Context())
		if err != nil {
			s.observe(a.writeProblem(w, r, err, ""), time.Since(start))
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		h["Cache-Control"] = noStore
		w.Write(body) //nolint:errcheck // the client has gone
		s.observe(http.StatusOK, time.Since(start))
	})
}
