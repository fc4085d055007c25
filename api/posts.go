package api

import (
	"context"
	"strconv"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

func (a *API) postRoutes() []route {
	post, liked := answerOf[Post](a), answerOf[Liked](a)
	routes := []route{
		{
			method: "POST", path: "/v1/posts", id: "create-post", tag: "posts", summary: "Write a post",
			about: "It is in the feeds of your followers when this answers.",
			need:  someUser, in: bodyOf[newPost](a), status: 201, out: post,
			serve: createPost, resume: func(c *call, made freshet.ID) error { return c.showPost(made) },
		},
		{
			method: "GET", path: "/v1/posts/{id}", id: "get-post", tag: "posts", summary: "A post",
			status: 200, out: post, serve: withID(getPost),
		},
		a.statsRoute(),
		{
			method: "PATCH", path: "/v1/posts/{id}", id: "edit-post", tag: "posts", summary: "Change a post of yours",
			about: "What is left out stays as it is.",
			need:  someUser, in: bodyOf[postPatch](a), status: 200, out: post, serve: withID(editPost),
			resume: func(c *call, _ freshet.ID) error { return withID((*call).showPost)(c) },
		},
		{
			method: "DELETE", path: "/v1/posts/{id}", id: "delete-post", tag: "posts", summary: "Delete a post of yours",
			about: "Its likes and comments go with it.",
			need:  someUser, status: 204, serve: withID(deletePost),
		},
		{
			method: "PUT", path: "/v1/posts/{id}/like", id: "like", tag: "posts", summary: "Like a post",
			about: "Twice counts once.",
			need:  someUser, status: 200, out: liked,
			serve: withID(func(c *call, id freshet.ID) error { return c.like(c.api.social.Like, id, true) }),
		},
		{
			method: "DELETE", path: "/v1/posts/{id}/like", id: "unlike", tag: "posts", summary: "Take a like back",
			need: someUser, status: 200, out: liked,
			serve: withID(func(c *call, id freshet.ID) error { return c.like(c.api.social.Unlike, id, false) }),
		},
		{
			method: "GET", path: underUser + "posts", id: "list-posts", tag: "posts", summary: "A user's posts, newest first",
			list: true, status: 200, out: listOf[Post](a), serve: withID(postsOf),
		},
	}
	bound[newPost](a, "text", a.social.Limits().Text)
	bound[newPost](a, "ref", freshet.MaxRef)
	bound[postPatch](a, "text", a.social.Limits().Text)
	return routes
}

// withID reads the id in the path for a handler.
func withID(serve func(c *call, id freshet.ID) error) func(*call) error {
	return func(c *call) error {
		id, err := c.id("id")
		if err != nil {
			return err
		}
		return serve(c, id)
	}
}

func createPost(c *call) error {
	var in newPost
	if err := c.decode(&in); err != nil {
		return err
	}
	p, at, err := c.api.social.Post(c.ctx(), freshet.NewPost{Author: c.user, Text: in.Text, Data: in.Data, Ref: in.Ref}, c.write)
	if err != nil {
		return err
	}
	return c.madePost(p, at)
}

func editPost(c *call, id freshet.ID) error {
	var in postPatch
	if err := c.decode(&in); err != nil {
		return err
	}
	patch := freshet.PostPatch{Text: in.Text}
	if in.Data != nil {
		data := []byte(in.Data)
		patch.Data = &data
	}
	p, at, err := c.api.social.Edit(c.ctx(), c.user, id, patch, c.write)
	if err != nil {
		return err
	}
	return c.madePost(p, at)
}

func deletePost(c *call, id freshet.ID) error {
	at, err := c.api.social.Delete(c.ctx(), c.user, id, c.write)
	c.raise(at)
	return err
}

type like func(ctx context.Context, actor, post freshet.ID, w social.Write) (int64, position.Token, error)

func (c *call) like(do like, id freshet.ID, liked bool) error {
	n, at, err := do(c.ctx(), c.user, id, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	b := append(c.buf, `{"like_count":`...)
	b = strconv.AppendInt(b, n, 10)
	b = append(b, `,"liked":`...)
	b = strconv.AppendBool(b, liked)
	return c.json(append(b, '}'))
}

func (c *call) madePost(p *social.PostView, at position.Token) error {
	c.raise(at)
	return c.json(appendPost(c.buf, p, c.user != 0))
}

func getPost(c *call, id freshet.ID) error {
	p, err := c.api.social.PostByID(c.ctx(), c.viewer(), id)
	if err != nil {
		return err
	}
	c.saw(*p)
	return c.json(appendPost(c.buf, p, c.user != 0))
}

func (c *call) showPost(id freshet.ID) error {
	p, err := c.api.social.PostByID(c.ctx(), c.viewer(), id)
	if err != nil {
		return err
	}
	return c.json(appendPost(c.buf, p, c.user != 0))
}

func postsOf(c *call, author freshet.ID) error {
	w, err := c.window(listName("posts", author), 0)
	if err != nil {
		return err
	}
	if err := c.api.social.ByAuthor(c.ctx(), c.viewer(), author, w.from, w.limit, &c.page); err != nil {
		return err
	}
	return c.posts(w)
}

// posts answers with the posts of c.page, which are seen by that.
func (c *call) posts(w window) error {
	c.saw(c.page.Posts...)
	signedIn := c.user != 0
	return c.json(appendList(c.buf, c.page.Posts, c.api.next(w, c.page.Next), func(b []byte, p *social.PostView) []byte {
		return appendPost(b, p, signedIn)
	}))
}
