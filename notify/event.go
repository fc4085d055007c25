package notify

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Kind says what an event is about.
type Kind string

// The kinds, by the name that clients see.
const (
	Posted   Kind = "post"
	Deleted  Kind = "delete"
	Notified Kind = "notification"
)

// Event is what watchers are told. It is shared between streams and not changed.
type Event struct {
	ID     string // resumes after it
	Kind   Kind
	Post   freshet.ID
	Author freshet.ID // of the post

	// Of a notification: which, and whose; nobody else is told.
	Notification freshet.ID
	User         freshet.ID

	seq      uint64
	shard    int
	place    place
	heard    time.Time
	old      bool // heard before by an earlier run of this node: for those who resume
	everyone bool // its author is erased, so relations do not tell whom it concerns

	rendering sync.Mutex
	frame     atomic.Pointer[[]byte]
}

// At is where the change stands: who reads what the event is about reads there or later.
func (e *Event) At() position.Token { return position.Token{e.place.at} }

// eventOf is the event that a change is to those whom it concerns; nil: none.
func eventOf(c store.Change) *Event {
	switch c.Kind {
	case store.PostCreated:
		return &Event{Kind: Posted, Post: c.Subject, Author: c.Object}
	case store.PostDeleted:
		return &Event{Kind: Deleted, Post: c.Subject, Author: c.Object}
	case store.Notified:
		if c.Subject != 0 { // else it was seen
			return &Event{Kind: Notified, Notification: c.Subject, User: c.Object}
		}
	}
	return nil
}

// framesKept is how many of the newest events keep what a translator made of them: 2 MB of usual posts, 120 MB of the longest.
const framesKept = 4096

// Frame gives what render makes of an event, made once for all streams while the event is new. An error is not kept.
func (h *Hub) Frame(e *Event, render func() ([]byte, error)) ([]byte, error) {
	if frame := e.frame.Load(); frame != nil {
		return *frame, nil
	}
	e.rendering.Lock()
	defer e.rendering.Unlock()
	if frame := e.frame.Load(); frame != nil {
		return *frame, nil
	}
	frame, err := render()
	if err == nil && e.seq+framesKept >= h.newest.Load() {
		e.frame.Store(&frame)
	}
	return frame, err
}
