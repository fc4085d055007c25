package api

import "net/http"

// feedRoutes are the home feed: the request that a node answers most. It takes
// the way of every other read, but not through huma's adapter, and no memory of
// its own: the page, the buffer and the call come from a pool, and what a post
// and its author look like is cached beside them (render.go).
func (a *API) feedRoutes() []route {
	return []route{{
		method: "GET", path: "/v1/feed", id: "get-feed", tag: "feed", summary: "Your home feed",
		about: "Posts of those you follow and your own, newest id first, without those whom you muted or who are blocked either way.",
		need:  someUser, list: true, direct: true, status: http.StatusOK, out: listOf[Post](a), serve: homeFeed,
	}}
}

func homeFeed(c *call) error {
	w, err := c.window("feed", c.user)
	if err != nil {
		return err
	}
	if err := c.api.social.Home(c.ctx(), c.user, w.from, w.limit, &c.page); err != nil {
		return err
	}
	return c.posts(w)
}
