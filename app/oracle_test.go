package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// The oracle runs over everything below the API: the store and the jobs on
// SQLite, the caches, the feed engine.

func TestHomeFeedsEqualTheOracle(t *testing.T) {
	feedtest.Run(t, func(t feedtest.T, users int) map[string]feedtest.System {
		return map[string]feedtest.System{
			"push":     openOracle(t, feed.Push, users),
			"pull":     openOracle(t, feed.Pull, users),
			"hybrid":   openOracle(t, feed.Hybrid, users),
			"adaptive": openOracle(t, feed.Adaptive, users),
		}
	}, feedtest.Options{Checks: testenv.Size(3, 20, 2000), Ops: 150})
}

// Timelines in Redis, for one node; what several make of them is tested by their own package.
func TestHomeFeedsEqualTheOracleOnRedis(t *testing.T) {
	addr := testenv.StartRedis(t).Addr
	opened := 0
	feedtest.Run(t, func(t feedtest.T, users int) map[string]feedtest.System {
		systems := make(map[string]feedtest.System)
		for _, mode := range []feed.Mode{feed.Push, feed.Hybrid, feed.Adaptive} {
			url := fmt.Sprintf("redis://%s/%d", addr, opened%16)
			opened++
			systems[string(mode)] = openOracleOn(t, mode, users, func(cfg *config.Config) {
				cfg.Cache.Remote, cfg.Feed.Timelines = config.Secret(url), "redis"
			})
		}
		return systems
	}, feedtest.Options{Checks: testenv.Size(1, 5, 500), Ops: 150})
}

func TestHomeFeedsEqualTheOracleUnderConcurrency(t *testing.T) {
	for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive} {
		t.Run(string(mode), func(t *testing.T) {
			feedtest.RunConcurrent(t, func(t feedtest.T, users int) map[string]feedtest.System {
				return map[string]feedtest.System{string(mode): openOracle(t, mode, users)}
			}, feedtest.Options{Ops: testenv.Size(300, 2000, 200_000)})
		})
	}
}

// A node whose background has ended fans nothing out: what its feeds show of a
// post, they show because it is in flight.
func TestAPostIsInTheFeedBeforeItsFanOut(t *testing.T) {
	o := openOracle(t, feed.Push, 2)
	if err := o.Follow(1, 2); err != nil {
		t.Fatal(err)
	}
	o.stop()
	o.stop = nil
	for reader := 1; reader <= 2; reader++ { // makes their timelines
		if page, err := o.Page(reader, 0, 10); err != nil || len(page.Posts) != 0 {
			t.Fatalf("the feed before the post: %v, %v", page, err)
		}
	}
	id, err := o.Post(2, "hello")
	if err != nil {
		t.Fatal(err)
	}
	for reader := 1; reader <= 2; reader++ {
		if page, err := o.Page(reader, 0, 10); err != nil || len(page.Posts) != 1 || page.Posts[0].ID != id {
			t.Errorf("reader %d sees %v, %v", reader, page, err)
		}
	}
}

// oracle drives a node without HTTP.
type oracle struct {
	cfg   *config.Config
	node  *Node
	users []freshet.ID
	stop  func()
}

func openOracle(t feedtest.T, mode feed.Mode, users int) *oracle {
	return openOracleOn(t, mode, users, func(*config.Config) {})
}

// openOracleOn opens one whose settings are changed by set.
func openOracleOn(t feedtest.T, mode feed.Mode, users int, set func(*config.Config)) *oracle {
	t.Helper()
	dir, err := os.MkdirTemp("", "freshet-oracle-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	putEmpty(t, dir)
	o := &oracle{cfg: config.Default()}
	o.cfg.Data, o.cfg.Feed.Mode = dir, string(mode)
	o.cfg.Feed.TimelineLength = 50 // small, so that feeds run below what timelines cover
	o.cfg.Feed.Threshold = 2       // large is who has two followers
	set(o.cfg)
	t.Cleanup(func() {
		if err := o.close(); err != nil {
			t.Logf("close: %v", err)
		}
		os.RemoveAll(dir)
	})
	if err := o.open(); err != nil {
		t.Fatalf("%v", err)
	}
	for i := range users {
		u, _, err := o.node.social.SignUp(context.Background(), freshet.NewUser{Handle: fmt.Sprintf("u%d", i+1)}, store.Write{})
		if err != nil {
			t.Fatalf("%v", err)
		}
		o.users = append(o.users, u.ID)
	}
	return o
}

func (o *oracle) open() (err error) {
	if o.node, err = Open(context.Background(), o.cfg, Options{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	wait, err := o.node.startBackground(ctx)
	o.stop = func() { cancel(); wait() }
	return err
}

func (o *oracle) close() error {
	if o.stop != nil {
		o.stop()
	}
	return o.node.Close()
}

func (o *oracle) Restart() error { return errors.Join(o.close(), o.open()) }

func (o *oracle) Post(author int, text string) (freshet.ID, error) {
	v, _, err := o.node.social.Post(context.Background(), freshet.NewPost{Author: o.users[author-1], Text: text}, store.Write{})
	if err != nil {
		return 0, err
	}
	// Posts of two authors in one millisecond are in the order of their buckets: the next one comes after it.
	time.Sleep(time.Until(v.ID.Time().Add(time.Millisecond)))
	return v.ID, nil
}

func (o *oracle) Edit(author int, post freshet.ID, text string) error {
	_, _, err := o.node.social.Edit(context.Background(), o.users[author-1], post, freshet.PostPatch{Text: &text}, store.Write{})
	return err
}

func (o *oracle) Delete(author int, post freshet.ID) error {
	_, err := o.node.social.Delete(context.Background(), o.users[author-1], post, store.Write{})
	return err
}

type relate func(*social.Service, context.Context, freshet.ID, freshet.ID, store.Write) (position.Token, error)

func (o *oracle) relate(do relate, actor, target int) error {
	_, err := do(o.node.social, context.Background(), o.users[actor-1], o.users[target-1], store.Write{})
	return err
}

func (o *oracle) Follow(a, b int) error {
	_, _, err := o.node.social.Follow(context.Background(), o.users[a-1], o.users[b-1], store.Write{})
	return err
}

func (o *oracle) Unfollow(a, b int) error { return o.relate((*social.Service).Unfollow, a, b) }
func (o *oracle) Block(a, b int) error    { return o.relate((*social.Service).Block, a, b) }
func (o *oracle) Unblock(a, b int) error  { return o.relate((*social.Service).Unblock, a, b) }
func (o *oracle) Mute(a, b int) error     { return o.relate((*social.Service).Mute, a, b) }
func (o *oracle) Unmute(a, b int) error   { return o.relate((*social.Service).Unmute, a, b) }

func (o *oracle) Page(reader int, before freshet.ID, limit int) (feedtest.Page, error) {
	var page social.Page
	if err := o.node.social.Home(context.Background(), o.users[reader-1], before, limit, &page); err != nil {
		return feedtest.Page{}, err
	}
	out := feedtest.Page{Next: page.Next}
	for _, p := range page.Posts {
		author := 0
		for i, id := range o.users {
			if id == p.Author.ID {
				author = i + 1
			}
		}
		out.Posts = append(out.Posts, feedtest.PageItem{ID: p.ID, Author: author, Text: p.Text, Edited: !p.EditedAt.IsZero()})
	}
	return out, nil
}
