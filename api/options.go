package api

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/board"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/notify"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/social"
)

// Caches are what administrators look into and empty, by names and keys as text
// as the command line gives them. Errors are those of [freshet.Error].
type Caches interface {
	CacheStats(ctx context.Context) ([]cache.Stats, error)
	CacheHealth(ctx context.Context) (cache.Health, error)
	CacheGet(ctx context.Context, space, key string) (cache.Inspection, error)
	CachePurge(ctx context.Context, space, key string) error
	CachePurgeSpace(ctx context.Context, space string) error
	CachePurgeTag(ctx context.Context, tag string) error
}

// Options says what an API works with. The first eight are needed; the other
// fields may be zero.
type Options struct {
	Social      *social.Service
	Gate        *access.Gate // who asks and how often; its Auth also signs in and out
	Idempotency *access.Idempotency
	Cursors     *freshet.Cursors // Secrets.Key(access.ForCursors)
	Signer      *position.Signer // Secrets.Key(access.ForPositions)
	Caches      Caches
	Live        *notify.Hub
	Leaders     board.Board

	// Position is where the store stands now; the answers to reads with
	// credentials carry it. Default: reads hand back the token they came with.
	Position func() position.Token
	// Replicated says that others write to the store, or that it is read from replicas: then each read shows what its token
	// stands for, and Tokens has that of requests that bring none.
	Replicated bool
	// Systems are those of the store. What tokens say of others, which it may have left, is carried on and asked of no read.
	// Default: all.
	Systems []uint64
	// Tokens is where the last token of each client is kept. Default: in memory, which will do for one process.
	Tokens Tokens
	// Ready backs /readyz. Default: always ready.
	Ready func(ctx context.Context) error
	// Metrics writes the rest of the node's metrics in Prometheus text; the API's
	// own come first. Default: none.
	Metrics func(w io.Writer)

	Limits  Limits
	Origins []string     // whose pages may call the API: "https://app.example.com"
	Version string       // shown by the document; default "dev"
	Log     *slog.Logger // default: nothing is logged
	Now     func() time.Time
}

// Limits bounds what one request may ask for. Zero fields take their defaults.
type Limits struct {
	Body        int // bytes of a body; default 64 KiB
	BatchBody   int // bytes of a batch; default 4 MiB
	BatchItems  int // operations of a batch; default 1,000
	Page        int // items of a page; default 100
	PageDefault int // where the request names no limit; default 50
	InFlight    int // requests served at once; default 1,024
}

func (o Options) withDefaults() Options {
	if o.Position == nil {
		o.Position = func() position.Token { return nil }
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Metrics == nil {
		o.Metrics = func(io.Writer) {}
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&l.Body, 64<<10)
	def(&l.BatchBody, 4<<20)
	def(&l.BatchItems, 1000)
	def(&l.Page, 100)
	def(&l.PageDefault, 50)
	def(&l.InFlight, 1024)
	return l
}
