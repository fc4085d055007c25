package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	feedredis "github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/notify"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// Options are what a node takes besides its configuration. The zero value works.
type Options struct {
	Log     *slog.Logger     // default: nothing is logged
	Now     func() time.Time // default time.Now
	Version string           // shown by the API document

	Existing bool // Connect fails with ErrNoData where the folder holds none, instead of making it
}

// Node is an open data folder with everything that works on it.
type Node struct {
	cfg   *config.Config
	opts  Options
	log   *slog.Logger
	clock func() time.Time // nil: a store's own
	id    string           // among the nodes that share a store; "" where that is this one's alone

	lock *litedb.Lock
	backend
	remote    cache.Remote // the caches' shared layer; nil: none
	stack     *cache.Stack
	social    *social.Service
	timelines *feedredis.Engine // those in Redis; nil: they are in memory
	live      *notify.Hub
	leaders   *leaders
	views     *social.Views
	jobs      jobs.Engine

	secrets     *access.Secrets
	passwords   *access.Passwords
	auth        *access.Authenticator
	idempotency *access.Idempotency
}

// databaseFile is the embedded store's file in the data folder.
const databaseFile = config.DatabaseFile

// Open takes the data folder and opens what is in it; where nothing is, it is
// made. It fails with [litedb.ErrLocked] where another process owns the folder.
func Open(ctx context.Context, cfg *config.Config, o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, clock: o.Now, log: o.Log}
	if o.Now == nil {
		o.Now = time.Now
	}
	n.opts = o
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
	if n.lock, err = litedb.LockFolder(n.cfg.Data); err != nil {
		return err
	}
	if err := n.openStore(ctx); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if n.remote, err = n.openRemote(ctx); err != nil {
		return err
	}
	if err := n.openViews(ctx); err != nil {
		return err
	}
	// Files have one process, this one: nothing changes behind its memory. Another's changes are told by the servers' feeds.
	// A layer with a channel tells by that.
	_, channel := n.remote.(cache.Channel)
	if err := n.serveCaches(ctx, cache.Options{OnlyNode: !n.shared(), Feed: n.shared() && !channel}); err != nil {
		return err
	}
	n.jobs = n.newJobs(jobs.Options{
		Workers: n.cfg.Jobs.Workers, MaxAttempts: n.cfg.Jobs.MaxAttempts,
		BackoffBase: n.cfg.Jobs.BackoffBase, BackoffMax: n.cfg.Jobs.BackoffMax,
	}, map[string]jobs.Handler{
		social.FanOut: n.social.FanOutHandler, social.Accepted: n.social.AcceptedHandler, social.Opened: n.social.OpenedHandler,
	})
	return nil
}

// serveCaches makes the caches, with what o says besides the settings, and the
// stations that stand on them.
func (n *Node) serveCaches(ctx context.Context, o cache.Options) (err error) {
	o.Policies, o.Remote, o.MaxStale = policies(n.cfg), n.remote, n.cfg.Cache.MaxStale
	o.AuditEvery, o.Observe = n.cfg.Cache.AuditEvery, func(string) cache.Observer { return cacheLog{n.log} }
	if n.stack, err = cache.NewStack(o); err != nil {
		return err
	}
	n.social, err = social.New(social.Options{
		Store: n.store, Stack: n.stack, Mode: feed.Mode(n.cfg.Feed.Mode), Views: n.views,
		Engine: n.newEngine,
		Limits: social.Limits{
			Text: n.cfg.Limits.Text, Data: int(n.cfg.Limits.Data), Comment: n.cfg.Limits.Comment,
			Name: n.cfg.Limits.Name, Bio: n.cfg.Limits.Bio, Follows: n.cfg.Limits.Follows,
		},
	})
	if err != nil {
		return err
	}
	n.live = notify.New(notify.Options{
		Shards: len(n.databases), KeepFor: liveFor,
		Relations: func(ctx context.Context, reader freshet.ID, at position.Token) (*freshet.Relations, error) {
			return n.social.Relations(cache.At(ctx, at), reader)
		},
		Streams: n.cfg.Limits.Streams, PerUser: n.cfg.Limits.StreamsPerUser, Now: n.opts.Now,
	})
	return errors.Join(n.openLeaders(), n.openAccess(ctx))
}

// Close lets go of everything in the order opposite to Open. It may be called
// more than once.
func (n *Node) Close() error {
	var errs []error
	for _, c := range []io.Closer{closer(n.views), n.jobs, closer(n.timelines), closer(n.stack), n.remote, n.opened} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	n.views, n.jobs, n.timelines, n.stack, n.remote, n.opened = nil, nil, nil, nil, nil, nil
	if n.lock != nil {
		errs = append(errs, n.lock.Unlock())
		n.lock = nil
	}
	return errors.Join(errs...)
}

// closer hides the typed nil of what was not opened.
func closer[T any, P interface {
	*T
	io.Closer
}](p P) io.Closer {
	if p == nil {
		return nil
	}
	return p
}

func policies(cfg *config.Config) map[string]cache.Policy {
	out := make(map[string]cache.Policy, len(cfg.Cache.Policies))
	for space, p := range cfg.Cache.Policies {
		out[space] = cache.Policy{
			TTL: set(p.TTL, 0), StaleFor: set(p.Stale, -1), Jitter: float64(set(p.Jitter, -1)),
			NegativeTTL: set(p.NegativeTTL, -1), RefreshAhead: float64(set(p.RefreshAhead, -1)), SoftTimeout: set(p.SoftTimeout, 0),
			HardTimeout: set(p.HardTimeout, 0), MaxEntries: set(p.MaxEntries, 0),
		}
	}
	return out
}

// set gives a setting's value; one that is set to zero becomes off, since zero
// means "the default" to a cache.Policy.
func set[T ~int | ~int64 | ~float64](v *T, off T) T {
	if v == nil {
		return 0
	}
	if *v == 0 {
		return off
	}
	return *v
}
