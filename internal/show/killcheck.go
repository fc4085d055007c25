package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// exportedJSON is a line of a user's export.
type exportedJSON struct {
	Type   string   `json:"type"`
	Post   postJSON `json:"post"`
	PostID string   `json:"post_id"`
	UserID string   `json:"user_id"`
}

// exported is everything of one user that the ledger knows too.
type exported struct {
	posts                       map[string]string // id by text
	likes, following, followers map[string]bool   // by id
}

// retry sends every second post that was not answered once more, under the same
// key, and then again: it must be there once and keep its id.
func (k *killLoad) retry(ctx context.Context, c *client) (retried int, err error) {
	for i, p := range k.ledger.unknown() {
		if i%2 == 0 {
			continue
		}
		if err := k.sendPost(ctx, c, p); err != nil {
			return retried, fmt.Errorf("send %q again: %w", p.text, err)
		}
		id, err := k.request(ctx, c, p)
		if err != nil {
			return retried, err
		}
		if id != p.id {
			return retried, fmt.Errorf("%q has the id %s, and %s when sent again under the same Idempotency-Key", p.text, p.id, id)
		}
		retried++
	}
	return retried, nil
}

// settle compares the ledger with the facts of every user, and learns from them
// what it could not know.
func (k *killLoad) settle(ctx context.Context, c *client) error {
	place := map[string]int{}
	for i, id := range k.ids {
		place[id] = i
	}
	all := make([]exported, len(k.ids))
	if err := each(ctx, 4, len(k.ids), func(ctx context.Context, i int) (err error) {
		all[i], err = export(ctx, c, k.ids[i])
		return err
	}); err != nil {
		return err
	}
	for user, e := range all {
		if err := k.settleUser(user, e, all); err != nil {
			return fmt.Errorf("user %d (%s): %w", user, k.ids[user], err)
		}
	}
	for _, p := range k.ledger.unknown() {
		if id, there := all[p.author].posts[p.text]; there {
			k.ledger.ack(p, id)
		} else {
			k.ledger.drop(p)
		}
	}
	return nil
}

func (k *killLoad) settleUser(user int, e exported, all []exported) error {
	l := k.ledger
	for text, id := range e.posts {
		p, known := l.posts[text]
		if !known || p.author != user || p.id != "" && p.id != id {
			return fmt.Errorf("post %s %q is there, and nobody wrote it so", id, text)
		}
	}
	for text, p := range l.posts {
		if p.author == user && p.id != "" && e.posts[text] != p.id {
			return fmt.Errorf("post %s %q was acknowledged and is not there", p.id, text)
		}
	}
	for other, id := range k.ids {
		fact, found := l.edges[edge{user, other}], e.following[id]
		if !fact.holds(found) {
			return fmt.Errorf("the follow of %s: acknowledged as %v, found: %t", id, fact == is, found)
		}
		if found != all[other].followers[k.ids[user]] {
			return fmt.Errorf("the follow of %s stands on one side alone", id)
		}
		l.edges[edge{user, other}] = factOf(found)
	}
	for _, p := range l.posts {
		if p.id == "" {
			continue
		}
		key := like{user, p.id}
		if fact, found := l.likes[key], e.likes[p.id]; !fact.holds(found) {
			return fmt.Errorf("the like of %s: acknowledged as %v, found: %t", p.id, fact == is, found)
		} else if found || fact == maybe {
			l.likes[key] = factOf(found)
		}
	}
	return nil
}

// export reads everything of one user. Nothing may be there twice.
func export(ctx context.Context, c *client, id string) (e exported, err error) {
	e = exported{posts: map[string]string{}, likes: map[string]bool{}, following: map[string]bool{}, followers: map[string]bool{}}
	a, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/users/me/export", actFor: id})
	if err != nil {
		return e, err
	}
	if a.status != http.StatusOK {
		return e, &statusError{"export", a.status, string(a.body)}
	}
	once := func(set map[string]bool, what, id string) {
		if set[id] {
			err = fmt.Errorf("export: %s %s is there twice", what, id)
		}
		set[id] = true
	}
	for line := range bytes.Lines(a.body) {
		var x exportedJSON
		if err := json.Unmarshal(line, &x); err != nil {
			return e, fmt.Errorf("export: %w: %q", err, line)
		}
		switch x.Type {
		case "post":
			if other, twice := e.posts[x.Post.Text]; twice {
				return e, fmt.Errorf("export: the post %q is there twice, as %s and %s", x.Post.Text, other, x.Post.ID)
			}
			e.posts[x.Post.Text] = x.Post.ID
		case "like":
			once(e.likes, "like", x.PostID)
		case "following":
			once(e.following, "following", x.UserID)
		case "follower":
			once(e.followers, "follower", x.UserID)
		}
	}
	return e, err
}

// check holds every counter, list and feed against the ledger, which knows
// everything after settle.
func (k *killLoad) check(ctx context.Context, c *client) (posts int, err error) {
	likes := k.ledger.likeCounts()
	seen := make([]int, len(k.ids))
	err = each(ctx, 4, len(k.ids), func(ctx context.Context, user int) error {
		var u userJSON
		if err := c.get(ctx, "/v1/users/"+k.ids[user], "", &u); err != nil {
			return err
		}
		if followers, following, posts := k.ledger.counts(user); u.Followers != followers || u.Following != following || u.Posts != posts {
			return fmt.Errorf("user %s counts %d followers, %d followed, %d posts; should be %d, %d, %d",
				u.ID, u.Followers, u.Following, u.Posts, followers, following, posts)
		}
		feed, err := all[postJSON](ctx, c, "/v1/feed", k.ids[user])
		if err != nil {
			return err
		}
		seen[user] = len(feed)
		return k.checkFeed(user, feed, likes)
	})
	for _, n := range seen {
		posts += n
	}
	return posts, err
}

func (k *killLoad) checkFeed(user int, feed []postJSON, likes map[string]int) error {
	want := k.ledger.home(user)
	for i := range max(len(feed), len(want)) {
		if i >= len(feed) || i >= len(want) || feed[i].ID != want[i].id || feed[i].Text != want[i].text {
			return fmt.Errorf("the feed of user %d has %d posts, should have %d; place %d differs", user, len(feed), len(want), i+1)
		}
		liked := k.ledger.likes[like{user, feed[i].ID}] == is
		if feed[i].LikeCount != likes[feed[i].ID] || feed[i].Liked != liked {
			return fmt.Errorf("post %s shows %d likes, liked: %t; should be %d, %t", feed[i].ID, feed[i].LikeCount, feed[i].Liked, likes[feed[i].ID], liked)
		}
	}
	return nil
}
