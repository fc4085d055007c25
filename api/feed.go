package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
)

// feedRoutes are the home feed: the request that a node answers most. It takes
// the way of every other read, but not through huma's adapter, and no memory of
// its own: the page, the buffer and the call come from a pool, and what a post
// and its author look like is cached beside them (render.go).
func (a *API) feedRoutes() []route {
	return []route{{
		method: "GET", path: "/v1/feed", id: "get-feed", tag: "feed", summary: "Your home feed",
		about: "Posts of those you follow and your own, newest id first, without those whom you muted or who are blocked either way.",
		need:  someUser, list: true, direct: true, status: http.StatusOK, out: listOf[Post](a), serve: homeFeed,
	}, {
		method: "GET", path: "/v1/feed/explain", id: "explain-feed", tag: "feed", summary: "Why a post is in your feed, or is not",
		about: "For any post that you may see: your relation to its author, how the author's posts come to you, where this one is found, and what that costs.",
		query: []*huma.Param{{Name: "post_id", In: "query", Required: true, Description: "The post", Schema: schemaOf[freshet.ID](a.registry())}},
		need:  someUser, status: http.StatusOK, out: answerOf[FeedReason](a), serve: explainFeed,
	}, a.streamRoute()}
}

var explainParameters = []string{"post_id"}

func explainFeed(c *call) error {
	q, err := parseQuery(c.r.URL.RawQuery, explainParameters)
	if err != nil {
		return err
	}
	post, err := freshet.ParseID(q["post_id"])
	if err != nil {
		return malformed("post_id", "is no id of a post")
	}
	x, err := c.api.social.Explain(c.ctx(), c.user, post)
	if err != nil {
		return err
	}
	reason := FeedReason{
		PostID: post, AuthorID: x.Author, InFeed: x.InFeed, Relation: string(x.Relation),
		Mode: x.Mode, Edge: string(x.Edge), Found: string(x.Found),
	}
	if x.Priced {
		reason.Cost = &FeedCost{x.Reads, x.Posts, x.PushCost, x.MergeCost}
	}
	return c.marshal(reason)
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
