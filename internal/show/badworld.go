package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const badPassword = "correct horse battery"

// badWorld is what the bad requests of point 7 meet: two users with a session
// each, a third whom the host product knows by a ref, and something in every list.
type badWorld struct {
	node     *node
	c        *client // as nobody
	ann, bob string  // Authorization of their sessions
	key      string  // Authorization of the API key
	admin    string  // and of one that is an administrator
	ids      map[string]string
	cursors  map[string]string // a true one by "method path" of a list
	foreign  map[string]string // likewise one of bob's own list
}

func (l *lab) newBadWorld(ctx context.Context, n *node) (*badWorld, error) {
	key, err := l.key(ctx, n.data, "show")
	if err != nil {
		return nil, err
	}
	admin, err := l.key(ctx, n.data, "admin", "--admin")
	if err != nil {
		return nil, err
	}
	w := &badWorld{node: n, c: newClient(n.url, "", 4), key: "Bearer " + key, admin: "Bearer " + admin, ids: map[string]string{}, cursors: map[string]string{}, foreign: map[string]string{}}
	if err := w.people(ctx); err != nil {
		return nil, err
	}
	if err := w.things(ctx); err != nil {
		return nil, err
	}
	return w, w.lists(ctx)
}

// people makes users; a second session each, so that the list of them has two.
func (w *badWorld) people(ctx context.Context) (err error) {
	for name, session := range map[string]*string{"ann": &w.ann, "bob": &w.bob} {
		if *session, err = signUp(ctx, w.c, name); err != nil {
			return err
		}
		var me userJSON
		signIn := request{method: http.MethodPost, path: "/v1/sessions", body: map[string]string{"handle": name, "password": badPassword}}
		if err := errors.Join(w.c.as(*session).get(ctx, "/v1/users/me", "", &me), w.c.do(ctx, signIn, nil)); err != nil {
			return err
		}
		sessions, err := all[userJSON](ctx, w.c.as(*session), "/v1/sessions", "")
		if err != nil {
			return err
		}
		w.ids["user:"+name], w.ids["session:"+name] = me.ID, sessions[0].ID
		w.ids["space:post"], w.ids["key:one"] = "post", "4611686018427387905"
		w.ids["handle:"+name], w.ids["ref:carl"], w.ids["ref:dora"] = name, "carl", "dora"
	}
	extras, err := makeUsers(ctx, w.c.as(w.key), "extra", 6)
	if err != nil {
		return err
	}
	var dora userJSON
	err = w.c.as(w.key).do(ctx, request{method: http.MethodPut, path: "/v1/users/by-ref/dora", body: map[string]string{"name": "Dora"}}, &dora)
	w.ids["user:dora"] = dora.ID
	for i, id := range extras {
		w.ids[fmt.Sprint("user:extra", i)] = id
	}
	return err
}

// things puts two entries into every list, of ann and of bob.
func (w *badWorld) things(ctx context.Context) error {
	for _, name := range []string{"ann", "bob"} {
		c := w.c.as(w.session(name))
		var post, comment postJSON
		for i := range 2 {
			if err := c.do(ctx, request{method: "POST", path: "/v1/posts", body: map[string]string{"text": fmt.Sprint(name, " writes ", i)}}, &post); err != nil {
				return err
			}
			if err := c.do(ctx, request{method: "POST", path: "/v1/posts/" + post.ID + "/comments", body: map[string]string{"text": "indeed"}}, &comment); err != nil {
				return err
			}
		}
		if err := c.do(ctx, request{method: "POST", path: "/v1/posts/" + post.ID + "/comments", body: map[string]string{"text": "and so on"}}, nil); err != nil {
			return err
		}
		w.ids["post:"+name], w.ids["comment:"+name] = post.ID, comment.ID
		for i, verb := range []string{"follow", "follow", "mute", "mute", "block", "block"} {
			extra := w.ids[fmt.Sprint("user:extra", i)]
			if err := c.do(ctx, request{method: "PUT", path: "/v1/users/" + extra + "/" + verb}, nil); err != nil {
				return err
			}
			if i < 2 {
				if err := w.c.as(w.key).do(ctx, request{method: "PUT", path: "/v1/users/" + w.ids["user:"+name] + "/follow", actFor: extra}, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *badWorld) session(name string) string {
	if name == "ann" {
		return w.ann
	}
	return w.bob
}

// lists takes a true cursor from every list, and one from bob's.
func (w *badWorld) lists(ctx context.Context) error {
	for _, e := range badTable() {
		if e.list == "" {
			continue
		}
		for name, into := range map[string]map[string]string{"ann": w.cursors, "bob": w.foreign} {
			c := w.c
			if e.list == "personal" {
				c = c.as(w.session(name))
			}
			path := w.path(e.path)
			if name == "bob" {
				path = w.path(swapped(e.path))
			}
			var page pageJSON[postJSON]
			if err := c.get(ctx, path+"?limit=1", "", &page); err != nil {
				return err
			}
			if page.Next == "" {
				return fmt.Errorf("%s of %s has no second page", path, name)
			}
			into[e.path] = page.Next
			if err := c.get(ctx, path+"?limit=1&cursor="+page.Next, "", nil); err != nil {
				return fmt.Errorf("a true cursor is refused: %w", err)
			}
		}
	}
	return nil
}

// swapped is the path of the same list of the other.
func swapped(path string) string {
	return strings.NewReplacer(":ann}", ":bob}", ":bob}", ":ann}").Replace(path)
}

// path puts ids into a path of the table.
func (w *badWorld) path(path string) string {
	for name, id := range w.ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// as gives who asks: Authorization and Freshet-User.
func (w *badWorld) who(who whoAsks) (auth, actFor string) {
	switch who {
	case asAnn:
		return w.ann, ""
	case asKey:
		return w.key, ""
	case asKeyForAnn:
		return w.key, w.ids["user:ann"]
	case asAdmin:
		return w.admin, ""
	}
	return "", ""
}

// state is everything there is, as text: accounts, what each user can export,
// and what verify says.
func (l *lab) state(ctx context.Context, w *badWorld) (string, error) {
	users, err := l.must(ctx, "user", "list", "--limit", "100000", "--data", w.node.data, "--json")
	if err != nil {
		return "", err
	}
	keys, err := l.must(ctx, "apikey", "list", "--data", w.node.data, "--json")
	if err != nil {
		return "", err
	}
	var accounts []userJSON
	if err := decode("user list", users.out, &accounts); err != nil {
		return "", err
	}
	var text strings.Builder
	text.WriteString(users.out + keys.out)
	for _, u := range accounts {
		a, err := w.c.as(w.key).send(ctx, request{method: http.MethodGet, path: "/v1/users/me/export", actFor: u.ID})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s %d\n%s", u.ID, a.status, a.body)
	}
	for _, name := range []string{"ann", "bob"} {
		a, err := w.c.send(ctx, request{method: http.MethodGet, path: "/v1/posts/" + w.ids["post:"+name]})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s\n", a.body)
	}
	_, err = l.verify(ctx, w.node.data)
	return text.String(), err
}
