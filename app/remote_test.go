package app

import (
	"context"
	"strings"
	"testing"

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
