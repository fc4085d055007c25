package api

import (
	"net/http"
	"time"

	"github.com/freshet/freshet"
)

const ndjson = "application/x-ndjson"

// Exported is one line of an export; besides type it has a field of that name,
// or the id of what the line is about.
type Exported struct {
	_    struct{} `additionalProperties:"true"`
	Type string   `json:"type" enum:"user,post,comment,like,following,follower,block,mute,follow_request,session"`
}

const (
	exportPiece    = 32 << 10
	exportPatience = time.Minute // for the client to take one piece
)

func export(c *call) error {
	e := exporter{c: c, out: http.NewResponseController(c.w)}
	if err := c.api.social.Export(c.ctx(), c.user, &e); err != nil {
		if c.sent {
			panic(http.ErrAbortHandler) // the client sees that the rest is missing
		}
		return err
	}
	return e.flush()
}

// exporter writes everything of one's own, piece by piece: as long as the first
// piece is not full, an error can still become a problem.
type exporter struct {
	c   *call
	out *http.ResponseController
}

// User writes the account.
func (e *exporter) User(u freshet.User, email string) error {
	return e.line(append(appendUser(e.open("user", "user"), &u, &email), '}'))
}

// Post writes a post.
func (e *exporter) Post(p freshet.Post) error {
	return e.line(append(appendContent(e.open("post", "post"), &p), '}', '}'))
}

// Comment writes a comment.
func (e *exporter) Comment(c freshet.Comment) error {
	b := append(e.open("comment", "comment"), '{')
	b = appendID(b, "id", c.ID)
	b = append(b, ',')
	b = appendID(b, "post_id", c.Post)
	b = append(b, `,"text":`...)
	b = appendString(b, c.Text)
	b = append(b, ',')
	b = appendTime(b, "created_at", c.CreatedAt)
	return e.line(append(b, '}', '}'))
}

// Like writes a like.
func (e *exporter) Like(post freshet.ID) error {
	b := append(e.c.buf, `{"type":"like",`...)
	return e.line(append(appendID(b, "post_id", post), '}'))
}

// Edge writes a follow, block, mute or request.
func (e *exporter) Edge(kind string, edge freshet.Edge) error {
	b := append(e.c.buf, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `",`...)
	b = appendID(b, "user_id", edge.User)
	b = append(b, ',')
	b = appendTime(b, "created_at", edge.ID.Time())
	return e.line(append(b, '}'))
}

// Session writes a sign-in.
func (e *exporter) Session(s freshet.Session) error {
	return e.line(append(appendSession(e.open("session", "session"), &s, s.ID == e.c.who.Session), '}'))
}

func (e *exporter) open(kind, field string) []byte {
	b := append(e.c.buf, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","`...)
	b = append(b, field...)
	return append(b, `":`...)
}

func (e *exporter) line(b []byte) error {
	e.c.buf = append(b, '\n')
	if len(e.c.buf) < exportPiece {
		return nil
	}
	return e.flush()
}

func (e *exporter) flush() error {
	c := e.c
	if !c.sent {
		c.sent = true
		c.raiseToStore()
		c.keepToken()
		h := c.w.Header()
		h["Cache-Control"], h["Vary"] = private, append(h["Vary"], credentials)
		h[tokenHeader] = c.api.seal(c.token)
		h.Set("Content-Type", ndjson)
		c.w.WriteHeader(c.status)
	}
	// Where the connection knows no deadline, the server's bound on writing holds.
	_ = e.out.SetWriteDeadline(c.api.options.Now().Add(exportPatience))
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
