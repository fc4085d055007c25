package social

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// Reason says why a post is in a home feed, or is not.
type Reason struct {
	Author freshet.ID
	Mode   string
	Priced bool // the costs of the explanation are known: mode adaptive
	feed.Explanation
}

// Explain tells why a post that viewer may see is in viewer's home feed, or is
// not. A post that there is no more, or of a user who is blocked either way, is
// not found.
func (s *Service) Explain(ctx context.Context, viewer, post freshet.ID) (Reason, error) {
	p, err := s.visible(ctx, viewer, post)
	if err != nil {
		return Reason{}, err
	}
	engine, ok := s.feed.(feed.Explainer)
	if !ok {
		return Reason{}, &freshet.Error{Code: freshet.CodeUnavailable, Message: "this feed can't be explained"}
	}
	x, err := engine.Explain(ctx, viewer, freshet.PostRef{ID: p.ID, Author: p.Author})
	return Reason{Author: p.Author, Mode: string(s.mode), Priced: s.mode == feed.Adaptive, Explanation: x}, err
}
