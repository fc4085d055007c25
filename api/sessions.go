package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
)

func (a *API) sessionRoutes() []route {
	tokens := bodyOf[newToken](a)
	tokens.optional = true
	return []route{
		{
			method: "POST", path: "/v1/sessions", id: "create-session", tag: "sessions", summary: "Sign in",
			about: "Gives a token, and sets it as the cookie `freshet_session`.",
			in:    bodyOf[newSession](a), status: 201, out: answerOf[SignedIn](a), errors: []int{http.StatusUnauthorized},
			serve: signIn,
			replayed: func(c *call) {
				var saved SignedIn
				if json.Unmarshal(c.answer, &saved) == nil {
					c.cookies = append(c.cookies, c.cookie(access.Cookie, saved.Token, sessionAge))
				}
			},
		},
		{
			method: "GET", path: "/v1/sessions", id: "list-sessions", tag: "sessions", summary: "Your sign-ins",
			need: someUser, list: true, status: 200, out: listOf[Session](a), serve: listSessions,
		},
		{
			method: "DELETE", path: "/v1/sessions/{id}", id: "delete-session", tag: "sessions", summary: "Sign out",
			about: "`current` instead of an id is the session of this request.",
			need:  someUser, status: 204, serve: signOut,
		},
		{
			method: "POST", path: "/v1/tokens", id: "create-token", tag: "sessions", summary: "A user token for a browser or an app",
			about: "The API key names the user in `Freshet-User`. The token speaks for that user, and ends with the key at the latest. With `purpose` it is a ticket, by which a browser opens a stream of live events: its `EventSource` sends no headers.",
			need:  someKey, in: tokens, status: 201, out: answerOf[Token](a), serve: mintToken,
		},
	}
}

// sessionAge is how long a browser keeps the cookie; the session in it ends by
// itself when it is not used. 400 days is the most that browsers allow.
const sessionAge = 400 * 24 * time.Hour

func signIn(c *call) error {
	var in newSession
	if err := c.decode(&in); err != nil {
		return err
	}
	if err := freshet.CheckHandle("handle", in.Handle); err != nil {
		return err
	}
	s, token, at, err := c.api.gate.Auth.SignIn(c.ctx(), access.SignIn{
		Handle: in.Handle, Password: in.Password, Agent: c.r.UserAgent(), Addr: c.who.Addr, Exempt: c.who.Exempt,
	}, c.write)
	if freshet.CodeOf(err) == freshet.CodeUnauthenticated {
		return about{err, "password"}
	}
	if err != nil {
		return err
	}
	u, err := c.api.social.User(c.ctx(), s.User, s.User)
	if err != nil {
		return err
	}
	email, err := c.api.social.Email(c.ctx(), s.User)
	if err != nil {
		return err
	}
	c.raise(at)
	c.cookies = append(c.cookies, c.cookie(access.Cookie, token, sessionAge))
	b := append(c.buf, `{"token":`...)
	b = appendString(b, token)
	b = append(b, ',')
	b = appendTime(b, "expires_at", s.ExpiresAt)
	b = append(b, `,"user":`...)
	b = appendUser(b, &u.User, &email)
	return c.json(append(b, '}'))
}

func listSessions(c *call) error {
	w, err := c.window(listName("sessions", c.user), c.user)
	if err != nil {
		return err
	}
	all, err := c.api.gate.Auth.ListSessions(c.ctx(), c.user)
	if err != nil {
		return err
	}
	part, next := inMemory(w, all, func(s freshet.Session) freshet.ID { return s.ID })
	return c.json(appendList(c.buf, part, c.api.next(w, next), func(b []byte, s *freshet.Session) []byte {
		return appendSession(b, s, s.ID == c.who.Session)
	}))
}

func appendSession(b []byte, s *freshet.Session, current bool) []byte {
	b = append(b, '{')
	b = appendID(b, "id", s.ID)
	b = append(b, `,"current":`...)
	b = strconv.AppendBool(b, current)
	b = append(b, `,"agent":`...)
	b = appendString(b, s.Agent)
	b = append(b, ',')
	b = appendTime(b, "created_at", s.CreatedAt)
	b = append(b, ',')
	b = appendTime(b, "used_at", s.UsedAt)
	b = append(b, ',')
	b = appendTime(b, "expires_at", s.ExpiresAt)
	return append(b, '}')
}

func signOut(c *call) error {
	id := c.who.Session
	if c.r.PathValue("id") != "current" {
		var err error
		if id, err = c.id("id"); err != nil {
			return err
		}
	}
	if id == 0 { // a token or a key has no session
		return freshet.NotFound("session")
	}
	at, err := c.api.gate.Auth.SignOut(c.ctx(), c.user, id, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	if id == c.who.Session {
		c.forgetSession()
	}
	return nil
}

// forgetSession takes the cookie away from a browser whose session has ended.
func (c *call) forgetSession() {
	if c.who.ViaCookie {
		c.cookies = append(c.cookies, c.cookie(access.Cookie, "", -1))
	}
}

func mintToken(c *call) error {
	if _, err := c.who.RequireUser(); err != nil {
		return err
	}
	var in newToken
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Purpose != "" {
		if in.ExpiresIn != nil {
			return freshet.Invalid("expires_in", "is not for tickets: they last one minute")
		}
		ticket, expires, err := c.api.gate.Auth.MintTicket(c.who)
		if err != nil {
			return err
		}
		return c.minted(ticket, expires)
	}
	var ttl time.Duration
	if in.ExpiresIn != nil {
		ttl = time.Duration(min(*in.ExpiresIn, 1<<30)) * time.Second
	}
	token, expires, err := c.api.gate.Auth.MintUserToken(c.ctx(), c.who, c.user, ttl)
	if freshet.CodeOf(err) == freshet.CodeInvalid {
		return freshet.Invalid("expires_in", "is longer than a user token may last")
	}
	if err != nil {
		return err
	}
	return c.minted(token, expires)
}

func (c *call) minted(token string, expires time.Time) error {
	b := append(c.buf, `{"token":`...)
	b = appendString(b, token)
	b = append(b, ',')
	b = appendTime(b, "expires_at", expires)
	return c.json(append(b, '}'))
}
