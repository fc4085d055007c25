package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
)

func (a *API) leaderRoutes() []route {
	windows := &huma.Schema{Type: huma.TypeString, Enum: []any{"1h", "24h", "7d"}, Default: string(board.Day)}
	window := []*huma.Param{{Name: "window", In: "query", Description: "How far back it looks", Schema: windows}}
	return []route{{
		method: "GET", path: "/v1/leaderboards/posts", id: "leading-posts", tag: "leaderboards", summary: "Posts by likes and comments, lately",
		about: aboutLeaders, query: window, list: true, status: http.StatusOK, out: listOf[RankedPost](a), serve: leadingPosts,
	}, {
		method: "GET", path: "/v1/leaderboards/authors", id: "leading-authors", tag: "leaderboards", summary: "Authors by likes, comments and new followers, lately",
		about: aboutLeaders, query: window, list: true, status: http.StatusOK, out: listOf[RankedUser](a), serve: leadingAuthors,
	}}
}

const aboutLeaders = `A like counts 1, a comment 2, a new follower 2; each is worth half after a quarter of the window. What is taken back no longer counts.

The 10,000 first of each window are kept. What is deleted is left out, and with credentials also who is blocked either way.`

var leaderParameters = []string{"cursor", "limit", "window"}

// leaders is the part of a leaderboard that a request asks for.
type leaders struct {
	list   board.List
	window board.Window
	name   string // of the list, for cursors
	after  board.Rank
	limit  int
}

func (c *call) leaders(list board.List) (l leaders, err error) {
	q, err := parseQuery(c.r.URL.RawQuery, leaderParameters)
	if err != nil {
		return l, err
	}
	l = leaders{list: list, window: board.Day, limit: c.api.limits.PageDefault}
	if text, given := q["window"]; given {
		if l.window = board.Window(text); l.window.Span() == 0 {
			return l, freshet.Invalid("window", "is none of 1h, 24h, 7d")
		}
	}
	if text, given := q["limit"]; given {
		if l.limit, err = readNumber("limit", text, c.api.limits.Page); err != nil {
			return l, err
		}
	}
	l.name = "leaders:" + string(list) + ":" + string(l.window)
	l.after.Score, l.after.ID, err = c.api.cursors.OpenRank(l.name, 0, q["cursor"])
	return l, err
}

// page reads ranks until enough of them are shown or the list ends. show appends those that the caller may see and says how many.
func (c *call) rank(l leaders, show func(ranks []board.Rank) (int, error)) (next string, err error) {
	for shown := 0; ; {
		// One more than is missing tells whether there is more.
		ranks, err := c.api.options.Leaders.Top(c.ctx(), l.list, l.window, l.after, l.limit-shown+1)
		if err != nil {
			return "", err
		}
		more := len(ranks) > l.limit-shown
		if more {
			ranks = ranks[:l.limit-shown]
		}
		n, err := show(ranks)
		if err != nil || !more {
			return "", err
		}
		l.after = ranks[len(ranks)-1]
		if shown += n; shown == l.limit {
			return c.api.cursors.SealRank(l.name, 0, l.after.Score, l.after.ID), nil
		}
	}
}

func leadingPosts(c *call) error {
	l, err := c.leaders(board.Posts)
	if err != nil {
		return err
	}
	b := append(c.buf, `{"items":[`...)
	next, err := c.rank(l, func(ranks []board.Rank) (int, error) {
		if err := c.api.social.RankedPosts(c.ctx(), c.user, idsOf(ranks), &c.page); err != nil {
			return 0, err
		}
		for i := range c.page.Posts {
			p := &c.page.Posts[i]
			b = c.appendScore(b, l.window, ranks, p.ID)
			b = append(appendPost(append(b, `,"post":`...), p, c.user != 0), '}')
		}
		return len(c.page.Posts), nil
	})
	if err != nil {
		return err
	}
	return c.json(appendNext(b, next))
}

func leadingAuthors(c *call) error {
	l, err := c.leaders(board.Authors)
	if err != nil {
		return err
	}
	b := append(c.buf, `{"items":[`...)
	next, err := c.rank(l, func(ranks []board.Rank) (int, error) {
		users, err := c.api.social.RankedUsers(c.ctx(), c.user, idsOf(ranks))
		for _, u := range users {
			b = c.appendScore(b, l.window, ranks, u.ID)
			b = append(appendUser(append(b, `,"user":`...), &u.User, nil), '}')
		}
		return len(users), err
	})
	if err != nil {
		return err
	}
	return c.json(appendNext(b, next))
}

func idsOf(ranks []board.Rank) []freshet.ID {
	ids := make([]freshet.ID, len(ranks))
	for i, r := range ranks {
		ids[i] = r.ID
	}
	return ids
}

// appendScore begins an item with the points of an id, to three digits behind the point.
func (c *call) appendScore(b []byte, w board.Window, ranks []board.Rank, id freshet.ID) []byte {
	if b[len(b)-1] == '}' {
		b = append(b, ',')
	}
	i := slices.IndexFunc(ranks, func(r board.Rank) bool { return r.ID == id })
	points := w.Points(ranks[i].Score, c.api.options.Now())
	return strconv.AppendFloat(append(b, `{"score":`...), points, 'f', 3, 64)
}

func appendNext(b []byte, next string) []byte {
	b = append(b, ']')
	if next != "" {
		b = append(append(append(b, `,"next_cursor":"`...), next...), '"')
	}
	return append(b, '}')
}
