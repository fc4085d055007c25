package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/internal/testenv"
)

// The oracle again, with posts, profiles and counts in a remote layer too: a write must end them there.
func TestHomeFeedsEqualTheOracleWithARemoteLayer(t *testing.T) {
	server := testenv.StartRedis(t)
	var hits, stored uint64
	feedtest.Run(t, func(t feedtest.T, users int) map[string]feedtest.System {
		o := openOracleOn(t, feed.Push, users, func(c *config.Config) {
			c.Cache.Remote = config.Secret("redis://" + server.Addr)
			c.Cache.Policies = map[string]config.Policy{}
			for _, space := range []string{"user", "post", "counts"} {
				one := 1 // entry in memory: almost every read goes to the remote layer
				c.Cache.Policies[space] = config.Policy{MaxEntries: &one}
			}
		})
		t.Cleanup(func() {
			for _, s := range o.stats() {
				hits, stored = hits+s.RemoteHits, stored+s.Loads
			}
		})
		return map[string]feedtest.System{"push": o}
	}, feedtest.Options{Checks: testenv.Size(3, 10, 200), Ops: 150})
	if hits == 0 || stored == 0 {
		t.Errorf("%d reads were answered by the remote layer, %d loads", hits, stored)
	}
}

// A fence that did not reach the layer dies with its process: the next one makes it again, though it had heard of the change.
func TestAFenceThatIsOwedIsMadeAfterARestart(t *testing.T) {
	relay := testenv.StartRelay(t, testenv.StartRedis(t).Addr)
	o := openOracleOn(t, feed.Push, 1, func(c *config.Config) { c.Cache.Remote = config.Secret("redis://" + relay.Addr) })
	post, err := o.Post(1, "first")
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		page, err := o.Page(1, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return page.Posts[0].Text
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	until("the layer does not have the post", func() bool {
		if err := o.Restart(); err != nil { // with it goes what memory has
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // for the layer to be trusted
		shown()
		for _, s := range o.stats() {
			if s.Name == "post" && s.RemoteHits > 0 {
				return true
			}
		}
		return false
	})
	relay.Pause()
	if err := o.Edit(1, post, "second"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // for the change feed to be heard, and what was heard to be noted
	if err := o.close(); err != nil {
		t.Log(err)
	}
	relay.Cut()
	relay.Resume()
	if err := o.open(); err != nil {
		t.Fatal(err)
	}
	until("the text from before is served", func() bool { return shown() == "second" })
}

func TestRemoteLayerThatIsNone(t *testing.T) {
	for _, url := range []string{"ftp://host", "redis", "redis://127.0.0.1:1", "redis://user:secret@127.0.0.1:1"} {
		cfg := config.Default()
		cfg.Data, cfg.Cache.Remote = t.TempDir(), config.Secret(url)
		n, err := Open(context.Background(), cfg, Options{})
		if err == nil {
			n.Close()
			t.Errorf("a node opened with the remote layer %q", url)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func (o *oracle) stats() []cache.Stats { return o.node.stack.Stats() }
