package notify

import (
	"context"
	"slices"
	"time"

	"github.com/freshet/freshet"
)

// Watcher is who opens a stream, and by what: its end ends the stream.
type Watcher struct {
	User    freshet.ID
	Session freshet.ID // zero: by no session
	Key     freshet.ID // the API key that is used, or that issued the token; zero: none
}

// Stream is one client's events. One goroutine calls its methods.
type Stream struct {
	hub     *Hub
	reader  *reader
	watcher Watcher
	start   Start
	wake    chan struct{}

	// Under the hub's lock.
	queue  []*Event
	behind bool
	cursor uint64 // the event that comes next, where it is behind
	err    error
}

// Start says how a stream begins.
type Start struct {
	ID      string // where it begins; what comes is after it
	Resumed bool   // with what came after the id that was given
	Reset   bool   // an id was given, and what came after it is not known any more: the feed is to be loaded anew
}

const (
	queued    = 256  // events that a stream may have waiting; beyond that it reads the ring
	scanned   = 4096 // events of the ring that are looked at under one lock
	readyWait = 5 * time.Second
)

// Why a stream ends, or does not begin. Who comes back with the id of the last event lacks nothing, or is told so.
var (
	ErrTooMany   = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: 5 * time.Second, Message: "too many streams are open here; try again"}
	ErrOfUser    = &freshet.Error{Code: freshet.CodeRateLimited, RetryAfter: 5 * time.Second, Message: "you have too many streams open"}
	errNotReady  = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "live events are not heard at the moment; try again"}
	errDrained   = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "this node is stopping; try again"}
	errLost      = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "events were lost; load the feed anew"}
	errBehind    = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "events come faster than they are read"}
	errRelations = &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "whom you follow can't be read at the moment; try again"}
	errRevoked   = &freshet.Error{Code: freshet.CodeUnauthenticated, Message: "the token is wrong, has expired or was revoked"}
)

// Subscribe opens a stream that begins now, or after the event with an id that any node gave. It waits a few seconds where the
// node has only just started. Close it.
func (h *Hub) Subscribe(ctx context.Context, w Watcher, lastID string) (*Stream, error) {
	if err := h.awaitReady(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.drained:
		return nil, errDrained
	case h.streams >= h.options.Streams:
		return nil, ErrTooMany
	}
	r := h.watches(w.User)
	if len(r.streams) >= h.options.PerUser {
		return nil, ErrOfUser
	}
	s := &Stream{hub: h, reader: r, watcher: w, wake: make(chan struct{}, 1), behind: true, cursor: h.ring.next}
	s.start = Start{ID: h.now.text()}
	if lastID != "" {
		s.resume(lastID)
	}
	r.streams = append(r.streams, s)
	h.streams++
	if r.relations == nil && !r.loading {
		h.load(r)
	}
	return s, nil
}

func (h *Hub) awaitReady(ctx context.Context) error {
	h.mu.Lock()
	ready := h.ready
	h.mu.Unlock()
	wait := time.NewTimer(readyWait)
	defer wait.Stop()
	select {
	case <-ready:
		return nil
	case <-wait.C:
		return errNotReady
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Stream) resume(lastID string) {
	h := s.hub
	v, ok := parseVector(lastID)
	if !ok || !v.resumable(h.floor, h.now) {
		s.start.Reset = true
		return
	}
	s.start.Resumed = true
	if s.cursor = h.ring.after(v); len(h.now) > 1 && s.cursor > h.ring.base {
		s.cursor = h.ring.since(s.cursor, h.ring.at(s.cursor-1).heard.Add(-lookBack))
	}
}

// Cut notes that the stream is ended because its client does not read.
func (s *Stream) Cut() { s.hub.metrics.cut.Add(1) }

// Start says how the stream begins.
func (s *Stream) Start() Start { return s.start }

// Close gives the stream's place back.
func (s *Stream) Close() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	r := s.reader
	i := slices.Index(r.streams, s)
	if i < 0 {
		return
	}
	r.streams = slices.Delete(r.streams, i, i+1)
	h.streams--
	if len(r.streams) == 0 && !r.loading { // else who reads the relations does it
		h.forget(r)
	}
}

// Next waits for events and appends them to into; none and no error: there were none for so long. An error ends the stream.
func (s *Stream) Next(ctx context.Context, wait time.Duration, into []*Event) ([]*Event, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		events, more, err := s.take(into)
		if err != nil || len(events) > len(into) {
			return events, err
		}
		if more {
			continue
		}
		select {
		case <-s.wake:
		case <-timer.C:
			return into, nil
		case <-ctx.Done():
			return into, ctx.Err()
		}
	}
}

// take gives what there is; more says that it has not looked at all that there may be.
func (s *Stream) take(into []*Event) (events []*Event, more bool, err error) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case s.err != nil:
		return into, false, s.err
	case len(s.queue) > 0:
		into = append(into, s.queue...)
		clear(s.queue)
		s.queue = s.queue[:0]
		return into, false, nil
	case !s.behind || s.reader.loading || s.reader.relations == nil:
		return into, false, nil
	case s.cursor < h.ring.base:
		s.end(errBehind)
		h.metrics.cut.Add(1)
		return into, false, s.err
	}
	end := min(h.ring.next, s.cursor+scanned)
	for had := len(into); s.cursor < end && len(into)-had < queued; s.cursor++ {
		if e := h.ring.at(s.cursor); s.reader.concerns(e) && s.wants(e) {
			into = append(into, e)
		}
	}
	s.behind = s.cursor < h.ring.next
	return into, s.behind, nil
}

// wants passes over what only those lack who watched before the node was started again.
func (s *Stream) wants(e *Event) bool { return !e.old || s.start.Resumed }

// Position is an id after which to resume, where all that was published before it has been given; else "".
func (s *Stream) Position() string {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.behind || len(s.queue) > 0 {
		return ""
	}
	return s.hub.now.text()
}

// push, fallBehind and end are called under the hub's lock.
func (s *Stream) push(e *Event) {
	switch {
	case s.behind || !s.wants(e):
		return
	case len(s.queue) == queued:
		s.fallBehind(e.seq)
		return
	}
	s.queue = append(s.queue, e)
	s.signal()
}

func (s *Stream) fallBehind(at uint64) {
	if !s.behind {
		s.behind, s.cursor = true, at
	}
}

func (s *Stream) end(why error) {
	s.err = why
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
