package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

const statsHours = 24 // where the request names no number

func (a *API) statsRoute() route {
	least, most := 1.0, float64(social.MaxStatsHours)
	return route{
		method: "GET", path: "/v1/posts/{id}/stats", id: "get-post-stats", tag: "posts", summary: "Views, reach, likes and comments of a post, by hour",
		about: aboutStats,
		query: []*huma.Param{{Name: "hours", In: "query", Description: "How many hours to show; the last is the present one", Schema: &huma.Schema{
			Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Default: statsHours,
		}}},
		status: http.StatusOK, out: answerOf[PostStats](a), serve: withID(postStats),
	}
}

const aboutStats = `For whoever may see the post.

A view is one answer that shows the post to somebody else than its author: alone, in a home feed, in the list of a user's posts. ` + "`reach`" + ` counts the signed-in readers among the viewers, each once: exactly up to 512, beyond that with a standard error of 1.6 %.

Every answer that was sent before is counted; on a node that is busy with reads those of the last ten seconds may be missing. Likes and comments stand in the hour they were made in, as long as they stand.`

func postStats(c *call, id freshet.ID) error {
	hours := statsHours
	q, err := parseQuery(c.r.URL.RawQuery, statsParameters)
	if err != nil {
		return err
	}
	if text, given := q["hours"]; given {
		if hours, err = readNumber("hours", text, social.MaxStatsHours); err != nil {
			return err
		}
	}
	s, err := c.api.social.Stats(c.ctx(), c.viewer(), id, hours)
	if err != nil {
		return err
	}
	return c.json(appendStats(c.buf, &s))
}

var statsParameters = []string{"hours"}

// saw notes that this answer shows posts. An answer to HEAD shows none.
func (c *call) saw(posts ...social.PostView) {
	if c.r.Method == http.MethodGet {
		c.api.social.Saw(c.user, posts...)
	}
}

func appendStats(b []byte, s *freshet.PostStats) []byte {
	b = append(b, '{')
	b = appendID(b, "post_id", s.Post)
	for _, total := range []struct {
		name string
		n    int64
	}{{"views", s.Views}, {"reach", s.Reach}, {"likes", s.Likes}, {"comments", s.Comments}} {
		b = appendNumber(append(b, ','), total.name, total.n)
	}
	b = append(b, `,"hours":[`...)
	for i := range s.Hours {
		if i > 0 {
			b = append(b, ',')
		}
		h := &s.Hours[i]
		b = appendTime(append(b, '{'), "hour", h.Hour.Start())
		b = appendNumber(append(b, ','), "views", h.Views)
		b = appendNumber(append(b, ','), "likes", h.Likes)
		b = append(appendNumber(append(b, ','), "comments", h.Comments), '}')
	}
	return append(b, `]}`...)
}

func appendNumber(b []byte, name string, n int64) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, n, 10)
}
