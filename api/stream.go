package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/notify"
	"github.com/freshet/freshet/position"
)

// The stream of live events is server-sent events (WHATWG HTML, 9.2). It is no request in progress: it takes no place among
// those, no write timeout holds for it but one of its own for each write, and a stop of the node does not wait for it.

const (
	streamBeat   = 15 * time.Second // between signs of life, and between looks at whether the credentials still hold
	streamWrite  = 5 * time.Second  // for a client to take what was written; then it is cut off
	streamRender = 5 * time.Second  // for a post to be read
	streamRetry  = "retry: 2000\n"  // milliseconds after which a browser comes back
)

func (a *API) streamRoute() route {
	plain := func(name, about string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: about, Schema: text}
	}
	return route{
		method: "GET", path: "/v1/feed/stream", id: "stream-feed", tag: "feed", summary: "Your home feed, live", about: aboutStream,
		query: []*huma.Param{
			plain("ticket", "Instead of credentials in headers: what POST /v1/tokens gave for the purpose `stream`"),
			plain("last_event_id", "Instead of the header `Last-Event-ID`"),
			{Name: "Last-Event-ID", In: "header", Description: "The id of the last event you have: what came after it comes first", Schema: text},
		},
		need: someUser, ticket: true, direct: true, status: http.StatusOK, out: text, media: "text/event-stream",
		errors: []int{http.StatusServiceUnavailable}, serve: streamFeed,
	}
}

const aboutStream = `Server-sent events: ` + "`post`" + ` (data: a post as in the feed, without ` + "`liked`" + `), ` + "`delete`" + ` (` + "`{\"id\":…}`" + `), ` + "`notification`" + ` (as in GET /v1/notifications) and ` + "`reset`" + `: what came after the id you gave is not known any more, load the feed anew.

Each event comes at least once; who comes back with the last id lacks none. A stream that ends is to be opened again.`

var streamParameters = []string{"last_event_id", "ticket"}

var (
	eventStream = []string{"text/event-stream"}
	unbuffered  = []string{"no"}
)

func streamFeed(c *call) error {
	q, err := parseQuery(c.r.URL.RawQuery, streamParameters)
	if err != nil {
		return err
	}
	last := c.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = q["last_event_id"]
	}
	c.api.counters.inFlight.Add(-1)
	defer c.api.counters.inFlight.Add(1)
	s, err := c.api.options.Live.Subscribe(c.r.Context(), notify.Watcher{User: c.user, Session: c.who.Session, Key: c.who.Key}, last)
	if err != nil {
		return err
	}
	defer s.Close()
	// Had the credentials ended before the hub knew of the stream, it would not have heard that they end.
	if err := c.still(); err != nil {
		return err
	}
	took := time.Since(c.start)
	defer func() { c.start = time.Now().Add(-took) }() // that is how long its answer took: the rest was asked for
	c.sent = true
	h := c.w.Header()
	h["Content-Type"], h["Cache-Control"], h["Vary"] = eventStream, noStore, append(h["Vary"], credentials)
	h["X-Accel-Buffering"] = unbuffered
	c.w.WriteHeader(c.status)
	if c.r.Method == http.MethodGet {
		w := streamWriter{c: c, stream: s, control: http.NewResponseController(c.w)}
		w.run()
	}
	return nil
}

// still reports whether the caller would be let in now.
func (c *call) still() error { return c.api.gate.Still(c.r.Context(), c.r, c.who, c.ticket) }

// streamWriter writes a stream to its client, until either ends.
type streamWriter struct {
	c       *call
	stream  *notify.Stream
	control *http.ResponseController
	events  []*notify.Event
}

func (w *streamWriter) run() {
	// The server's timeouts are for requests. Without a read deadline the connection's end is still noticed.
	_ = w.control.SetReadDeadline(time.Time{})
	b := append(w.c.buf, streamRetry...)
	start := w.stream.Start()
	if b = appendEvent(b, start.ID, "", nil); start.Reset {
		b = appendEvent(b, start.ID, "reset", []byte("{}"))
	}
	if start.Resumed {
		b = append(b[:len(streamRetry)], '\n')
	}
	ok := w.write(b)
	ctx := w.c.r.Context()
	for checked := time.Now(); ok; {
		events, err := w.stream.Next(ctx, streamBeat-time.Since(checked), w.events[:0])
		if err != nil {
			return
		}
		if w.events = events; len(events) > 0 {
			ok = w.send(events)
		}
		if time.Since(checked) >= streamBeat && ok {
			checked = time.Now()
			ok = w.c.still() == nil && w.beat()
		}
	}
}

// beat keeps the connection from looking dead, and has the client's place follow what concerned others.
func (w *streamWriter) beat() bool {
	b := append(w.c.buf[:0], ":\n"...)
	if at := w.stream.Position(); at != "" {
		b = appendEvent(b, at, "", nil)
	} else {
		b = append(b, '\n')
	}
	return w.write(b)
}

func (w *streamWriter) send(events []*notify.Event) bool {
	b := w.c.buf[:0]
	hub := w.c.api.options.Live
	sent := events[:0]
	for _, e := range events {
		frame, err := hub.Frame(e, func() ([]byte, error) { return w.c.frame(e) })
		if err != nil {
			if w.c.r.Context().Err() == nil {
				w.c.api.options.Log.Error("a live event can't be told", "kind", e.Kind, "post", e.Post, "notification", e.Notification, "error", err)
			}
			w.write(b)
			return false
		}
		if len(frame) > 0 {
			b, sent = append(b, frame...), append(sent, e)
		}
	}
	if len(b) > 0 && !w.write(b) {
		return false
	}
	for _, e := range sent {
		hub.Delivered(e)
	}
	return true
}

// write sends what is in b, whose memory is used again.
func (w *streamWriter) write(b []byte) bool {
	if cap(b) <= maxKept {
		w.c.buf = b
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(streamWrite))
	_, err := w.c.w.Write(b)
	if err == nil {
		err = w.control.Flush()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.stream.Cut()
	}
	return err == nil
}

// frame is an event as it goes over the wire; empty where there is nothing to tell any more.
func (c *call) frame(e *notify.Event) ([]byte, error) {
	switch e.Kind {
	case notify.Deleted:
		return appendEvent(nil, e.ID, string(e.Kind), append(appendID([]byte{'{'}, "id", e.Post), '}')), nil
	case notify.Notified:
		ctx, cancel := context.WithTimeout(c.r.Context(), streamRender)
		defer cancel()
		ctx, _ = position.WithReading(cache.At(ctx, e.At()), e.At())
		n, err := c.api.social.Notification(ctx, e.User, e.Notification)
		if errors.Is(err, freshet.ErrNotFound) {
			return []byte{}, nil // taken back, or done by somebody who is hidden
		}
		if err != nil {
			return nil, err
		}
		return appendEvent(nil, e.ID, string(e.Kind), appendNotification(nil, n)), nil
	default:
		ctx, cancel := context.WithTimeout(c.r.Context(), streamRender)
		defer cancel()
		p, err := c.api.social.Told(cache.At(ctx, e.At()), e.Post)
		if errors.Is(err, freshet.ErrNotFound) {
			return []byte{}, nil // its deletion follows
		}
		if err != nil {
			return nil, err
		}
		return appendEvent(nil, e.ID, string(e.Kind), appendPost(nil, p, false)), nil
	}
}

// appendEvent writes an event. Without a name and data it only tells the client how far it is.
func appendEvent(b []byte, id, name string, data []byte) []byte {
	b = append(append(b, "id: "...), id...)
	if name != "" {
		b = append(append(b, "\nevent: "...), name...)
		b = append(b, "\ndata: "...)
		b = appendLines(b, data)
	}
	return append(b, "\n\n"...)
}

// appendLines writes data whose lines, in the white space of a post's JSON that another program wrote, may end in each of the ways that
// end one here too.
func appendLines(b, data []byte) []byte {
	for i, c := range data {
		switch {
		case c == '\n' && i > 0 && data[i-1] == '\r':
		case c == '\n' || c == '\r':
			b = append(b, "\ndata: "...)
		default:
			b = append(b, c)
		}
	}
	return b
}
