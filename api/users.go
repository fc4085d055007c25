package api

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

func (a *API) userRoutes() []route {
	user := answerOf[User](a)
	routes := []route{
		{
			method: "POST", path: "/v1/users", id: "create-user", tag: "users", summary: "Sign up",
			in: bodyOf[newUser](a), status: 201, out: user,
			serve:  createUser,
			resume: func(c *call, made freshet.ID) error { return c.showUser(made, made) },
		},
		{
			method: "PUT", path: "/v1/users/by-ref/{ref}", id: "upsert-user", tag: "users", summary: "Make or change the user you know by a ref",
			about: "201 where the user is new, else 200. What is left out stays as it is.",
			need:  someKey, in: bodyOf[upsertedUser](a), status: 200, out: user,
			serve: upsertUser, resume: resumeUpsert,
		},
		{
			method: "GET", path: "/v1/users/{id}", id: "get-user", tag: "users", summary: "A user",
			status: 200, out: user,
			serve: func(c *call) error {
				id, err := c.id("id")
				if err != nil {
					return err
				}
				return c.showUser(c.viewer(), id)
			},
		},
		{
			method: "GET", path: "/v1/users/by-handle/{handle}", id: "get-user-by-handle", tag: "users", summary: "A user by handle",
			status: 200, out: user, serve: getByHandle,
		},
		{
			method: "GET", path: "/v1/users/by-ref/{ref}", id: "get-user-by-ref", tag: "users", summary: "A user by the host product's own id",
			status: 200, out: user, serve: getByRef,
		},
		{
			method: "GET", path: "/v1/users/me", id: "get-me", tag: "users", summary: "The user who asks",
			need: someUser, status: 200, out: user,
			serve: func(c *call) error { return c.showUser(c.user, c.user) },
		},
		{
			method: "PATCH", path: "/v1/users/me", id: "update-me", tag: "users", summary: "Change your profile",
			about: "Private: who is not signed in sees nothing of you, and your posts and lists are for your followers, who ask you first. Those you have stay. Who is no longer private lets all follow who ask.",
			need:  someUser, in: bodyOf[userPatch](a), status: 200, out: user, serve: updateMe,
			resume: func(c *call, _ freshet.ID) error { return c.showUser(c.user, c.user) },
		},
		{
			method: "DELETE", path: "/v1/users/me", id: "delete-me", tag: "users", summary: "Erase your account and all that you wrote",
			need: someUser, status: 204, serve: deleteMe,
		},
		{
			method: "GET", path: "/v1/users/me/export", id: "export-me", tag: "users", summary: "Everything that is kept of you",
			about: "One JSON object a line, each with a `type`: user, post, comment, like, following, follower, block, mute, follow_request, session.",
			need:  someUser, status: 200, out: answerOf[Exported](a), media: ndjson, serve: export,
		},
	}
	limits := a.social.Limits()
	bound[newUser](a, "handle", freshet.MaxHandle)
	bound[newUser](a, "name", limits.Name)
	bound[upsertedUser](a, "handle", freshet.MaxHandle)
	bound[upsertedUser](a, "name", limits.Name)
	bound[userPatch](a, "name", limits.Name)
	bound[userPatch](a, "bio", limits.Bio)
	return routes
}

func createUser(c *call) error {
	var in newUser
	if err := c.decode(&in); err != nil {
		return err
	}
	if err := freshet.CheckHandle("handle", in.Handle); err != nil { // before a hash is computed for it
		return err
	}
	if err := c.api.gate.Auth.AdmitHashing(c.who.Addr, c.who.Exempt); err != nil {
		return err
	}
	hash, err := c.api.gate.Auth.HashPassword(c.ctx(), in.Password)
	if err != nil {
		return err
	}
	u, at, err := c.api.social.SignUp(c.ctx(), freshet.NewUser{
		Handle: in.Handle, Name: in.Name, Email: in.Email, PasswordHash: hash,
	}, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	return c.json(appendUser(c.buf, &u.User, &in.Email))
}

func upsertUser(c *call) error {
	ref, err := c.ref()
	if err != nil {
		return err
	}
	var in upsertedUser
	if err := c.decode(&in); err != nil {
		return err
	}
	u, created, at, err := c.api.social.UpsertUser(c.ctx(), freshet.NewUser{
		Ref: ref, Handle: in.Handle, Name: in.Name, AvatarURL: in.AvatarURL,
	}, c.write)
	if err != nil {
		return err
	}
	if created {
		c.status = http.StatusCreated
	}
	c.raise(at)
	return c.json(appendUser(c.buf, &u.User, nil))
}

func resumeUpsert(c *call, made freshet.ID) error {
	if made == 0 {
		c.write.Idempotency = nil
		return upsertUser(c)
	}
	c.status = http.StatusCreated
	return c.showUser(social.Host, made)
}

func getByHandle(c *call) error {
	handle, err := c.name("handle")
	if err != nil {
		return err
	}
	u, err := c.api.social.UserByHandle(c.ctx(), c.viewer(), handle)
	if err != nil {
		return err
	}
	return c.userAnswer(u)
}

func getByRef(c *call) error {
	ref, err := c.ref()
	if err != nil {
		return err
	}
	id, err := c.api.social.UserByRef(c.ctx(), ref)
	if err != nil {
		return err
	}
	return c.showUser(c.viewer(), id)
}

func updateMe(c *call) error {
	var in userPatch
	if err := c.decode(&in); err != nil {
		return err
	}
	u, at, err := c.api.social.UpdateUser(c.ctx(), c.user, freshet.UserPatch{Name: in.Name, Bio: in.Bio, Email: in.Email, Private: in.Private}, c.write)
	if err != nil {
		return err
	}
	c.raise(at)
	return c.userAnswer(u)
}

func deleteMe(c *call) error {
	ended, at, err := c.api.social.Erase(c.ctx(), c.user, c.write)
	// What is erased but not confirmed by all nodes has ended the sessions too.
	if err := errors.Join(err, c.api.gate.Auth.Ended(c.ctx(), ended...)); err != nil {
		return err
	}
	c.raise(at)
	c.forgetSession()
	return nil
}

// showUser answers with a user as viewer sees it.
func (c *call) showUser(viewer, id freshet.ID) error {
	u, err := c.api.social.User(c.ctx(), viewer, id)
	if err != nil {
		return err
	}
	if viewer == id {
		return c.ownAnswer(u)
	}
	return c.json(appendUser(c.buf, &u.User, nil))
}

func (c *call) userAnswer(u *social.Profile) error {
	if u.ID == c.user {
		return c.ownAnswer(u)
	}
	return c.json(appendUser(c.buf, &u.User, nil))
}

// ownAnswer shows a user to itself: with the e-mail address.
func (c *call) ownAnswer(u *social.Profile) error {
	email, err := c.api.social.Email(c.ctx(), u.ID)
	if err != nil {
		return err
	}
	return c.json(appendUser(c.buf, &u.User, &email))
}

// name reads a text from the path.
func (c *call) name(parameter string) (string, error) {
	v := c.r.PathValue(parameter)
	if !utf8.ValidString(v) {
		return "", malformed(parameter, "is not valid UTF-8")
	}
	return v, nil
}

func (c *call) ref() (string, error) {
	ref, err := c.name("ref")
	if err != nil {
		return "", err
	}
	return ref, freshet.CheckRef("ref", ref)
}
