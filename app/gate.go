package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/api"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/position"
)

// openAccess makes what decides who asks: the secrets come from the store, the
// users behind refs and tokens from the caches.
func (n *Node) openAccess(ctx context.Context) (err error) {
	if n.secrets, err = access.LoadSecrets(ctx, n.store); err != nil {
		return fmt.Errorf("read the secrets: %w", err)
	}
	n.passwords = access.NewPasswords(access.PasswordOptions{Min: n.cfg.Password.Min})
	n.auth = access.NewAuthenticator(access.Options{
		Store: n.store, Stack: n.stack, Secret: n.secrets.Key(access.ForUserTokens),
		Passwords:  n.passwords,
		SessionTTL: n.cfg.Session.TTL, UserTokenTTL: n.cfg.Token.TTLMax,
		UserByRef: n.social.UserByRef,
		UserExists: func(ctx context.Context, id freshet.ID) error {
			_, err := n.social.User(ctx, id, id)
			return err
		},
		TouchFailed: func(err error) { n.log.Warn("a session's use was not noted", "error", err) },
		Now:         n.opts.Now,
	})
	n.idempotency = access.NewIdempotency(access.IdempotencyOptions{
		Store: n.store, Secret: n.secrets.Key(access.ForAnswers), Keep: n.cfg.Retention.Idempotency, Now: n.opts.Now,
	})
	return nil
}

func (n *Node) handler() (http.Handler, error) {
	lim := n.cfg.Limits
	origins, err := access.NewOrigins(n.cfg.CORS.Origins...)
	if err != nil {
		return nil, err
	}
	return api.New(api.Options{
		Social: n.social,
		Gate: &access.Gate{
			Auth: n.auth,
			Limiter: access.NewLimiter(access.Limits{
				Writes: rate(lim.WritesPerUser), Reads: rate(lim.ReadsPerUser), PerAddress: rate(lim.PerAddress), Now: n.opts.Now,
			}),
			Origins: origins, Proxies: lim.TrustedProxies, Loopback: lim.Loopback,
		},
		Idempotency: n.idempotency,
		Caches:      &Admin{node: n}, // what the socket does, and no other way to do it
		Live:        n.live,
		Leaders:     n.leaders.board,
		Cursors:     freshet.NewCursors(n.secrets.Key(access.ForCursors)),
		Signer:      position.NewSigner(n.secrets.Key(access.ForPositions)),
		Position:    n.position,
		Ready:       n.store.Ready,
		Replicated:  n.shared(),
		Systems:     n.systems,
		Tokens:      n.tokens(),
		Metrics:     n.writeMetrics,
		Origins:     n.cfg.CORS.Origins,
		Version:     n.opts.Version,
		Log:         n.log,
		Now:         n.opts.Now,
		Limits: api.Limits{
			Body: int(lim.Body), BatchBody: int(lim.BatchBody), BatchItems: lim.BatchItems,
			Page: lim.Page, PageDefault: lim.PageDefault, InFlight: lim.InflightRequests,
		},
	}), nil
}

func rate(r config.Rate) access.Rate { return access.Rate{Count: r.Events, Per: r.Per} }
