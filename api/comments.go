package api

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

func (a *API) commentRoutes() []route {
	comment := answerOf[Comment](a)
	routes := []route{
		{
			method: "POST", path: "/v1/posts/{id}/comments", id: "create-comment", tag: "comments", summary: "Comment on a post",
			need: someUser, in: bodyOf[newComment](a), status: 201, out: comment, serve: withID(createComment),
			resume: func(c *call, made freshet.ID) error {
				v, err := c.api.social.CommentByID(c.ctx(), c.user, made)
				if err != nil {
					return err
				}
				return c.json(appendComment(c.buf, v))
			},
		},
		{
			method: "GET", path: "/v1/posts/{id}/comments", id: "list-comments", tag: "comments", summary: "Comments on a post, oldest first",
			list: true, status: 200, out: listOf[Comment](a), serve: withID(listComments),
		},
		{
			method: "DELETE", path: "/v1/comments/{id}", id: "delete-comment", tag: "comments", summary: "Delete a comment of yours, or on a post of yours",
			need: someUser, status: 204, serve: withID(deleteComment),
		},
	}
	bound[newComment](a, "text", a.social.Limits().Comment)
	return routes
}

func createComment(c *call, post freshet.ID) error {
	var in newComment
	if err := c.decode(&in); err != nil {
		return err
	}
	v, at, err := c.api.social.Comment(c.ctx(), freshet.NewComment{Post: post, Author: c.user, Text: in.Text}, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	return c.json(appendComment(c.buf, v))
}

func listComments(c *call, post freshet.ID) error {
	w, err := c.window(listName("comments", post), 0)
	if err != nil {
		return err
	}
	l, err := c.api.social.Comments(c.ctx(), c.viewer(), post, w.from, w.limit)
	if err != nil {
		return err
	}
	return c.json(appendList(c.buf, l.Comments, c.api.next(w, l.Next), func(b []byte, v **social.CommentView) []byte {
		return appendComment(b, *v)
	}))
}

func deleteComment(c *call, id freshet.ID) error {
	at, err := c.api.social.Uncomment(c.ctx(), c.user, id, c.write)
	c.raise(at)
	return err
}
