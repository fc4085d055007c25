package api

import (
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/position"
)

// lastTokens remembers where each client's latest write stands, for those who bring no token: they read their own writes on
// this node. It holds two generations; a token is forgotten after one to two of lastTokenAge, or sooner where more than
// lastTokensMax clients write in one.
type lastTokens struct {
	mu     sync.Mutex
	young  map[client]position.Token
	old    map[client]position.Token
	turned time.Time
}

// client is whose writes and reads belong together.
type client struct {
	kind      access.Kind
	key, user freshet.ID
}

const (
	// lastTokenAge is longer than replicas may lag that are asked at all.
	lastTokenAge  = time.Minute
	lastTokensMax = 100_000
)

func clientOf(p access.Principal) client { return client{p.Kind, p.Key, p.User} }

func (l *lastTokens) put(p access.Principal, t position.Token) {
	if p.Kind == access.Anonymous || len(t) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.young == nil || len(l.young) >= lastTokensMax || now.Sub(l.turned) >= lastTokenAge {
		l.young, l.old, l.turned = make(map[client]position.Token), l.young, now
	}
	// Writes of one client end in any order.
	l.young[clientOf(p)] = l.of(p).Merge(t)
}

func (l *lastTokens) get(p access.Principal) position.Token {
	if p.Kind == access.Anonymous {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(p)
}

// of wants the lock.
func (l *lastTokens) of(p access.Principal) position.Token {
	if t, ok := l.young[clientOf(p)]; ok {
		return t
	}
	return l.old[clientOf(p)]
}
