package access

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/freshet/freshet"
)

// Gate is the order in which a request is let in. Its fields do not change after
// the first request.
type Gate struct {
	Auth     *Authenticator
	Limiter  *Limiter
	Origins  *Origins
	Proxies  []netip.Prefix // whose X-Forwarded-For is believed
	Loopback bool           // whether limits hold for clients on this machine too
}

// Admit says who sends a request, or which [freshet.Error] it is refused with.
// The cheapest question comes first: an address over its limit costs no look-up.
// A request that bears something shaped like an API key is counted for its
// address only where the key is wrong, because keys have no limit; but an
// address over its limit, be it by wrong keys, has none of its keys looked up.
//
// With an error the Principal is anonymous and has Addr and Exempt, so that a
// handler which serves everybody can go on with it after
// [freshet.CodeUnauthenticated].
func (g *Gate) Admit(r *http.Request) (Principal, error) { return g.admit(r, presented(r)) }

// AdmitTicket is Admit for a request whose address bears the ticket of a stream, which counts alone.
func (g *Gate) AdmitTicket(r *http.Request, ticket string) (Principal, error) {
	return g.admit(r, Presented{Ticket: ticket})
}

// Still reports, of a request that was admitted, whether it would be now but for limits: p is what Admit said. A ticket that was
// accepted in time goes on to be, while the key that made it is in force and its user exists.
func (g *Gate) Still(ctx context.Context, r *http.Request, p Principal, ticket string) error {
	if ticket != "" {
		_, err := g.Auth.granted(ctx, grant{user: p.User, issuer: p.Key})
		return err
	}
	_, err := g.Auth.Authenticate(ctx, presented(r))
	return err
}

func (g *Gate) admit(r *http.Request, by Presented) (Principal, error) {
	nobody := Principal{Addr: ClientAddr(r.RemoteAddr, r.Header["X-Forwarded-For"], g.Proxies)}
	nobody.Exempt = g.exempt(r, nobody.Addr)
	keyed := isKey(by.Authorization)

	if !nobody.Exempt {
		count := g.Limiter.Address
		if keyed {
			count = g.Limiter.Over
		}
		if err := count(nobody.Addr); err != nil {
			return nobody, err
		}
	}
	if err := g.Origins.Check(r); err != nil {
		return nobody, err
	}
	p, err := g.Auth.Authenticate(r.Context(), by)
	if err != nil {
		if !nobody.Exempt && keyed && freshet.CodeOf(err) == freshet.CodeUnauthenticated {
			if over := g.Limiter.Address(nobody.Addr); over != nil {
				return nobody, over
			}
		}
		return nobody, err
	}
	p.Addr, p.Exempt = nobody.Addr, nobody.Exempt
	if p.Exempt || p.Kind == ByKey || p.Kind == Anonymous {
		return p, nil
	}
	if err := g.Limiter.User(p.User, writes(r.Method)); err != nil {
		return nobody, err
	}
	return p, nil
}

// exempt reports whether no limit holds: the client is on this machine. A
// request that a proxy here has forwarded comes from elsewhere, also where
// nobody configured the proxy.
func (g *Gate) exempt(r *http.Request, addr netip.Addr) bool {
	return !g.Loopback && addr.IsLoopback() && len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["Forwarded"]) == 0
}

func presented(r *http.Request) Presented {
	by := Presented{Authorization: r.Header.Get("Authorization"), ActFor: r.Header.Get(UserHeader)}
	if by.Authorization == "" {
		if c, err := r.Cookie(Cookie); err == nil {
			by.Cookie = c.Value
		}
	}
	return by
}

func isKey(authorization string) bool {
	token, err := bearer(authorization)
	return err == nil && strings.HasPrefix(token, keyPrefix)
}

func writes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
