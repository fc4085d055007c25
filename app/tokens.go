package app

import (
	"context"
	"time"

	"github.com/freshet/freshet/api"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// tokenFor is how long a client's token is kept. What was not asked for longer than that reads the primary once, which is right
// however short it is.
const tokenFor = time.Hour

// tokens keeps the tokens of clients where all nodes find them; nil, which is this node's memory, where the remote layer can't.
func (n *Node) tokens() api.Tokens {
	if marks, ok := n.remote.(cache.Marks); ok {
		return remoteTokens{marks}
	}
	return nil
}

type remoteTokens struct{ marks cache.Marks }

// Last implements [api.Tokens].
func (r remoteTokens) Last(ctx context.Context, client string) (position.Token, error) {
	return r.marks.Marked(ctx, tokenKey(client))
}

// Raise implements [api.Tokens].
func (r remoteTokens) Raise(ctx context.Context, client string, t position.Token) error {
	return r.marks.Mark(ctx, tokenKey(client), t, tokenFor)
}

func tokenKey(client string) string { return "token:" + client }
