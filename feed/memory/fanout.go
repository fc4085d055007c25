package memory

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// FanOut delivers a post to those of its readers who have a timeline, and then
// ends its being in flight. Dormant readers get nothing: they pull when they
// return. The checkpoint is the edge after which to go on.
func (e *Engine) FanOut(ctx context.Context, post freshet.PostRef, p feed.Progress) error {
	if e.o.Mode == feed.Pull {
		return nil
	}
	if err := e.deliver(ctx, post, p); err != nil {
		return fmt.Errorf("fan out %s: %w", post.ID, err)
	}
	e.inFlight.land(post)
	return nil
}

func (e *Engine) deliver(ctx context.Context, post freshet.PostRef, p feed.Progress) error {
	generation := e.generation.Load() // before the post is known to live
	alive, err := e.alive(ctx, post)
	if err != nil || !alive {
		return err
	}
	e.enter(post.Author, post, generation)
	for before := position(p.Checkpoint()); ; {
		edges, err := e.o.Source.Followers(ctx, post.Author, before, e.o.Chunk)
		if err != nil {
			return err
		}
		for _, edge := range edges {
			e.enter(edge.User, post, generation)
		}
		if len(edges) < e.o.Chunk || e.generation.Load() != generation {
			return nil
		}
		before = edges[len(edges)-1].ID
		if err := p.Save(ctx, checkpoint(before)); err != nil {
			return err
		}
	}
}

// alive reports whether a post is still to be delivered. A tombstone may have
// been forgotten while the fan-out of its post waited; but then the post is not
// in flight any more either, and the store knows. A removal from here on
// leaves a tombstone that outlives every timeline of this generation.
func (e *Engine) alive(ctx context.Context, post freshet.PostRef) (bool, error) {
	if e.removed.view().has(post.ID) {
		return false, nil
	}
	if e.inFlight.has(post) {
		return true, nil
	}
	refs, err := e.home(ctx, post.Author, post.ID+1, 1)
	return len(refs) == 1 && refs[0].ID == post.ID, err
}

func (e *Engine) enter(reader freshet.ID, post freshet.PostRef, generation uint64) {
	if e.shard(reader).deliver(reader, post, generation, e.o.Length) {
		e.delivered.Add(1)
	}
}

func checkpoint(edge freshet.ID) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(edge))
}

// position reads a checkpoint. Anything but one starts over, which is harmless.
func position(checkpoint []byte) freshet.ID {
	if len(checkpoint) != 8 {
		return 0
	}
	return freshet.ID(binary.BigEndian.Uint64(checkpoint))
}
