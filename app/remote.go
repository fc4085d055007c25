package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/cache/redis"
)

// remoteWithin bounds how long a start waits for the caches' remote layer.
const remoteWithin = 5 * time.Second

// openRemote joins the layer that the setting cache.remote names; nil where it names none.
func (n *Node) openRemote(ctx context.Context) (cache.Remote, error) {
	url := string(n.cfg.Cache.Remote)
	if url == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, remoteWithin)
	defer cancel()
	switch scheme, _, _ := strings.Cut(url, ":"); scheme {
	case "redis", "rediss", "redis-cluster", "rediss-cluster":
		r, err := redis.Open(ctx, redis.Options{URL: url, Trust: n.cfg.Cache.MaxStale})
		if err != nil {
			return nil, fmt.Errorf("cache.remote: %w", err)
		}
		return r, nil
	case "memcached":
		o, err := memcached.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("cache.remote: %w", err)
		}
		r, err := memcached.Open(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("cache.remote: %w", err)
		}
		return r, nil
	}
	return nil, &freshet.Error{
		Code: freshet.CodeInvalid, Field: "cache.remote",
		Message: "is none of redis://, rediss://, redis-cluster://h1,h2, memcached://h1,h2",
	}
}
