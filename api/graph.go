package api

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// relate is one of social's verbs on two users.
type relate func(ctx context.Context, actor, target freshet.ID, w social.Write) (position.Token, error)

// usersOf is one of social's lists of users.
type usersOf func(ctx context.Context, viewer, user, before freshet.ID, limit int) (social.UserList, error)

func (a *API) graphRoutes() []route {
	s := a.social
	routes := append(a.requestRoutes(), route{
		method: "PUT", path: underUser + "follow", id: "follow", tag: "graph", summary: "Follow a user",
		about: "Old posts come and go with the follow. A private user is asked: 202, until the user accepts.",
		need:  someUser, status: 204, accepted: answerOf[FollowState](a), serve: withID(follow), resume: followAgain,
	})
	for _, v := range []struct {
		method, verb, id, summary string
		do                        relate
	}{
		{"DELETE", "follow", "unfollow", "Unfollow a user, or withdraw a request", s.Unfollow},
		{"PUT", "block", "block", "Block a user", s.Block},
		{"DELETE", "block", "unblock", "Lift a block", s.Unblock},
		{"PUT", "mute", "mute", "Mute a user", s.Mute},
		{"DELETE", "mute", "unmute", "Lift a mute", s.Unmute},
	} {
		routes = append(routes, route{
			method: v.method, path: underUser + v.verb, id: v.id, tag: "graph", summary: v.summary, about: aboutVerb[v.verb],
			need: someUser, status: 204, serve: func(c *call) error { return c.relate(v.do) },
		})
	}
	for _, l := range []struct {
		name, summary string
		list          usersOf
	}{
		{"followers", "Who follows a user, newest first", s.Followers},
		{"following", "Whom a user follows, newest first", s.Following},
	} {
		routes = append(routes, route{
			method: "GET", path: underUser + l.name, id: "list-" + l.name, tag: "graph", summary: l.summary,
			list: true, status: 200, out: listOf[User](a),
			serve: func(c *call) error {
				id, err := c.id("id")
				if err != nil {
					return err
				}
				return c.users(listName(l.name, id), 0, func(w window) (social.UserList, error) {
					return l.list(c.ctx(), c.viewer(), id, w.from, w.limit)
				})
			},
		})
	}
	for _, l := range []struct {
		name, summary string
		list          func(ctx context.Context, user, before freshet.ID, limit int) (social.UserList, error)
	}{
		{"blocks", "Whom you block, newest first", s.Blocks},
		{"mutes", "Whom you mute, newest first", s.Mutes},
		{"follow-requests", "Who asks to follow you, newest first", s.FollowRequests},
	} {
		routes = append(routes, route{
			method: "GET", path: "/v1/" + l.name, id: "list-" + l.name, tag: "graph", summary: l.summary,
			need: someUser, list: true, status: 200, out: listOf[User](a),
			serve: func(c *call) error {
				return c.users(listName(l.name, c.user), c.user, func(w window) (social.UserList, error) {
					return l.list(c.ctx(), c.user, w.from, w.limit)
				})
			},
		})
	}
	return routes
}

var aboutVerb = map[string]string{
	"follow": "All of the user's posts leave your home feed.",
	"block":  "Ends both follows and hides the two from each other.",
	"mute":   "Hides the user's posts from your home feed.",
}

func (c *call) relate(do relate) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	at, err := do(c.ctx(), c.user, id, c.write)
	c.raise(at)
	return err
}

// users answers with a list of users; reader is zero where the list is public.
func (c *call) users(name string, reader freshet.ID, list func(window) (social.UserList, error)) error {
	w, err := c.window(name, reader)
	if err != nil {
		return err
	}
	l, err := list(w)
	if err != nil {
		return err
	}
	return c.json(appendList(c.buf, l.Users, c.api.next(w, l.Next), func(b []byte, u **social.Profile) []byte {
		return appendUser(b, &(*u).User, nil)
	}))
}
