package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bareServer is the helper process that point 3 compares with: a net/http
// handler that does nothing but write as many bytes under as many headers.
const bareServer = "bare-server"

// bareAnswer is what it answers to one method.
type bareAnswer struct {
	Status int
	Header http.Header
	Bytes  int
}

// bareConfig is what it reads from its standard input: answers by method. It
// prints the address it listens on.
type bareConfig map[string]bareAnswer

func serveBare(ctx context.Context, _ []string, in io.Reader, out, log io.Writer) int {
	var answers bareConfig
	if err := json.NewDecoder(in).Decode(&answers); err != nil {
		fmt.Fprintln(log, err)
		return exitUsage
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(log, err)
		return exitShort
	}
	srv := &http.Server{Handler: answers.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	fmt.Fprintf(out, "http://%s\n", ln.Addr())
	_ = srv.Serve(ln) // until ctx ends
	return exitDone
}

func (c bareConfig) handler() http.Handler {
	bodies := map[string][]byte{}
	for method, a := range c {
		bodies[method] = []byte(strings.Repeat("x", a.Bytes))
		a.Header.Set("Content-Length", strconv.Itoa(a.Bytes))
		a.Header.Del("Date") // net/http sets it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body) // what can't be read is answered too
		}
		a, h := c[r.Method], w.Header()
		for name, values := range a.Header {
			h[name] = values
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(bodies[r.Method]) // a client that has gone is none of its business
	})
}
