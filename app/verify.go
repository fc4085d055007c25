package app

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
)

// verifyChunk is how many users are listed at once.
const verifyChunk = 500

// verify checks the data at one snapshot, then what this node's caches and
// timelines say of it.
func (n *Node) verify(ctx context.Context, in verification) (Verified, error) {
	checked, found, err := n.store.Verify(ctx, in.Sample, in.Fix)
	if err != nil {
		return Verified{}, fmt.Errorf("check the data: %w", err)
	}
	out := Verified{Checked: checked, Found: found, Fixed: in.Fix}
	for after, left := freshet.ID(0), in.Sample; ; {
		users, err := n.store.ListUsers(ctx, after, verifyChunk)
		if err != nil {
			return out, err
		}
		for _, u := range users {
			more, err := n.social.Verify(ctx, u.ID)
			if err != nil {
				return out, fmt.Errorf("check the feed of %s: %w", u.Handle, err)
			}
			out.Checked++
			out.Found = append(out.Found, more...)
			if left--; left == 0 {
				return out, nil
			}
		}
		if len(users) < verifyChunk {
			return out, nil
		}
		after = users[len(users)-1].ID
	}
}
