package app

import (
	"context"
	"fmt"
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

// A fence that is owed to the layer, as in the first moments of a node, dies with its process: the next one makes it again, though the
// change was heard before.
func TestAFenceThatIsOwedIsMadeAfterARestart(t *testing.T) {
	addr := testenv.StartRedis(t).Addr
	o := openOracleOn(t, feed.Push, 1, func(c *config.Config) { c.Cache.Remote = config.Secret("redis://" + addr) })
	post, err := o.Post(1, "text 0")
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
	for i := range testenv.Size(5, 20, 200) {
		time.Sleep(100 * time.Millisecond) // for the layer to have what is read
		shown()
		if err := o.Restart(); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("text %d", i+1)
		if err := o.Edit(1, post, text); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i%10) * 3 * time.Millisecond) // for the change feed to tell of it
		if err := o.Restart(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); shown() != text; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q is served, not %q", shown(), text)
			}
		}
	}
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
