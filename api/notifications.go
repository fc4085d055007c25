package api

import (
	"net/http"
	"strconv"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

func (a *API) notificationRoutes() []route {
	seen := bodyOf[seenNotifications](a)
	seen.optional = true
	return []route{
		{
			method: "GET", path: "/v1/notifications", id: "list-notifications", tag: "notifications", summary: "What you were told, newest first",
			about: "Likes and comments of others on your posts, follows, requests, and requests of yours that were accepted. What is undone is not there any more, nor what somebody did whom you muted, or who is blocked either way. `unseen_count` says at most 1000.",
			need:  someUser, list: true, status: http.StatusOK, out: answerOf[NotificationPage](a), serve: listNotifications,
		},
		{
			method: "POST", path: "/v1/notifications/seen", id: "see-notifications", tag: "notifications", summary: "Say that you have seen them",
			about: "All up to the one named, or all that are there.",
			need:  someUser, in: seen, status: http.StatusNoContent, serve: seeNotifications,
		},
	}
}

type (
	seenNotifications struct {
		UpTo string `json:"up_to,omitempty" doc:"The id of the newest that you have seen; default: all"`
	}
	// NotificationPage is a page of notifications.
	NotificationPage struct {
		Items       []Notification `json:"items" nullable:"false"`
		UnseenCount int            `json:"unseen_count" doc:"Of all, not of this page; at most 1000"`
		NextCursor  string         `json:"next_cursor,omitempty" doc:"Absent at the end"`
	}
)

func listNotifications(c *call) error {
	w, err := c.window("notifications", c.user)
	if err != nil {
		return err
	}
	l, err := c.api.social.Notifications(c.ctx(), c.user, w.from, w.limit)
	if err != nil {
		return err
	}
	b := appendList(c.buf, l.Items, c.api.next(w, l.Next), func(b []byte, v **social.NotificationView) []byte { return appendNotification(b, *v) })
	b = append(b[:len(b)-1], `,"unseen_count":`...)
	return c.json(append(strconv.AppendInt(b, int64(l.Unseen), 10), '}'))
}

func appendNotification(b []byte, n *social.NotificationView) []byte {
	b = append(b, '{')
	b = appendID(b, "id", n.ID)
	b = append(b, `,"kind":"`...)
	b = append(b, n.Kind.String()...)
	b = append(b, '"')
	if n.Actor != nil {
		b = append(b, `,"actor":`...)
		b = appendAuthor(b, n.Actor)
	}
	for _, of := range []struct {
		name string
		id   freshet.ID
	}{{"post_id", n.Post}, {"comment_id", n.Comment}} {
		if of.id != 0 {
			b = append(b, ',')
			b = appendID(b, of.name, of.id)
		}
	}
	if n.Text != "" {
		b = append(b, `,"text":`...)
		b = appendString(b, n.Text)
	}
	b = append(b, `,"seen":`...)
	b = strconv.AppendBool(b, n.Seen)
	b = append(b, ',')
	b = appendTime(b, "created_at", n.ID.Time())
	return append(b, '}')
}

func seeNotifications(c *call) error {
	var in seenNotifications
	if err := c.decode(&in); err != nil {
		return err
	}
	var upTo freshet.ID
	if in.UpTo != "" {
		id, err := freshet.ParseID(in.UpTo)
		if err != nil {
			return freshet.Invalid("up_to", "is not an id: a positive decimal number")
		}
		upTo = id
	}
	at, err := c.api.social.SeeNotifications(c.ctx(), c.user, upTo, c.write)
	c.raise(at)
	return err
}
