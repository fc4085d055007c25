package api

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Tokens keeps how far each client has seen, beside its session: for requests that bring no token, on whatever node they arrive.
// What is lost costs a read of the primary. Safe for concurrent use; methods return within ctx.
type Tokens interface {
	// Last gives the token of a client; nil: it is not known.
	Last(ctx context.Context, client string) (position.Token, error)
	// Raise merges a token into that of a client: it never becomes lower. Whoever asks any node after it has returned is told.
	Raise(ctx context.Context, client string, t position.Token) error
}

const (
	// lastTokenWithin bounds what a request waits for its token, before it goes to the primary.
	lastTokenWithin = 100 * time.Millisecond
	// keepTokenWithin bounds what the answer to a request waits for its token to be kept.
	keepTokenWithin = 500 * time.Millisecond
)

// readAtToken has the request read what its client has seen, or later. Where that is not known, the primary is asked, past the
// caches.
func (c *call) readAtToken() {
	ctx := c.r.Context()
	need := c.api.ours(c.token)
	c.brought = len(need) > 0
	if !c.brought && c.who.Kind == access.Anonymous {
		if c.route.writes() {
			c.context, c.reading = position.WithLatest(ctx, nil)
		}
		return
	}
	if !c.brought {
		asking, cancel := context.WithTimeout(ctx, lastTokenWithin)
		defer cancel()
		last, err := c.api.tokens.Last(asking, clientOf(c.who))
		if need = c.api.ours(last); err != nil || len(need) == 0 {
			c.api.counters.tokensMissed.Add(1)
			ctx, c.reading = position.WithLatest(ctx, nil)
			c.context = cache.Fresh(ctx)
			return
		}
		c.token = c.token.Merge(last)
	}
	c.began = c.token
	ctx, c.reading = position.WithReading(ctx, need)
	c.context = cache.At(ctx, need)
}

// raiseToStore raises the token to what was shown, or, where the store has one place, to where that is. What is read from here on
// in this request shows it too.
func (c *call) raiseToStore() {
	c.raise(c.storePosition())
	if c.reading != nil {
		c.context = cache.At(c.context, c.api.ours(c.token))
	}
}

func (c *call) storePosition() position.Token {
	if c.reading != nil {
		return c.reading.High()
	}
	return c.api.options.Position()
}

// keepToken keeps the token for the client's requests that bring none: before the answer, because the next one may come as soon
// as that is there. A page whose client brings its token adds nothing to it, and one that showed nothing later than the client had
// seen has nothing to add.
func (c *call) keepToken() {
	if !c.api.options.Replicated || c.who.Kind == access.Anonymous || len(c.token) == 0 {
		return
	}
	if !c.route.writes() && (c.brought || !later(c.token, c.began)) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), keepTokenWithin)
	defer cancel()
	if err := c.api.tokens.Raise(ctx, clientOf(c.who), c.token); err != nil {
		c.api.counters.tokensUnkept.Add(1)
	}
}

// later reports whether t says more than what was known.
func later(t, known position.Token) bool {
	for _, p := range t {
		if order, same := p.Compare(known.At(p.System)); !same || order > 0 {
			return true
		}
	}
	return false
}

// clientOf names whose writes and reads belong together: a session, or an API key and the user for whom it acts.
func clientOf(p access.Principal) string {
	if p.Kind == access.BySession {
		return "s" + p.Session.String()
	}
	return "k" + p.Key.String() + ":" + p.User.String()
}

// lastTokens keeps tokens in memory. It holds two generations; a token is forgotten after one to two of lastTokenAge, or sooner
// where more than lastTokensMax clients are new in one.
type lastTokens struct {
	mu     sync.Mutex
	young  map[string]position.Token
	old    map[string]position.Token
	turned time.Time
}

const (
	lastTokenAge  = 10 * time.Minute
	lastTokensMax = 100_000
)

// Raise implements [Tokens].
func (l *lastTokens) Raise(_ context.Context, client string, t position.Token) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.young == nil || len(l.young) >= lastTokensMax || now.Sub(l.turned) >= lastTokenAge {
		l.young, l.old, l.turned = make(map[string]position.Token), l.young, now
	}
	// Writes of one client end in any order.
	l.young[client] = l.of(client).Merge(t)
	return nil
}

// Last implements [Tokens].
func (l *lastTokens) Last(_ context.Context, client string) (position.Token, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(client), nil
}

// of wants the lock.
func (l *lastTokens) of(client string) position.Token {
	if t, ok := l.young[client]; ok {
		return t
	}
	return l.old[client]
}
