package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// churn makes random writes of every kind that lists are made of, over a node
// whose background does not run: nothing repeats what a write did not fence.
type churn struct {
	t        *testing.T
	node     *Node
	rng      *rand.Rand
	users    []freshet.ID // who live
	everyone []freshet.ID // and who have been erased
	made     int
	posts    []freshet.ID // the last ones, also those that are gone
	comments []freshet.ID
	seen     position.Position // of the change feed
}

func newChurn(t *testing.T) *churn {
	cfg := config.Default()
	cfg.Data, cfg.Feed.Mode = t.TempDir(), string(feed.Pull)
	n, err := Open(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	c := &churn{t: t, node: n, rng: rand.New(rand.NewPCG(1, 2))}
	heard := make(chan error, 1)
	go func() { // a new consumer hears of what comes after it has come
		_, err := n.feeds[0].Changes(t.Context(), "oracle", position.Position{}, 1)
		heard <- err
	}()
	for done := false; !done; {
		c.signUp()
		select {
		case err := <-heard:
			if err != nil {
				t.Fatalf("a new consumer of the change feed: %v", err)
			}
			done = true
		case <-time.After(time.Millisecond):
		}
	}
	for len(c.users) < 5 {
		c.signUp()
	}
	c.changes()
	return c
}

func (c *churn) signUp() {
	u, _, err := c.node.social.SignUp(context.Background(), freshet.NewUser{Handle: fmt.Sprintf("u%d", c.made)}, store.Write{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.users, c.everyone = append(c.users, u.ID), lastOf(append(c.everyone, u.ID))
	c.made++
}

// lastOf are the last dozen.
func lastOf(ids []freshet.ID) []freshet.ID { return ids[max(0, len(ids)-12):] }

func pick(rng *rand.Rand, ids []freshet.ID) freshet.ID {
	if len(ids) == 0 {
		return 1
	}
	return ids[rng.IntN(len(ids))]
}

// write makes a write, which may be refused, and says what it was.
func (c *churn) write() string {
	ctx, s, none := context.Background(), c.node.social, store.Write{}
	a, b, post := pick(c.rng, c.users), pick(c.rng, c.users), pick(c.rng, c.posts)
	for len(c.users) < 4 {
		c.signUp()
	}
	follow := func(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
		_, at, err := s.Follow(ctx, actor, target, w)
		return at, err
	}
	edges := []struct {
		name string
		do   func(context.Context, freshet.ID, freshet.ID, store.Write) (position.Token, error)
	}{{"follow", follow}, {"follow", follow}, {"unfollow", s.Unfollow}, {"block", s.Block}, {"unblock", s.Unblock}, {"mute", s.Mute}}
	var what string
	var err error
	switch k := c.rng.IntN(16); k {
	case 0, 1, 2, 3, 4, 5:
		_, err = edges[k].do(ctx, a, b, none)
		what = fmt.Sprintf("%s of %v and %v", edges[k].name, a, b)
	case 6:
		_, err = s.Delete(ctx, a, post, none)
		what = fmt.Sprintf("delete of %v by %v", post, a)
	case 7:
		comment := pick(c.rng, c.comments)
		_, err = s.Uncomment(ctx, a, comment, none)
		what = fmt.Sprintf("uncomment of %v by %v", comment, a)
	case 8, 9, 10:
		var v *social.PostView
		if v, _, err = s.Post(ctx, freshet.NewPost{Author: a, Text: "text"}, none); err == nil {
			c.posts = lastOf(append(c.posts, v.ID))
		}
		what = fmt.Sprintf("post of %v", a)
	case 11, 12, 13:
		var v *social.CommentView
		if v, _, err = s.Comment(ctx, freshet.NewComment{Author: a, Post: post, Text: "text"}, none); err == nil {
			c.comments = lastOf(append(c.comments, v.ID))
		}
		what = fmt.Sprintf("comment of %v on %v", a, post)
	case 14:
		if c.rng.IntN(4) == 0 {
			_, _, err = s.Erase(ctx, a, none)
			c.users = slices.DeleteFunc(c.users, func(u freshet.ID) bool { return u == a })
			what = fmt.Sprintf("erasure of %v", a)
		}
	case 15:
		at := time.Now().Add(-time.Duration(c.rng.IntN(1e6)) * time.Second)
		x, y := fmt.Sprintf("u%d", c.rng.IntN(c.made)), fmt.Sprintf("u%d", c.rng.IntN(c.made))
		if _, err = s.ImportPosts(ctx, []store.ImportedPost{{Author: x, CreatedAt: at, Millis: freshet.Millis(at), Text: "old"}}); err == nil && x != y {
			_, err = s.ImportFollows(ctx, []store.ImportedFollow{{Follower: x, Followee: y}})
		}
		what = fmt.Sprintf("import of %s and %s", x, y)
	}
	if err != nil && freshet.CodeOf(err) == "" {
		c.t.Fatalf("%s: %v", what, err)
	}
	return what
}

// changes are those of the store's feed since the last call.
func (c *churn) changes() []store.Change {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var last uint64
	if err := c.node.file.View(ctx, func(conn *litedb.Conn) error {
		_, err := conn.One("SELECT coalesce(max(position), 0) FROM changes", nil, func(r *litedb.Rows) { last = uint64(r.Int(0)) })
		return err
	}); err != nil {
		c.t.Fatal(err)
	}
	if last <= c.seen.Offset {
		return nil
	}
	changes, err := c.node.feeds[0].Changes(ctx, "oracle", c.seen, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	c.seen = changes[len(changes)-1].At
	return changes
}

// Whatever is written, the rows of the change feed name all lists that are others
// after it, and so do the fences of the write itself.
func TestChangesNameWhatQueriesRead(t *testing.T) {
	c := newChurn(t)
	q := social.DeclareQueries(c.node.store)
	users := func() []freshet.ID { return c.everyone }
	posts := func() []freshet.ID { return c.posts }
	cachetest.Queries(t, testenv.Size(150, 300, 20_000), func(int) (string, []cache.Dependency) {
		what := c.write()
		c.compareLists(what)
		var rows []cache.Dependency
		for _, change := range c.changes() {
			rows = append(rows, social.RefsOf(change).Rows...)
		}
		return what, rows
	}, cachetest.Watch(q.Followers, users), cachetest.Watch(q.Following, users), cachetest.Watch(q.Posts, users), cachetest.Watch(q.Comments, posts))
}

// compareLists compares the lists that the node shows with those of its store.
func (c *churn) compareLists(after string) {
	ctx, s, db := context.Background(), c.node.social, c.node.store
	for _, u := range c.users {
		for _, l := range []struct {
			name  string
			shown func(ctx context.Context, viewer, user, before freshet.ID, limit int) (social.UserList, error)
			rows  func(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)
		}{{"followers", s.Followers, db.Followers}, {"following", s.Following, db.Following}} {
			shown, err := l.shown(ctx, 0, u, 0, 100)
			rows, err2 := l.rows(ctx, u, 0, 100)
			if err != nil || err2 != nil || !slices.EqualFunc(shown.Users, rows, func(p *social.Profile, e freshet.Edge) bool { return p.ID == e.User }) {
				c.t.Fatalf("%s: %s of %v: %d shown, the store has %v (%v, %v)", after, l.name, u, len(shown.Users), rows, err, err2)
			}
		}
		var page social.Page
		err := s.ByAuthor(ctx, 0, u, 0, 100, &page)
		refs, err2 := db.ByAuthor(ctx, u, 0, 100)
		if err != nil || err2 != nil || !slices.EqualFunc(page.Posts, refs, func(p social.PostView, r freshet.PostRef) bool { return p.ID == r.ID }) {
			c.t.Fatalf("%s: posts of %v: %d shown, the store has %v (%v, %v)", after, u, len(page.Posts), refs, err, err2)
		}
	}
	for _, p := range c.posts {
		shown, err := s.Comments(ctx, 0, p, 0, 100)
		if freshet.CodeOf(err) == freshet.CodeNotFound {
			continue
		}
		rows, err2 := db.CommentsOn(ctx, p, 0, 100)
		if err != nil || err2 != nil || !slices.EqualFunc(shown.Comments, rows, func(v *social.CommentView, c freshet.Comment) bool { return v.ID == c.ID }) {
			c.t.Fatalf("%s: comments on %v: %d shown, the store has %v (%v, %v)", after, p, len(shown.Comments), rows, err, err2)
		}
	}
}
