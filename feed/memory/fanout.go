package memory

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// FanOut delivers a post to those of its readers who have a timeline and do not
// merge its author, and then ends its being in flight. Dormant readers get
// nothing: they pull when they return. It needs no checkpoint, because what it
// has written does not outlive the process either.
func (e *Engine) FanOut(ctx context.Context, post freshet.PostRef, _ feed.Progress) error {
	if e.o.Mode == feed.Pull {
		return nil
	}
	if err := e.deliver(ctx, post); err != nil {
		return fmt.Errorf("fan out %s: %w", post.ID, err)
	}
	e.inFlight.land(post)
	return nil
}

func (e *Engine) deliver(ctx context.Context, post freshet.PostRef) error {
	generation := e.generation.Load() // before the post is known to live
	alive, err := e.alive(ctx, post)
	if err != nil || !alive {
		return err
	}
	readers := e.audiences.of(post.Author)
	if e.o.Mode == feed.Hybrid && len(readers) >= e.o.Threshold {
		e.flip(post.Author, readers)
	}
	delivered := 0
	defer func() { e.delivered.Add(int64(delivered)) }()
	for rest := readers; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := rest[:min(len(rest), e.o.Chunk)]
		rest = rest[len(part):]
		for _, reader := range part {
			if e.shard(reader).deliver(reader, post, generation, e.o.Length) {
				delivered++
			}
		}
		if len(rest) == 0 || e.generation.Load() != generation {
			break // of that generation no timeline is left
		}
	}
	e.audiences.inVain(post.Author, len(readers)-delivered)
	return nil
}

// flip has an author's readers merge the posts from here on. What was delivered
// to them stays, and is met twice by those who also find it in the ring.
func (e *Engine) flip(author freshet.ID, readers []freshet.ID) {
	for _, reader := range readers {
		if reader != author {
			e.shard(reader).merge(reader, author)
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
