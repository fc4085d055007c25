package api

import (
	"net/http"

	"github.com/freshet/freshet"
)

func (a *API) requestRoutes() []route {
	const path = "/v1/follow-requests/{id}"
	s := a.social
	return []route{
		{
			method: "PUT", path: path, id: "accept-follow-request", tag: "graph", summary: "Let a user follow you who asked",
			need: someUser, status: http.StatusNoContent, serve: func(c *call) error { return c.relate(s.AcceptRequest) },
		},
		{
			method: "DELETE", path: path, id: "refuse-follow-request", tag: "graph", summary: "Refuse a request to follow you",
			about: "The user is not told, and may ask again; a block is for good.",
			need:  someUser, status: http.StatusNoContent, serve: func(c *call) error { return c.relate(s.RefuseRequest) },
		},
	}
}

func follow(c *call, id freshet.ID) error {
	requested, at, err := c.api.social.Follow(c.ctx(), c.user, id, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	if !requested {
		return nil
	}
	c.status = http.StatusAccepted
	return c.json(append(c.buf, `{"state":"requested"}`...))
}

// followAgain asks once more what has become of a follow whose answer was lost.
func followAgain(c *call, _ freshet.ID) error {
	c.write.Idempotency = nil
	return withID(follow)(c)
}
